import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Database, migrate } from '@vafa/persistence';
import type { UnitOfWork } from '@vafa/persistence';
import { withTestDatabase } from '@vafa/testing';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { EventCodec } from './event-codec.js';
import type { DecodedEvent } from './event-codec.js';
import { NO_STREAM } from './event-store.js';
import type { NewEvent } from './event-store.js';
import { LogReader } from './log-reader.js';
import type { LogReaderOptions } from './log-reader.js';
import { addCheckpointGeneration, Checkpoint, CheckpointMovedError, createCheckpointTable } from './checkpoint.js';
import { eventStoreMigrations } from './postgres/migrations.js';
import { PostgresEventStore } from './postgres/postgres-event-store.js';

type Counted = { type: 'Counted'; data: { amount: number } };
const codec = new EventCodec<Counted>({ Counted: { version: 1 } });

class Tables1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(createCheckpointTable('tally.checkpoints'));
    await runner.query(addCheckpointGeneration('tally.checkpoints'));
    await runner.query(
      'create table tally.applied (reader text, event_id uuid, amount bigint, primary key (reader, event_id))',
    );
  }
  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

const TALLY = { schema: 'tally', role: 'vafa_test_tally', migrations: [Tables1700000000000] };

let database: Database;
let ledger: Database;
let store: PostgresEventStore;
let name: string;
let prefix: string;
const readers: LogReader<Counted>[] = [];

// Before the database, which goes last.
afterAll(async () => {
  await Promise.all(readers.map((reader) => reader.close()));
  await store.close();
  await ledger.close();
  await database.close();
});
const test = withTestDatabase();

beforeAll(async () => {
  await migrate(test.url, [eventStoreMigrations, TALLY], () => undefined);
  const options = { url: test.url, poolSize: 4, applicationName: 'reader-test', onError: () => undefined };
  database = await Database.connect({ ...options, schema: TALLY.schema, role: TALLY.role });
  ledger = await Database.connect({ ...options, ...eventStoreMigrations, applicationName: 'ledger-test' });
  store = new PostgresEventStore(ledger);
});
beforeEach(() => {
  name = `reader-${randomUUID()}`;
  prefix = `count${randomUUID()}`;
});

const counted = (amount: number): NewEvent => codec.encode({ type: 'Counted', data: { amount } }, randomUUID());

/** Appends events with the amounts from 1 to `count` in several streams. */
const fill = async (count: number): Promise<void> => {
  const amounts = Array.from({ length: count }, (_, i) => i + 1);
  const streams = Array.from({ length: 10 }, (_, stream) => amounts.filter((amount) => amount % 10 === stream));
  const appends = streams
    .filter((stream) => stream.length > 0)
    .map((stream) => store.append(`${prefix}-${randomUUID()}`, NO_STREAM, stream.map(counted)));
  await Promise.all(appends);
};

const insert = async (page: readonly DecodedEvent<Counted>[], work: UnitOfWork): Promise<void> =>
  work.copy(
    'applied',
    ['reader', 'event_id', 'amount'],
    page.map(({ id, event }) => [name, id, event.data.amount]),
  );

const makeReader = (options: Partial<LogReaderOptions<Counted>> = {}): LogReader<Counted> => {
  const reader = new LogReader<Counted>({
    name,
    store,
    prefix,
    codec,
    database,
    checkpoints: 'tally.checkpoints',
    projections: [{ name: 'applied', apply: insert }],
    pageSize: 7,
    ...options,
  });
  readers.push(reader);
  return reader;
};

const applied = async (): Promise<{ count: number; sum: number }> => {
  const rows = await database.query<{ count: number; sum: number }>(
    'select count(*) as count, coalesce(sum(amount), 0)::bigint as sum from applied where reader = $1',
    [name],
  );
  return rows[0] ?? { count: 0, sum: 0 };
};

const until = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
  const deadline = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

