import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { EventStoreDbStandIn, STAND_IN_HARMS, eventually, harm } from '@vafa/testing';
import pg from 'pg';

import { RunningClub } from './running-club.js';

const LONG_MS = 10 * 60_000;
const PURCHASES = 3_000;
/** As the real server was seen to do. */
const RACING_REPEAT_MS = 10;
const SEED = Number(process.env['VAFA_TEST_SEED'] ?? 20_261_122);

/** A number from 0 to `below`, the same in every run of a seed. */
const randomOf = (seed: number): ((below: number) => number) => {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
};

describe('a club whose ledger is in EventStoreDB (on the stand-in)', () => {
  let standIn: EventStoreDbStandIn;
  let remote: RunningClub;
  let local: RunningClub;
  const inFolder = (name: string): string => join(remote.folder, name);

  const owner = async <Row>(sql: string): Promise<Row[]> => {
    const run = JSON.parse(await readFile(inFolder('data/run.json'), 'utf8')) as { databaseOwner: string };
    const client = new pg.Client({ connectionString: run.databaseOwner });
    await client.connect();
    try {
      return (await client.query(sql)).rows as Row[];
    } finally {
      await client.end();
    }
  };
  const figures = async (): Promise<unknown> =>
    (
      await owner(`
        select (select count(*)::int from eventstore.events) as local,
          (select count(*)::int from points.transactions) as movements,
          (select sum(balance)::int from analytics.points_balances) as points,
          (select count(*)::int from messaging.log) as published,
          (select md5(string_agg(recorded_at::text, ',' order by transaction_id)) from points.transactions) as times`)
    )[0];

  beforeAll(async () => {
    process.stderr.write(`The harms of this run follow from VAFA_TEST_SEED=${SEED}.\n`);
    standIn = await EventStoreDbStandIn.start();
    standIn.faults.racingRepeatMs = RACING_REPEAT_MS;
    remote = await RunningClub.stopped({ VAFA_EVENTSTOREDB_URL: standIn.url });
    local = remote.with({});
    const history = await remote.vafa('generate', 'purchases', '--members', '200', '--purchases', String(PURCHASES));
    await writeFile(inFolder('a.ndjson'), history.stdout);
  }, LONG_MS);

  afterAll(async () => {
    await remote.stop();
    await local.dispose();
    await standIn.stop();
  });

  it(
    'takes in a history while the server is cut off, gone, frozen, slow and unavailable, to the last point',
    async () => {
      await remote.start();
      const ended = new AbortController();
      const harming = harm(standIn, { random: randomOf(SEED), pauseMs: { low: 100, high: 500 }, signal: ended.signal });
      const first = await remote.json('import', 'purchases', 'a.ndjson', '--enrol');
      ended.abort();
      expect(new Set(await harming)).toEqual(new Set(STAND_IN_HARMS));
      expect(first).toMatchObject({ code: 0, rows: PURCHASES, taken: PURCHASES });
      expect(await remote.json('verify')).toMatchObject({ code: 0, ok: true, events: PURCHASES });
      expect(await remote.json('import', 'purchases', 'a.ndjson', '--enrol')).toMatchObject({
        code: 0,
        taken: PURCHASES,
        points: first['points'],
      });
      expect(await figures()).toMatchObject({ local: 0, movements: PURCHASES, points: first['points'] });
      const accounts = standIn.log.all.filter(({ streamId }) => streamId.startsWith('account-'));
      expect(accounts).toHaveLength(PURCHASES);
      expect(new Set(accounts.map(({ id }) => id)).size).toBe(PURCHASES);
    },
    LONG_MS,
  );

  it(
    'goes on after a kill -9 in the middle',
    async () => {
      const more = await remote.vafa('generate', 'purchases', '--members', '200', '--purchases', '2000', '--seed', '7');
      await writeFile(inFolder('b.ndjson'), more.stdout);
      const { appends } = standIn;
      let hasEnded = false;
      const importing = remote.vafa('import', 'purchases', 'b.ndjson', '--enrol').finally(() => (hasEnded = true));
      await eventually(() => expect(standIn.appends).toBeGreaterThan(appends + 200), LONG_MS);
      expect(hasEnded).toBe(false);
      await remote.crash();
      expect(standIn.appends).toBeLessThan(appends + 2_000);
      await remote.start();
      await importing;
      expect(await remote.json('import', 'purchases', 'b.ndjson', '--enrol')).toMatchObject({ code: 0, taken: 2_000 });
      expect(await remote.json('verify')).toMatchObject({ code: 0, ok: true, events: PURCHASES + 2_000 });
    },
    LONG_MS,
  );

  it(
    'is not moved while it runs, and does not start on the other store by mistake',
    async () => {
      const refused = await remote.vafa('move', '--to', 'postgres');
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/runs|in use/i) });
      await remote.stop();
      await expect(local.start()).rejects.toThrow(/The ledger lives in EventStoreDB: set VAFA_EVENTSTOREDB_URL/);
      const other = await EventStoreDbStandIn.start();
      const wrong = local.with({ VAFA_EVENTSTOREDB_URL: other.url });
      await expect(wrong.start()).rejects.toThrow(/VAFA_EVENTSTOREDB_URL is empty, and the ledger is elsewhere/);
      await other.stop();
      expect(await local.vafa('move', '--to', 'postgres')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('VAFA_EVENTSTOREDB_URL'),
      });
      expect((await remote.vafa('move', '--to', 'paper')).code).toBe(2);
    },
    LONG_MS,
  );

  it(
    'moves to PostgreSQL and back, broken off and taken up again, and nothing is folded or published twice',
    async () => {
      await remote.start();
      const before = (await figures()) as Record<string, unknown>;
      await remote.stop();
      expect(await remote.json('move', '--to', 'postgres')).toMatchObject({
        code: 0,
        to: 'postgres',
        events: 5_000,
        differencesTotal: 0,
      });
      await expect(remote.start()).rejects.toThrow(/The ledger lives in PostgreSQL.*vafa move/);
      await local.start();
      expect(await local.json('verify')).toMatchObject({ code: 0, ok: true, events: 5_000 });
      expect(await local.json('import', 'purchases', 'a.ndjson', '--enrol')).toMatchObject({
        code: 0,
        taken: PURCHASES,
      });
      expect(await figures()).toMatchObject({ ...before, local: 5_000, published: expect.any(Number) });
      const more = await local.vafa('generate', 'purchases', '--members', '50', '--purchases', '500', '--seed', '9');
      await writeFile(inFolder('c.ndjson'), more.stdout);
      await local.json('import', 'purchases', 'c.ndjson', '--enrol');
      await local.stop();

      const { appends } = standIn;
      const off = remote.vafa('move', '--to', 'eventstoredb');
      await eventually(() => expect(standIn.appends).toBeGreaterThan(appends + 500), LONG_MS);
      standIn.faults.refuse = 'unavailable';
      expect((await off).code).toBe(1);
      standIn.faults.refuse = 'nothing';
      await expect(remote.start()).rejects.toThrow(/on its way to EventStoreDB/);
      expect(await remote.json('move', '--to', 'eventstoredb')).toMatchObject({
        code: 0,
        events: 5_500,
        differencesTotal: 0,
      });
      await remote.start();
      expect(await remote.json('verify')).toMatchObject({ code: 0, ok: true, events: 5_500 });
      expect(await remote.vafa('move', '--to', 'eventstoredb')).toMatchObject({ code: 1 });
    },
    LONG_MS,
  );
});
