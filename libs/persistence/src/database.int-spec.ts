import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { deferred, eventually, withTestDatabase } from '@vafa/testing';
import fc from 'fast-check';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { connectClient } from './connection.js';
import { Database } from './database.js';
import { migrate } from './migrate.js';
import type { MigrationSet } from './migrate.js';
import { OrderedLog } from './ordered-log.js';
import { isTransient } from './transient.js';
import type { UnitOfWork } from './unit-of-work.js';
import { whileAlive } from './while-alive.js';

class Shelves1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`create table shop.things (id bigint primary key, name text, raw bytea, flag boolean)`);
    await runner.query(`create table shop.log (position bigserial primary key, value text not null)`);
    await runner.query(`create view analytics.things as select id, name from shop.things`);
  }
  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

class Ledger1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`create table book.entries (id bigint primary key)`);
  }
  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

@Entity({ name: 'things' })
class Thing {
  @PrimaryColumn('bigint')
  id!: number;
  @Column('text', { nullable: true })
  name!: string | null;
}

const BOOK: MigrationSet = {
  schema: 'book',
  role: 'vafa_test_book',
  migrations: [Ledger1700000000000],
  rights: 'append-only',
};
const SHOP: MigrationSet = {
  schema: 'shop',
  role: 'vafa_test_shop',
  migrations: [Shelves1700000000000],
  inherits: ['vafa_test_book'],
};
const PASSWORD = 'ana lyst\'s "word"';

let database: Database;

// Before the database, which goes last.
afterAll(() => database?.close());
const test = withTestDatabase();
const failures: unknown[] = [];

const open = (set: MigrationSet, poolSize = 2): Promise<Database> =>
  Database.connect({
    url: test.url,
    schema: set.schema,
    role: set.role,
    poolSize,
    applicationName: 'persistence-test',
    entities: [Thing],
    onError: (error) => failures.push(error),
  });

beforeAll(async () => {
  const done: string[] = [];
  // Two processes that start at once: one waits for the other.
  await Promise.all(
    [1, 2].map(() => migrate(test.url, [BOOK, SHOP], (line) => done.push(line), { analystPassword: PASSWORD })),
  );
  expect(done).toEqual(['book: Ledger1700000000000', 'shop: Shelves1700000000000']);
  database = await open(SHOP);
});

describe('migrate', () => {
  it('gives the roles their rights and no more', async () => {
    await database.query('insert into things (id) values (-1)');
    await database.query('delete from things where id = -1');
    await database.query('insert into book.entries values (1)');
    await expect(database.query('delete from book.entries')).rejects.toMatchObject({ code: '42501' });
    await expect(database.query('delete from shop.migrations')).rejects.toMatchObject({ code: '42501' });
    const book = await open(BOOK, 1);
    await expect(book.query('select * from shop.things')).rejects.toMatchObject({ code: '42501' });
    await expect(book.query('update entries set id = 2')).rejects.toMatchObject({ code: '42501' });
    await book.close();
  });

  it('lets the analyst log in and read analytics only', async () => {
    const url = new URL(test.url);
    url.username = 'analyst';
    url.password = encodeURIComponent(PASSWORD);
    const analyst = new pg.Client({ connectionString: url.href });
    await analyst.connect();
    await expect(analyst.query('select * from things')).resolves.toMatchObject({ rows: [] });
    await expect(analyst.query('select * from shop.things')).rejects.toMatchObject({ code: '42501' });
    await expect(analyst.query('create table mine (id int)')).rejects.toThrow(/read-only|permission denied/);
    await analyst.end();
  });
});

