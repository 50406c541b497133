import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { Database, migrate } from '@vafa/persistence';
import { eventually, withTestDatabase } from '@vafa/testing';
import { messagingMigrations } from './migrations.js';
import { PostgresMessageBus } from './postgres-message-bus.js';
import { RELAY_GROUP, type KeptFor, type KeptOld } from './retention.js';

const test = withTestDatabase();
const HOUR_MS = 3_600_000;

let database: Database;
let bus: PostgresMessageBus;
let kept: KeptOld[];

beforeEach(async () => {
  await migrate(test.url, [messagingMigrations], () => undefined);
  const { schema, role } = messagingMigrations;
  database = await Database.connect({ url: test.url, schema, role, poolSize: 4, applicationName: 'retention' });
  await database.query('truncate messaging.log, messaging.offsets, messaging.topics');
  kept = [];
});

afterEach(async () => {
  await bus.close();
  await database.close();
});

/** Rows of an hour and a half ago, one after another in the two partitions of a topic, of which `group` has taken what lies in the first. */
const fill = async (rows: number, group: string): Promise<void> => {
  await database.query('insert into messaging.topics (name, partitions, retention_ms) values ($1, 2, $2)', [
    'orders',
    HOUR_MS,
  ]);
  await database.query(
    `insert into messaging.log (topic, partition, key, value, at)
     select t.id, n % 2, 'k', '', now() - interval '90 minutes' from messaging.topics t, generate_series(1, $1) as n`,
    [rows],
  );
  await database.query(
    `insert into messaging.offsets select $1, t.id, 0, (select max(position) from messaging.log) from messaging.topics t`,
    [group],
  );
};

const sweepWith = (keptFor?: KeptFor): void => {
  bus = new PostgresMessageBus(database, {
    retentionIntervalMs: 20,
    onKept: (old) => kept.push(old),
    ...(keptFor && { keptFor }),
  });
};

const left = (): Promise<unknown[]> =>
  database.query('select partition, count(*)::int as rows from messaging.log group by 1 order by 1');

it('goes on behind what a group keeps, however much that is, and tells once who keeps it', async () => {
  await fill(12_000, 'slow');
  sweepWith();
  await eventually(async () => expect(await left()).toEqual([{ partition: 1, rows: 6_000 }]));
  await eventually(() => expect(kept).toEqual([{ topic: 'orders', groups: ['slow'] }]));
  await database.query(`insert into messaging.offsets select 'slow', topic, 1, position from messaging.offsets`);
  await eventually(async () => expect(await left()).toEqual([]));
  expect(kept).toHaveLength(1);
});

it('does not wait for the relay where the log is the bus, and only for the relay where it is the outbox', async () => {
  await fill(10, RELAY_GROUP);
  sweepWith();
  await eventually(async () => expect(await left()).toEqual([]));
  await bus.close();
  await database.query('truncate messaging.log, messaging.offsets, messaging.topics');
  await fill(10, RELAY_GROUP);
  await database.query(`insert into messaging.offsets select 'points', topic, 0, 0 from messaging.offsets`);
  sweepWith({ group: RELAY_GROUP, thenMs: HOUR_MS });
  await eventually(async () => expect(await left()).toEqual([{ partition: 1, rows: 5 }]));
  await eventually(() => expect(kept).toEqual([{ topic: 'orders', groups: [RELAY_GROUP] }]));
});
