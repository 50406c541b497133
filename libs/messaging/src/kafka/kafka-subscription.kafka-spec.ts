import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Database, migrate } from '@vafa/persistence';
import { dropKafkaTopics, eventually, kafkaPrefix, testKafka, withAdmin, withTestDatabase } from '@vafa/testing';
import { setTimeout as pause } from 'node:timers/promises';
import type { Subscription } from '../message-bus.js';
import { messagingMigrations } from '../postgres/migrations.js';
import { KafkaMessageBus } from './kafka-message-bus.js';
import { KAFKA_DEFAULTS } from './kafka-settings.js';

const kafka = testKafka();
const HOUR_MS = 3_600_000;
const WISHES_MS = 150;
/** Longer than the rest of a join takes once the other member has left. */
const STAYS_MS = 3_000;

(kafka === undefined ? describe.skip : describe)('a member of a group', () => {
  const brokers = kafka?.brokers ?? [];
  const prefix = kafkaPrefix();
  let database: Database;
  let bus: KafkaMessageBus;
  afterAll(async () => {
    await bus.close();
    await database.close();
    await dropKafkaTopics(brokers, prefix);
  });
  const test = withTestDatabase();

  beforeAll(async () => {
    await migrate(test.url, [messagingMigrations], () => undefined);
    const { schema, role } = messagingMigrations;
    const onError = (): void => undefined;
    database = await Database.connect({ url: test.url, schema, role, poolSize: 4, applicationName: 'kafka', onError });
    // Longer than the test waits: nobody is gone because a session ran out.
    const settings = { ...KAFKA_DEFAULTS, brokers, prefix, sessionTimeoutMs: 5 * 60_000 };
    const onFatal = (error: Error): never => expect(error).toBeUndefined() as never;
    bus = new KafkaMessageBus({ settings, database, startDeadlineMs: 20_000, publishDeadlineMs: 2_000, onFatal });
    await bus.ensureTopics([{ name: 'orders', partitions: 3, retentionMs: HOUR_MS }]);
  });

  const join = (): Promise<Subscription> =>
    bus.subscribe({ group: 'g', topics: ['orders'], pageSize: 10, handler: () => Promise.resolve() });
  const group = async (): Promise<{ state: string; members: number }> => {
    const { groups } = await withAdmin(brokers, (admin) => admin.describeGroups([`${prefix}g`]));
    return { state: groups[0]?.state ?? '', members: groups[0]?.members.length ?? 0 };
  };

  it('that is closed while it joins is gone for good', async () => {
    const first = await join();
    await eventually(async () => expect(await group()).toEqual({ state: 'Stable', members: 1 }));
    const second = await join();
    // The coordinator has its wish by then, and answers it once the first has heard of it or left.
    await pause(WISHES_MS);
    await Promise.all([second.close(), first.close()]);
    await eventually(async () => expect(await group()).toEqual({ state: 'Empty', members: 0 }));
    await pause(STAYS_MS);
    expect(await group()).toEqual({ state: 'Empty', members: 0 });
  }, 120_000);
});
