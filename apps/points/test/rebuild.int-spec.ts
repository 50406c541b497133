import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { outgoingEvent } from '@vafa/contracts';
import { enqueueEvents } from '@vafa/messaging';
import { createTestDatabase, eventually, startTestService, type TestDatabase, type TestService } from '@vafa/testing';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { uuidv7 } from 'uuidv7';
import type { PointsConfig } from '../src/config.js';
import { pointsService } from '../src/index.js';
import type { ReadModelReport } from '../src/ledger-worker.js';
import { LEDGER_TABLES } from '../src/read-models/tables.js';

const LONG_MS = 4 * 60_000;
const PATH = '/v1/read-models/points';

let database: TestDatabase;
let points: TestService<PointsConfig>;
let members: string[];

const connect = async (): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString: database.url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
};

/** With a login of its own, which may do everything: what a test spoils, or looks at from outside. */
const ask = async <Row>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> => {
  const client = await connect();
  try {
    return (await client.query(sql, [...parameters])).rows as Row[];
  } finally {
    await client.end();
  }
};

const enrol = async (count: number): Promise<string[]> => {
  const ids = Array.from({ length: count }, () => uuidv7());
  const { bus, database: own } = points.context;
  const events = ids.map((memberId) => {
    const data = {
      memberId,
      externalId: `ext-${memberId}`,
      card: null,
      enrolledAt: '2026-01-01T00:00:00Z',
      source: null,
    };
    const time = Temporal.Now.instant();
    return outgoingEvent({ type: 'loyalty.member.enrolled', id: memberId, source: '/test', key: memberId, time, data });
  });
  await own.transaction((work) => enqueueEvents(work, bus, events));
  return ids;
};

const event = (member: string, amount: number) => ({
  specversion: '1.0',
  id: uuidv7(),
  source: '/till',
  type: 'commerce.purchase.completed',
  data: {
    purchaseId: uuidv7(),
    member: `member:${member}`,
    occurredAt: '2026-05-01T10:00:00Z',
    currency: 'EUR',
    lines: [{ lineId: '1', amount, kind: 'goods' }],
    total: amount,
  },
});

const buy = async (count: number): Promise<void> => {
  const body = Array.from({ length: count }, (_, n) => event(members[n % members.length] ?? '', 1_000 + n));
  const answer = await points.call('POST', '/v1/purchases/batch', { body, headers: { prefer: 'wait=30' } });
  expect(answer.status).toBe(200);
};

const rebuild = async (): Promise<ReadModelReport['rebuild']> => {
  expect((await points.call('POST', `${PATH}/rebuild`, { as: 'admin' })).status).toBe(202);
  return ended();
};

const report = () => points.call<ReadModelReport>('GET', PATH, { as: 'admin' });