describe('LogReader', () => {
  it('applies everything once, in order, page by page, and then what comes', async () => {
    await fill(50);
    const seen: DecodedEvent<Counted>[] = [];
    const pages: number[] = [];
    const reader = makeReader({ onPage: (page) => pages.push(page.events) });
    reader.onApplied((page) => seen.push(...page));
    reader.start();
    await until(() => reader.state === 'caught-up' && seen.length === 50);
    expect(await applied()).toEqual({ count: 50, sum: 1_275 });
    expect(Math.max(...pages)).toBeLessThanOrEqual(7);
    const positions = seen.map((event) => Number(event.position));
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
    await store.append(`${prefix}-late`, NO_STREAM, [counted(1_000)]);
    await until(() => seen.length === 51);
    expect(await applied()).toEqual({ count: 51, sum: 2_275 });
    expect(reader.position).toBe(seen.at(-1)?.position);
    await reader.close();
    expect(reader.state).toBe('idle');
  });

  it('goes on from its checkpoint after a restart', async () => {
    await fill(20);
    const first = makeReader();
    first.start();
    await until(() => first.state === 'caught-up');
    await first.close();
    await fill(20);
    const pages: number[] = [];
    const second = makeReader({ onPage: (page) => pages.push(page.events) });
    second.start();
    await until(() => second.state === 'caught-up');
    expect(await applied()).toEqual({ count: 40, sum: 420 });
    expect(pages.reduce((sum, count) => sum + count, 0)).toBe(20);
    await second.close();
  });

  it('has one leader at a time; the next one takes over', async () => {
    await fill(20);
    const [leader, other] = [makeReader(), makeReader()];
    leader.start();
    await until(() => leader.state === 'caught-up');
    other.start();
    await fill(10);
    await until(async () => (await applied()).count === 30);
    await until(() => other.state === 'standby');
    await leader.close();
    await fill(10);
    // It may be through with what was there before the last ones came.
    await until(async () => (await applied()).count === 40);
    await until(() => other.state === 'caught-up');
    expect((await applied()).count).toBe(40);
    await other.close();
  });

  it('tries a page again whole where a projection throws, and tells', async () => {
    await fill(20);
    const errors: unknown[] = [];
    let failures = 3;
    const fragile = async (page: readonly DecodedEvent<Counted>[], work: UnitOfWork): Promise<void> => {
      await insert(page, work);
      if (failures-- > 0) throw new Error('not now');
    };
    const reader = makeReader({
      projections: [{ name: 'fragile', apply: fragile }],
      onError: (error) => errors.push(error),
    });
    reader.start();
    await until(() => reader.state === 'caught-up');
    expect(await applied()).toEqual({ count: 20, sum: 210 });
    expect(errors.map(String)).toEqual(['Error: not now', 'Error: not now', 'Error: not now']);
    await reader.close();
  });

  it('survives its connections being cut', async () => {
    const reader = makeReader({ onError: () => undefined });
    reader.start();
    await until(() => reader.state === 'caught-up');
    const admin = new pg.Client({ connectionString: test.url });
    await admin.connect();
    for (let round = 0; round < 3; round++) {
      await fill(30);
      await admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'reader-test'
         and datname = current_database()`,
      );
    }
    await admin.end();
    await until(async () => (await applied().catch(() => ({ count: 0 }))).count === 90);
    expect((await applied()).sum).toBe(3 * 465);
    await reader.close();
  });

  it('applies nothing of a page that another has applied, whatever it believes', async () => {
    const errors: unknown[] = [];
    const reader = makeReader({ onError: (error) => errors.push(error) });
    reader.start();
    await until(() => reader.state === 'caught-up');
    await database.transaction(async (work) => {
      // Another leader is at it: it has the row of the checkpoint, and this reader waits for it with a page in its hands.
      await work.query('select from checkpoints where name = $1 for update', [name]);
      const stream = `${prefix}-contested`;
      await store.append(stream, NO_STREAM, [counted(1), counted(2)]);
      const stored = await store.read(stream, 0, 2);
      await new Promise((resolve) => setTimeout(resolve, 300));
      const to = stored.at(-1)?.position;
      if (to === undefined) throw new Error('nothing stored');
      const checkpoint = new Checkpoint('tally.checkpoints', name);
      await checkpoint.move(work, reader.position, to, { events: 2, asOf: undefined });
      await insert(
        stored.map((event) => codec.decode(event)),
        work,
      );
    });
    await until(() => errors.length > 0);
    expect(errors).toEqual([expect.any(CheckpointMovedError)]);
    await store.append(`${prefix}-next`, NO_STREAM, [counted(10)]);
    await until(async () => (await applied()).count === 3);
    expect((await applied()).sum).toBe(13);
    await reader.close();
  });

  it('stops at an event it does not know, and says which', async () => {
    await store.append(`${prefix}-1`, NO_STREAM, [counted(1)]);
    const stray: NewEvent = { ...counted(2), metadata: '{"schema":2}' };
    await store.append(`${prefix}-2`, NO_STREAM, [stray, counted(3)]);
    const stopped: string[] = [];
    const reader = makeReader({ pageSize: 1, onStopped: (error) => stopped.push(error.message) });
    reader.start();
    await until(() => reader.state === 'stopped');
    expect(stopped).toEqual([expect.stringContaining(`revision 0 of ${prefix}-2`)]);
    expect(reader.failure?.name).toBe('UnknownEventError');
    expect(await applied()).toEqual({ count: 1, sum: 1 });
    await reader.close();
    expect(reader.state).toBe('stopped');
  });
});