describe('Database', () => {
  it('commits what belongs together, then runs the effects', async () => {
    const effects: string[] = [];
    const answer = await database.transaction(async (uow) => {
      uow.afterCommit(() => effects.push('first'));
      uow.afterCommit(() => {
        throw new Error('an effect that throws');
      });
      uow.afterCommit(() => effects.push('last'));
      await uow.manager.save(Thing, { id: 1, name: 'one' });
      await uow.query('insert into things (id, name) values ($1, $2)', [2, 'two']);
      await uow.copy('things', ['id', 'name'], [[3, 'three']]);
      expect(await database.query('select id from things where id in (1, 2, 3)')).toEqual([]);
      return 'done';
    });
    expect(answer).toBe('done');
    expect(effects).toEqual(['first', 'last']);
    expect(failures.map(String)).toContain('Error: an effect that throws');
    expect(await database.query('select id, name from things where id in (1, 2, 3) order by id')).toEqual([
      { id: 1, name: 'one' },
      { id: 2, name: 'two' },
      { id: 3, name: 'three' },
    ]);
    expect(await database.repository(Thing).findOneBy({ id: 2 })).toEqual({ id: 2, name: 'two' });
  });

  it('rolls everything back where the work throws', async () => {
    let effect = false;
    const attempt = database.transaction(async (uow) => {
      uow.afterCommit(() => (effect = true));
      await uow.copy('things', ['id'], [[10]]);
      throw new Error('changed my mind');
    });
    await expect(attempt).rejects.toThrow('changed my mind');
    expect(await database.query('select id from things where id = 10')).toEqual([]);
    expect(effect).toBe(false);
  });

  it('goes on after a COPY that failed and after a connection that was cut', async () => {
    await expect(database.transaction((uow) => uow.copy('things', ['id'], [['x']]))).rejects.toMatchObject({
      code: '22P02',
    });
    const cut = database.transaction(async (uow) => {
      const killer = new pg.Client({ connectionString: test.url });
      await killer.connect();
      const [own] = await uow.query<{ pid: number }>('select pg_backend_pid() as pid');
      await killer.query('select pg_terminate_backend($1)', [own?.pid]);
      await killer.end();
      await uow.query('select 1');
    });
    await expect(cut.catch((error: unknown) => isTransient(error))).resolves.toBe(true);
    for (let i = 0; i < 4; i++) await database.transaction((uow) => uow.query('select 1'));
    await database.ping();
  });

  it('copies any text and any bytes to the letter', async () => {
    const text = fc
      .string({ unit: 'binary', maxLength: 40 })
      .filter((value) => !value.includes('\0') && value.isWellFormed());
    const awkward = fc.constantFrom('\\', '\t', '\n', '\r', '\\N', '\\.', '\\x41', '');
    let id = 1_000;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.oneof(text, awkward), fc.uint8Array({ maxLength: 20 }), fc.boolean()), { minLength: 1 }),
        async (cells) => {
          const rows = cells.map(([name, raw, flag]) => ({ id: id++, name, raw: Buffer.from(raw), flag }));
          await database.transaction((uow) =>
            uow.copy(
              'things',
              ['id', 'name', 'raw', 'flag'],
              rows.map((row) => [row.id, row.name, row.raw, row.flag]),
            ),
          );
          const back = await database.query('select id, name, raw, flag from things where id >= $1 order by id', [
            rows[0]?.id,
          ]);
          expect(back).toEqual(rows);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('gives bigint as a number and refuses one that a number cannot hold', async () => {
    expect(await database.query(`select 9007199254740991::bigint as n`)).toEqual([{ n: Number.MAX_SAFE_INTEGER }]);
    await expect(database.query(`select 9007199254740993::bigint as n`)).rejects.toThrow(RangeError);
    expect(await database.query('select 1 as n')).toEqual([{ n: 1 }]);
  });

  it('opens connections of its own with the same role', async () => {
    const client = await database.dedicated();
    const { rows } = await client.query('select current_role as role, current_schema as schema');
    expect(rows).toEqual([{ role: 'vafa_test_shop', schema: 'shop' }]);
    await client.end();
  });

  it('ends a transaction in which its process does nothing, so that others get its locks', async () => {
    const lock = (uow: UnitOfWork) => uow.query('select pg_advisory_xact_lock(1)');
    const [locked, asleep] = [deferred(), deferred()];
    const sleeper = database.transaction(async (uow) => {
      await lock(uow);
      locked.resolve();
      await asleep.promise;
    });
    await locked.promise;
    await eventually(() => database.transaction(lock), 30_000);
    asleep.resolve();
    await expect(sleeper.catch((error: unknown) => isTransient(error))).resolves.toBe(true);
  }, 60_000);

  it('keeps a transaction whose process waits for something else and gives signs of life', async () => {
    const kept = database.transaction(async (uow) => {
      const waited = await whileAlive(uow, () => pause(6_000, 'waited'));
      return [waited, await uow.query('select 1 as one')];
    });
    await expect(kept).resolves.toEqual(['waited', [{ one: 1 }]]);
  }, 60_000);

  it('does not wait for a lock for ever, and what then fails may be tried again', async () => {
    const holder = new pg.Client({ connectionString: test.url });
    await holder.connect();
    await holder.query('select pg_advisory_lock(2)');
    const wait = 'select pg_advisory_xact_lock(2)';
    const error: unknown = await database.transaction((uow) => uow.query(wait)).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: '55P03' });
    expect(isTransient(error)).toBe(true);
    const client = await database.dedicated();
    expect((await client.query('show lock_timeout')).rows).toEqual([{ lock_timeout: '0' }]);
    await client.end();
    await holder.end();
    await database.transaction((uow) => uow.query(wait));
  }, 60_000);

  it('leaves those who migrate and other commands the time that they need', async () => {
    const client = await connectClient({ url: test.url, applicationName: 'vafa-migrate' });
    const { rows } = await client.query(
      `select current_setting('idle_in_transaction_session_timeout') as idle, current_setting('lock_timeout') as lock`,
    );
    expect(rows).toEqual([{ idle: '1min', lock: '0' }]);
    await client.end();
  });
});

describe('OrderedLog', () => {
  const log = new OrderedLog({ table: 'shop.log', columns: ['value'] });

  it('never shows a later position before an earlier one, whoever commits first', async () => {
    const order: string[] = [];
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    let started = (): void => undefined;
    const appended = new Promise<void>((resolve) => (started = resolve));
    const slow = database.transaction(async (uow) => {
      await log.append(uow, [['slow']]);
      started();
      await held;
      order.push('slow');
    });
    await appended;
    const fast = database.transaction((uow) => log.append(uow, [['fast']])).then(() => order.push('fast'));
    const reader = await open(SHOP, 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await log.read(reader, { after: 0, limit: 10 })).toEqual([]);
    release();
    await Promise.all([slow, fast]);
    expect(order).toEqual(['slow', 'fast']);
    const rows = await log.read<{ value: string }>(reader, { after: 0, limit: 10 });
    expect(rows.map((row) => row.value)).toEqual(['slow', 'fast']);
    expect(await log.head(reader)).toBe(rows[1]?.position);
    const after = rows[0]?.position ?? 0;
    expect(await log.read(reader, { after, limit: 10, where: 'value = $3', parameters: ['slow'] })).toEqual([]);
    await reader.close();
  });

  it('takes several shards in one order', async () => {
    await Promise.all(
      [
        [3, 1, 2],
        [2, 3, 1],
        [1, 2, 3],
      ].map((shards) => database.transaction((uow) => log.lock(uow, shards))),
    );
  });
});