const ended = async (): Promise<ReadModelReport['rebuild']> => {
  for (;;) {
    const { rebuild: now } = (await report()).body;
    if (now.state === 'done' || now.state === 'failed') return now;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

/** Everything in the tables. What a snapshot holds depends on where pages ended, so that it is looked at by its own means. */
const contents = async (): Promise<string[]> => {
  const texts: string[] = [];
  for (const { name } of LEDGER_TABLES.tables)
    for (const { row } of await ask<{ row: string }>(
      `select (to_jsonb(t) - 'state' - 'state_revision')::text as row from points.${name} t order by 1`,
    ))
      texts.push(`${name} ${row}`);
  return texts;
};

/** What the catalogue says of tables and views: names, columns, comments, rights, keys and indexes. */
const catalogue = () =>
  ask<Record<string, unknown>>(`
    select n.nspname, c.relname, c.relkind, c.relacl::text, c.reloptions::text, obj_description(c.oid) as about, pg_get_userbyid(c.relowner) as owner,
      (select json_agg(json_build_array(attname, format_type(atttypid, atttypmod), attnotnull, col_description(c.oid, attnum)) order by attnum)
       from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped) as columns,
      (select json_agg(pg_get_constraintdef(k.oid) order by conname) from pg_constraint k where conrelid = c.oid) as constraints,
      (select json_agg(indexdef order by indexname) from pg_indexes where schemaname = n.nspname and tablename = c.relname) as indexes,
      case when c.relkind = 'v' then pg_get_viewdef(c.oid) end as definition
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('points', 'analytics') and c.relkind in ('r', 'v') order by 1, 2`);

const told = () =>
  ask<{ count: string }>(
    `select count(*) from messaging.log where topic = (select id from messaging.topics where name = 'loyalty.points')`,
  ).then(([row]) => Number(row?.count));

beforeAll(async () => {
  database = await createTestDatabase();
  points = await startTestService(pointsService, { url: database.url, adapters: 'postgres' });
  members = await enrol(40);
  await eventually(async () =>
    expect(await ask('select from points.account_references')).toHaveLength(members.length * 2),
  );
  for (let batch = 0; batch < 4; batch++) await buy(500);
}, LONG_MS);

afterAll(async () => {
  await points.close();
  await database.drop();
});

describe('a rebuild of the read models', () => {
  it(
    'ends with the same tables, mends what was spoilt, and tells nothing again',
    async () => {
      const [before, shape, outgoing] = [await contents(), await catalogue(), await told()];
      await ask('update points.accounts set available = available + 7, state = $1, state_revision = -1', ['']);
      await ask(
        'delete from points.transactions where transaction_id in (select transaction_id from points.transactions limit 9)',
      );
      await ask('update points.lots set remaining = remaining + 1');
      expect(await rebuild()).toMatchObject({ state: 'done', events: 2_000, goal: 2_000, failure: null });
      expect(await contents()).toEqual(before);
      expect(await catalogue()).toEqual(shape);
      expect(await told()).toBe(outgoing);
      await buy(100);
      expect(await told()).toBe(outgoing + 200);
    },
    LONG_MS,
  );

  it(
    'is not cut off where the last events take longer than an idle transaction may last',
    async () => {
      await ask(
        `create function public.dawdle() returns trigger language plpgsql as $$ begin perform pg_sleep(6); return new; end $$`,
      );
      await ask(
        `create trigger dawdle before update on points.rebuilds for each row
         when (old.state = 'swapping' and new.events > old.events and new.state = 'swapping') execute function public.dawdle()`,
      );
      try {
        expect(await rebuild()).toMatchObject({ state: 'done', failure: null });
      } finally {
        await ask('drop trigger dawdle on points.rebuilds');
      }
    },
    LONG_MS,
  );

  it(
    'loses nothing and doubles nothing while purchases go on',
    async () => {
      let going = true;
      const flow = (async () => {
        for (let n = 0; going || n < 4; n++) await buy(50);
      })();
      const done = await rebuild();
      going = false;
      await flow;
      expect(done).toMatchObject({ state: 'done' });
      await eventually(async () => expect((await report()).body.eventsBehind).toBe(0));
      const [sums] = await ask<Record<string, string>>(`
        select (select count(*) from eventstore.events) as events, (select count(*) from points.transactions) as movements,
          (select sum(amount) from points.transactions) as moved, (select sum(available) from points.accounts) as available,
          (select sum(remaining) from points.lots) as remaining, (select events from points.checkpoints where name = 'points') as counted`);
      expect(sums?.['movements']).toBe(sums?.['events']);
      expect(sums?.['counted']).toBe(sums?.['events']);
      expect(sums?.['available']).toBe(sums?.['moved']);
      expect(sums?.['remaining']).toBe(sums?.['moved']);
      expect(await told()).toBe(Number(sums?.['events']) * 2);
      const before = await contents();
      await rebuild();
      expect(await contents()).toEqual(before);
    },
    LONG_MS,
  );

  it(
    'waits for somebody who reads with an older picture, and shows him one picture all along',
    async () => {
      const reader = await connect();
      await reader.query('begin isolation level repeatable read');
      // It has its picture, and no lock on any table of ours yet.
      await reader.query('select count(*) from pg_class');
      await buy(10);
      expect((await points.call('POST', `${PATH}/rebuild`, { as: 'admin' })).status).toBe(202);
      await eventually(async () => expect((await report()).body.rebuild.state).toBe('swapping'), 60_000);
      await buy(10);
      const count = async () => (await reader.query<object>('select count(*) from analytics.points_transactions')).rows;
      const seen = await count();
      await buy(10);
      expect(await count()).toEqual(seen);
      expect((await report()).body.rebuild.state).toBe('swapping');
      await reader.query('commit');
      expect(await ended()).toMatchObject({ state: 'done' });
      await reader.end();
    },
    LONG_MS,
  );

  it(
    'is given up when its process ends, and the next one begins anew',
    async () => {
      const before = await contents();
      const reader = await connect();
      await reader.query('begin isolation level repeatable read; select from pg_class');
      await points.call('POST', `${PATH}/rebuild`, { as: 'admin' });
      await eventually(async () => expect((await report()).body.rebuild.state).toBe('swapping'), 60_000);
      // As after a kill: the connection with the lock is gone, the row and the tables are still there.
      await ask(`select pg_terminate_backend(pid) from pg_locks
        where locktype = 'advisory' and (classid::bigint << 32 | objid::bigint) = hashtextextended('rebuild points', 0)`);
      await reader.end();
      // Whoever lost the lock lets row and tables be: they may be those of another process by now.
      await pause(1_000);
      expect((await report()).body.rebuild.state).toBe('interrupted');
      expect(await contents()).toEqual(before);
      await ask('create table points_next.left_over (n integer)');
      expect(await rebuild()).toMatchObject({ state: 'done' });
      expect(await contents()).toEqual(before);
      expect(await ask(`select from pg_namespace where nspname in ('points_next', 'points_old')`)).toEqual([]);
    },
    LONG_MS,
  );

  it(
    'begins anew when it is asked for right after another, and follows returns',
    async () => {
      const generation = async () =>
        Number((await ask<{ generation: number }>('select generation from points.checkpoints'))[0]?.generation);
      const [purchase] = await ask<{ id: string }>(
        `select purchase_id as id from points.transactions where kind = 'earned' and amount > 0 order by transaction_id desc limit 1`,
      );
      const whole = { returnId: uuidv7(), purchaseId: purchase?.id, whole: true, occurredAt: '2026-05-02T10:00:00Z' };
      const [account] = await ask<{ member: string }>(
        'select member_id as member from points.transactions where purchase_id = $1',
        [purchase?.id],
      );
      const body = {
        ...event(account?.member ?? '', 1),
        type: 'commerce.purchase.returned',
        data: { ...whole, member: `member:${account?.member}` },
      };
      const headers = { 'content-type': 'application/cloudevents+json', prefer: 'wait=30' };
      const answer = await points.call('POST', '/v1/returns', { body: JSON.stringify(body), headers });
      expect(answer.body).toMatchObject({ status: 'taken' });
      expect(await ask('select from points.lot_draws')).not.toEqual([]);
      const [before, first] = [await contents(), await generation()];
      for (let round = 1; round <= 3; round++) {
        expect(await rebuild()).toMatchObject({ state: 'done' });
        expect(await generation()).toBe(first + round);
      }
      expect(await contents()).toEqual(before);
    },
    LONG_MS,
  );

  it(
    'leaves a reader that goes on where the store takes longer than an idle transaction may last',
    async () => {
      const { eventStore } = points.context;
      const load = eventStore.load.bind(eventStore);
      // Every snapshot lags, and the reader has none in memory.
      await ask('update points.accounts set state_revision = -1, state = $1', [
        JSON.stringify({ at: null, available: 0, earned: 0, lots: [] }),
      ]);
      await ask('update points.checkpoints set generation = generation + 1');
      eventStore.load = async (...asked) => {
        await pause(6_000);
        return load(...asked);
      };
      try {
        await buy(10);
      } finally {
        eventStore.load = load;
      }
      const before = await contents();
      expect(await rebuild()).toMatchObject({ state: 'done' });
      expect(await contents()).toEqual(before);
    },
    LONG_MS,
  );

  it('is for administrators', async () => {
    expect((await points.call('POST', `${PATH}/rebuild`, { as: 'auditor' })).status).toBe(403);
    expect((await points.call('GET', PATH, { as: 'auditor' })).status).toBe(200);
    expect((await points.call('GET', PATH, { as: 'support' })).status).toBe(403);
  });
});
