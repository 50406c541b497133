import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';

import { RunningClub } from './running-club.js';
import { Terminal } from './terminal.js';

const LONG_MS = 10 * 60_000;

/** What another value of a column is, by its type; one that the column's own rules allow. */
const OTHER: Readonly<Record<string, (column: string) => string>> = {
  bigint: (column) => `coalesce(${column}, 0) + 1`,
  integer: (column) => `coalesce(${column}, 0) + 1000`,
  'timestamp with time zone': (column) => `coalesce(${column}, now()) + interval '1 second'`,
  uuid: () => 'gen_random_uuid()',
  text: (column) =>
    `case when ${column} like '{%' then replace(${column}, '1', '2') else coalesce(${column}, '') || 'x' end`,
};

/** Every table that the proof is about. */
const PROVED = ['accounts', 'transactions', 'lots', 'lot_draws'];

/** Gives the whole of some purchases back. */
const giveBack = async (club: RunningClub, purchases: readonly string[]): Promise<void> => {
  const { api } = (await club.json('status')) as unknown as { api: string };
  const { stdout: token } = await club.vafa('token', '--role', 'service');
  const events = purchases.map((text) => {
    const { id, source, data } = JSON.parse(text) as { id: string; source: string; data: Record<string, unknown> };
    const returned = { returnId: `R-${id}`, purchaseId: data['purchaseId'], member: data['member'], whole: true };
    const content = { ...returned, occurredAt: data['occurredAt'] };
    return { specversion: '1.0', id, source, type: 'commerce.purchase.returned', data: content };
  });
  const answer = await fetch(`${api}/v1/returns/batch`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token.trim()}`, 'content-type': 'application/json', prefer: 'wait=30' },
    body: JSON.stringify(events),
  });
  const { results } = (await answer.json()) as { results: { status: string; reason: string | null }[] };
  expect(results.map(({ status, reason }) => [status, reason])).toEqual(events.map(() => ['taken', null]));
};

describe('vafa verify', () => {
  let club: RunningClub;
  let terminal: Terminal;
  let owner: pg.Client;
  let columns: { table: string; name: string; type: string }[];

  beforeAll(async () => {
    club = await RunningClub.start();
    const { stdout } = await club.vafa('generate', 'purchases', '--members', '5', '--purchases', '60');
    await writeFile(join(club.folder, 'a.ndjson'), stdout);
    expect(await club.json('import', 'purchases', 'a.ndjson', '--enrol')).toMatchObject({ code: 0, taken: 60 });
    await giveBack(club, stdout.trim().split('\n').slice(0, 20));
    const run = await readFile(join(club.folder, 'data', 'run.json'), 'utf8');
    const { databaseOwner } = JSON.parse(run) as { databaseOwner: string };
    owner = new pg.Client({ connectionString: databaseOwner });
    await owner.connect();
    terminal = new Terminal(club.folder, { VAFA_DATABASE_URL: databaseOwner });
    columns = (
      await owner.query<{ table: string; name: string; type: string }>(
        `select table_name as table, column_name as name, data_type as type from information_schema.columns
         where table_schema = 'points' and table_name = any($1) order by table_name, ordinal_position`,
        [PROVED],
      )
    ).rows;
  }, LONG_MS);

  afterAll(async () => {
    await owner.end();
    await club.dispose();
  });

  const verify = () => terminal.json(['verify']);

  it(
    'finds another value in any column of any table, and says so with exit code 1',
    async () => {
      expect(await verify()).toMatchObject({ code: 0, ok: true, events: 80 });
      expect(columns.length).toBeGreaterThan(30);
      for (const { table, name, type } of columns) {
        const other = OTHER[type];
        if (other === undefined)
          throw new Error(`the test knows no other value of the type ${type} (${table}.${name})`);
        await owner.query(`create table public.kept as select * from points.${table}`);
        await owner.query(
          `update points.${table} set ${name} = ${other(name)} where ctid = (select ctid from points.${table} order by 1 limit 1)`,
        );
        const found = await verify();
        expect({ column: `${table}.${name}`, code: found.code, ok: found['ok'] }).toEqual({
          column: `${table}.${name}`,
          code: 1,
          ok: false,
        });
        await owner.query(
          `truncate points.${table}; insert into points.${table} select * from public.kept; drop table public.kept`,
        );
      }
      expect(await verify()).toMatchObject({ code: 0, ok: true });
    },
    LONG_MS,
  );

  it(
    'lets every table of analytics be exported, in both formats and with as many rows',
    async () => {
      const { tables } = (await terminal.json(['export', '--list'])) as unknown as { tables: { name: string }[] };
      expect(tables.length).toBeGreaterThan(6);
      for (const { name } of tables) {
        const [csv, parquet] = [
          await terminal.json(['export', name, '--out', `${name}.csv.gz`]),
          await terminal.json(['export', name, '--out', `${name}.parquet`]),
        ];
        expect(csv).toMatchObject({ code: 0, table: name });
        expect(parquet).toMatchObject({ code: 0, rows: csv['rows'] });
      }
      expect(await terminal.json(['export', 'purchases', '--out', 'all.csv'])).toMatchObject({ rows: 60 });
    },
    LONG_MS,
  );

  it(
    'finds a row that is missing, and one too many, in each table',
    async () => {
      const keys = { accounts: 'account_id', transactions: 'transaction_id', lots: 'lot_id' };
      for (const [table, key] of Object.entries(keys)) {
        await owner.query(`create table public.kept as select * from points.${table}`);
        await owner.query(`delete from points.${table} where ctid = (select ctid from points.${table} limit 1)`);
        expect({ table, ...(await verify()) }).toMatchObject({ table, code: 1, ok: false });
        await owner.query(`truncate points.${table}; insert into points.${table} select * from public.kept`);
        // A revision far away, where there is one, so that no key is in the way.
        await owner.query(
          `update public.kept set ${key} = gen_random_uuid()${table === 'transactions' ? ', revision = revision + 100000' : ''}`,
        );
        await owner.query(`insert into points.${table} select * from public.kept limit 1`);
        expect({ table, ...(await verify()) }).toMatchObject({ table, code: 1, ok: false });
        await owner.query(
          `delete from points.${table} where ${key} in (select ${key} from public.kept); drop table public.kept`,
        );
      }
      expect(await verify()).toMatchObject({ code: 0, ok: true });
    },
    LONG_MS,
  );

  it(
    'finds what does not fit between the ledger, the register and the members',
    async () => {
      const planted: readonly (readonly [string, string])[] = [
        [`update points.claims set claim_id = gen_random_uuid()`, 'points.claims'],
        [`update points.claims set account_id = gen_random_uuid()`, 'points.claims'],
        [`update points.claims set status = 'refused'`, 'points.claims'],
        [`delete from points.claims`, 'points.claims'],
        [`update points.returned_lines set amount = amount + 100000`, 'points.returned_lines'],
        [`update points.returned_lines set return_claim = gen_random_uuid()`, 'points.returned_lines'],
        [`update points.account_references set member_id = gen_random_uuid()`, 'points.account_references'],
        [`delete from points.account_references`, 'points.account_references'],
        [`update eventstore.events set revision = revision + 1000`, 'eventstore.events'],
        [`update eventstore.events set data = replace(data, '"amount":', '"amount":1')`, 'eventstore.events'],
        [`delete from eventstore.events`, 'eventstore.events'],
      ];
      for (const [change, table] of planted) {
        await owner.query(`create table public.kept as select * from ${table}`);
        await owner.query(`${change} where ctid = (select ctid from ${table} limit 1)`);
        expect({ change, ...(await verify()) }).toMatchObject({ change, code: 1, ok: false });
        await owner.query(`truncate ${table}; insert into ${table} select * from public.kept; drop table public.kept`);
      }
      expect(await verify()).toMatchObject({ code: 0, ok: true });
    },
    LONG_MS,
  );

  it(
    'finds returns that were forgotten or took other money than the ledger says, and closings that were moved',
    async () => {
      expect(await club.json('periods', 'close', '2020-01')).toMatchObject({ code: 0 });
      expect(await verify()).toMatchObject({ code: 0, ok: true });
      const planted: readonly (readonly [table: string, check: string, change: string])[] = [
        [
          'points.returned_lines',
          'returned lines: money of an award',
          `update points.returned_lines set amount = amount - 1
           where return_claim = (select transaction_id from points.transactions where kind = 'reversed' and amount < 0 limit 1)`,
        ],
        [
          'points.claims',
          'nothing waits for a member who is known, or for a purchase that is settled',
          `insert into points.claims (kind, source, natural_id, claim_id, hash, status, reason, reference, account_id, revision, occurred_at, received_at, purchase_id, content)
           select kind, source, 'forgotten', gen_random_uuid(), hash, 'waiting', 'unknown-purchase', reference, null, revision, occurred_at, received_at, purchase_id, content
           from points.claims where kind = 'return' limit 1`,
        ],
        [
          'points.period_closings',
          'a closed period knows what its closing fixed',
          `update points.period_closings set known_at = known_at - interval '1 second'`,
        ],
        [
          'eventstore.events',
          'a return takes back at the rate of its award',
          `update eventstore.events set data = replace(data, '"rate":[', '"rate":[1')
           where position = (select min(position) from eventstore.events where type = 'PointsReversed' and data like '%"rate":%')`,
        ],
      ];
      for (const [table, check, change] of planted) {
        await owner.query(`create table public.kept as select * from ${table}`);
        expect((await owner.query(change)).rowCount).toBeGreaterThan(0);
        const { code, byCheck } = await verify();
        expect({ check, code, found: Object.keys(byCheck as object).includes(check) }).toEqual({
          check,
          code: 1,
          found: true,
        });
        await owner.query(`truncate ${table}; insert into ${table} select * from public.kept; drop table public.kept`);
      }
      expect(await verify()).toMatchObject({ code: 0, ok: true });
    },
    LONG_MS,
  );

  it(
    'agrees while purchases flow, and after a rebuild in the middle of them',
    async () => {
      const { stdout } = await club.vafa(
        'generate',
        'purchases',
        '--members',
        '50',
        '--purchases',
        '4000',
        '--seed',
        '4',
      );
      await writeFile(join(club.folder, 'b.ndjson'), stdout);
      const importing = club.json('import', 'purchases', 'b.ndjson', '--enrol');
      expect(await verify()).toMatchObject({ code: 0, ok: true });
      expect(await club.json('rebuild', 'points')).toMatchObject({ code: 0, state: 'done' });
      expect(await verify()).toMatchObject({ code: 0, ok: true });
      expect(await importing).toMatchObject({ code: 0, taken: 4_000 });
      expect(await club.json('rebuild', 'points')).toMatchObject({ code: 0, state: 'done', events: 4_080 });
      expect(await verify()).toMatchObject({ code: 0, ok: true, events: 4_080 });
      expect((await club.vafa('rebuild', 'purchases')).code).toBe(2);
      const { stdout: status } = await club.vafa('status');
      expect(status).toMatch(/reader \d+ events behind/);
    },
    LONG_MS,
  );
});
