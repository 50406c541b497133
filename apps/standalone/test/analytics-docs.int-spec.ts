import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { membersService } from '@vafa/members';
import { pointsService } from '@vafa/points';
import { migrateInstallation, silentLogger } from '@vafa/service';
import { withTestDatabase } from '@vafa/testing';
import { readFileSync } from 'node:fs';
import pg from 'pg';

const PAGE = readFileSync(new URL('../../../docs/analytics.md', import.meta.url), 'utf8');
const PASSWORD = 'only for this test';

type Query = { readonly title: string; readonly sql: string };

/** The worked queries of the page, with their titles. */
const queries: Query[] = [...PAGE.matchAll(/^### (\d+\. .+)$[^]*?```sql\n([^]*?)```/gm)].map(([, title, sql]) => ({
  title: title ?? '',
  sql: sql ?? '',
}));

/** `view.column type` of every row in the page's tables. */
const documented = (): string[] =>
  PAGE.split(/^### /m)
    .filter((section) => section.includes('| column'))
    .flatMap((section) => {
      const view = section.slice(0, section.indexOf('\n')).trim();
      return [...section.matchAll(/^\| `(\w+)` +\| (\S+) +\|/gm)].map(([, name, type]) => `${view}.${name} ${type}`);
    });

const COLUMNS = `
  select view.relname as view, a.attname as name, obj_description(view.oid) as about, col_description(view.oid, a.attnum) as comment,
    replace(format_type(a.atttypid, null), 'timestamp with time zone', 'timestamptz') as type
  from pg_class view join pg_attribute a on a.attrelid = view.oid and a.attnum > 0 and not a.attisdropped
  where view.relnamespace = 'analytics'::regnamespace and view.relkind in ('v', 'm', 'r')`;

type Column = { view: string; name: string; type: string; about: string | null; comment: string | null };

const ALI = '0198a000-0000-7000-8000-000000000001';
const SARA = '0198a000-0000-7000-8000-000000000002';
const AWARD = '0198a000-0000-7000-8000-00000000000a';
const ids = (nr: number): string => `0198a000-0000-7000-8000-0000000000b${nr}`;

const EXPLANATION = JSON.stringify({
  programme: 1,
  currency: 'EUR',
  components: [{ rule: 'base', version: 1, rate: [1, 100], base: 1530, points: 15, rounding: 'floor', lines: ['1'] }],
  declined: [{ rule: 'base', reason: 'kind-excluded', kind: 'fee', lines: ['2'] }],
});

const CONTENT = JSON.stringify({
  purchaseId: '000123',
  currency: 'EUR',
  total: 1630,
  lines: [
    { lineId: '1', sku: '85123A', quantity: '6', amount: 1530 },
    { lineId: '2', kind: 'fee', amount: 100 },
  ],
});

/** What Sara bought, one line of it; the same number came twice, and its second content replaced the first. */
const contentOf = (purchaseId: string, total: number): string =>
  JSON.stringify({ purchaseId, currency: 'EUR', total, lines: [{ lineId: '1', quantity: '2', amount: total }] });
const REPLACEMENT = '000200;replacement=1';

/** Two members; a purchase that earned, one that waits for its member, one without any. */
const ROWS = `
  insert into members.members (member_id, external_id, enrolled_at, source, status)
    values ('${ALI}', '07592', '2026-01-05T08:00:00Z', 'shop-12', 'active'), ('${SARA}', '07593', '2026-02-05T08:00:00Z', null, 'active');
  insert into points.claims (kind, source, natural_id, claim_id, hash, status, reference, account_id, revision, occurred_at, received_at, currency, total, content)
    values ('purchase', '/pos/1', '000123', '${AWARD}', '\\x01', 'taken', 'external:07592', '${ALI}', -1, '2026-01-10T10:00:00Z', now(), 'EUR', 1630, '${CONTENT}'),
           ('purchase', '/pos/1', '000124', gen_random_uuid(), '\\x02', 'waiting', 'external:9', null, -1, '2026-01-11T10:00:00Z', now(), 'EUR', 500, '${CONTENT}'),
           ('purchase', '/pos/2', '000123', gen_random_uuid(), '\\x03', 'anonymous', null, null, -1, '2026-01-12T10:00:00Z', now(), 'EUR', 700, '${CONTENT}');
  insert into points.transactions (transaction_id, account_id, revision, member_id, kind, amount, occurred_at, effective_at, recorded_at, rule_version, source, purchase_id, explanation)
    values ('${AWARD}', '${ALI}', 0, '${ALI}', 'earned', 15, '2026-01-10T10:00:00Z', '2026-01-10T10:00:00Z', now(), 1, '/pos/1', '000123', '${EXPLANATION}');
  insert into points.lots (lot_id, account_id, revision, amount, remaining, earned_at, available_at, expires_at)
    values ('${AWARD}', '${ALI}', 0, 15, 15, '2026-01-10T10:00:00Z', '2026-01-10T10:00:00Z', null);
  insert into points.accounts (account_id, member_id, revision, available, earned_total, last_effective_at, state_revision, state)
    values ('${ALI}', '${ALI}', 0, 15, 15, '2026-01-10T10:00:00Z', -1, '');`;

/** Sara's: a purchase that was replaced, what replaced it, of which one piece came back, and one that was refused. */
const RETURNED = `
  insert into points.claims (kind, source, natural_id, claim_id, hash, status, reason, reference, account_id, revision, occurred_at, received_at, currency, total, content)
    values ('purchase', '/pos/1', '000200', '${ids(1)}', '\\x04', 'taken', null, 'external:07593', '${SARA}', -1, '2026-02-10T10:00:00Z', now(), 'EUR', 1000, '${contentOf('000200', 1000)}'),
           ('purchase', '/pos/1', '${REPLACEMENT}', '${ids(3)}', '\\x05', 'taken', null, 'external:07593', '${SARA}', 0, '2026-02-10T10:00:00Z', now(), 'EUR', 800, '${contentOf(REPLACEMENT, 800)}'),
           ('purchase', '/pos/1', '000201', '${ids(5)}', '\\x06', 'refused', 'discarded', 'external:07593', '${SARA}', -1, '2026-02-20T10:00:00Z', now(), 'EUR', 900, '${contentOf('000201', 900)}'),
           ('return', '/pos/1', 'r-1', '${ids(2)}', '\\x07', 'taken', null, null, '${SARA}', 0, '2026-02-10T10:00:00Z', now(), null, null, '{"returnId":"r-1","purchaseId":"000200","whole":true}'),
           ('return', '/pos/1', 'r-2', '${ids(4)}', '\\x08', 'taken', null, null, '${SARA}', 0, '2026-02-11T10:00:00Z', now(), null, null, '{"returnId":"r-2","purchaseId":"${REPLACEMENT}","lines":[{"lineId":"1","quantity":"1","amount":300}]}');
  insert into points.returned_lines (source, purchase_id, position, line_id, amount, quantity, return_claim)
    values ('/pos/1', '000200', 1, '1', 1000, 2, '${ids(2)}'), ('/pos/1', '${REPLACEMENT}', 1, '1', 300, 1, '${ids(4)}');
  insert into points.transactions (transaction_id, account_id, revision, member_id, kind, amount, occurred_at, effective_at, recorded_at, rule_version, source, purchase_id, return_id, explanation)
    select id::uuid, '${SARA}', revision, '${SARA}', kind, amount, '2026-02-10T10:00:00Z', '2026-02-10T10:00:00Z', now(), 1, '/pos/1', purchase_id, return_id, '{}'
    from (values ('${ids(1)}', 0, 'earned', 10, '000200', null), ('${ids(2)}', 1, 'reversed', -10, '000200', 'r-1'),
                 ('${ids(3)}', 2, 'earned', 8, '${REPLACEMENT}', null), ('${ids(4)}', 3, 'reversed', -3, '${REPLACEMENT}', 'r-2'))
      as moved(id, revision, kind, amount, purchase_id, return_id);
  insert into points.lots (lot_id, account_id, revision, amount, remaining, earned_at, available_at, expires_at)
    values ('${ids(1)}', '${SARA}', 0, 10, 0, '2026-02-10T10:00:00Z', '2026-02-10T10:00:00Z', null),
           ('${ids(3)}', '${SARA}', 2, 8, 5, '2026-02-10T10:00:00Z', '2026-02-10T10:00:00Z', null);
  insert into points.accounts (account_id, member_id, revision, available, earned_total, reversed_total, last_effective_at, state_revision, state)
    values ('${SARA}', '${SARA}', 3, 5, 18, 13, '2026-02-10T10:00:00Z', -1, '');`;

const database = withTestDatabase();

describe("the analysts' page", () => {
  let analyst: pg.Client;
  let columns: Column[];

  beforeAll(async () => {
    await migrateInstallation(database.url, [membersService, pointsService], silentLogger(), {
      analystPassword: PASSWORD,
    });
    const owner = new pg.Client({ connectionString: database.url });
    await owner.connect();
    await owner.query(ROWS + RETURNED);
    columns = (await owner.query<Column>(COLUMNS)).rows;
    await owner.end();
    const url = new URL(database.url);
    url.username = 'analyst';
    url.password = encodeURIComponent(PASSWORD);
    analyst = new pg.Client({ connectionString: url.href });
    await analyst.connect();
  });

  afterAll(() => analyst.end());

  const asOwner = async <Row extends object>(sql: string): Promise<Row[]> => {
    const owner = new pg.Client({ connectionString: database.url });
    await owner.connect();
    try {
      return (await owner.query<Row>(sql)).rows;
    } finally {
      await owner.end();
    }
  };

  const answer = async (number: number): Promise<unknown[]> => {
    const { sql } = queries[number - 1] ?? { sql: '' };
    return (await analyst.query<Record<string, unknown>>(sql)).rows;
  };

  it('has ten queries', () => {
    expect(queries.map(({ title }) => title.split('.')[0])).toEqual([
      '1',
      '2',
      '3',
      '4',
      '5',
      '6',
      '7',
      '8',
      '9',
      '10',
    ]);
  });

  it.each(queries)('runs "$title" as the role analyst', async ({ sql }) => {
    const { fields } = await analyst.query(sql);
    expect(fields.length).toBeGreaterThan(0);
  });

  it('gives the answers that the page speaks of', async () => {
    expect(await answer(1)).toEqual([{ members: '2', purchases: '6', waiting: '1', points: '20' }]);
    expect(await answer(2)).toEqual([
      { external_id: '07592', member_id: ALI, balance: '15', earned_total: '15' },
      { external_id: '07593', member_id: SARA, balance: '5', earned_total: '18' },
    ]);
    expect(await answer(7)).toEqual([
      { rule: 'base', version: 1, currency: 'EUR', awards: '1', base_in_minor_units: '1530', points: '15' },
    ]);
    expect(await answer(8)).toEqual([{ rule: 'base', reason: 'kind-excluded', kind: 'fee', purchases: '1' }]);
    expect(await answer(10)).toEqual([]);
  });

  it('counts neither what was refused nor what came back, and a purchase that was replaced once', async () => {
    const inEuros = { currency: 'EUR', month: expect.any(Date) };
    expect(await answer(3)).toEqual([
      { ...inEuros, purchases: '3', buyers: '1', kept_in_minor_units: '2830', points: '15' },
      { ...inEuros, purchases: '1', buyers: '1', kept_in_minor_units: '500', points: '5' },
    ]);
    expect(await answer(4)).toMatchObject([
      { customers: '1', came_back: '0' },
      { customers: '1', came_back: '0' },
    ]);
    expect(await answer(5)).toEqual([{ purchases: '1', members: '2', points: '20' }]);
    expect(await answer(6)).toEqual([]);
    expect(await answer(9)).toEqual([
      { kind: 'goods', currency: 'EUR', lines: '4', quantity: '19', kept_in_minor_units: '5090' },
      { kind: 'fee', currency: 'EUR', lines: '3', quantity: '3', kept_in_minor_units: '300' },
    ]);
  });

  it('lists every column there is, with its type, and none that is not', () => {
    const there = columns.map(({ view, name, type }) => `${view}.${name} ${type}`);
    expect(documented().sort()).toEqual(there.sort());
  });

  it('finds a comment on every view and column', () => {
    expect(columns.filter(({ about, comment }) => !about || !comment)).toEqual([]);
  });

  it('can read nothing but analytics as the role analyst: no other table, view or sequence there is', async () => {
    const others = await asOwner<{ name: string }>(`
      select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'v', 'm', 'p', 'f', 'S') and n.nspname <> 'analytics' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`);
    expect(others.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'points.claims',
        'members.members',
        'eventstore.events',
        'messaging.log',
        'service.clock',
      ]),
    );
    for (const { name } of others)
      await expect(analyst.query(`select from ${name}`)).rejects.toMatchObject({ code: '42501' });
  });

  it('can call none of our functions, whatever they are', async () => {
    const functions = await asOwner<{ name: string; callable: boolean }>(`
      select p.oid::regprocedure::text as name, has_schema_privilege('analyst', n.oid, 'usage') as callable
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'public')`);
    expect(functions.filter(({ callable }) => callable)).toEqual([]);
  });

  // A session may make itself writable: then the rights alone have to do.
  it.each([
    'create table analytics.mine (id int)',
    'create table public.mine (id int)',
    'create schema mine',
    'create temporary table mine (id int)',
    'insert into analytics.members (member_id) select gen_random_uuid()',
    'delete from analytics.purchases',
    'select lo_create(0)',
    `select lo_from_bytea(0, 'x')`,
    `select pg_read_file('postgresql.conf')`,
    `select pg_ls_dir('.')`,
    `select lo_import('/etc/hostname')`,
    `copy analytics.members to '/tmp/vafa-stolen.csv'`,
    `copy analytics.members to program 'cat'`,
    `create function pg_temp.f() returns int language sql as 'select 1'`,
    'set role vafa_points',
    'alter role analyst superuser',
    'create extension dblink',
    'select pg_advisory_lock(1)',
    `select pg_try_advisory_xact_lock(hashtextextended('reader points', 0))`,
    'select rolpassword from pg_authid',
    'select pg_reload_conf()',
  ])('is refused as the role analyst: %s', async (sql) => {
    await analyst.query('begin read write');
    try {
      await expect(analyst.query(sql)).rejects.toMatchObject({ code: expect.stringMatching(/^(42501|55000)$/) });
    } finally {
      await analyst.query('rollback');
    }
  });

  it('reads only and not for ever, unless a session says otherwise', async () => {
    await expect(analyst.query('create table analytics.mine (id int)')).rejects.toMatchObject({
      code: expect.stringMatching(/^(25006|42501)$/),
    });
    const { rows } = await analyst.query<Record<string, string>>(
      `select current_setting('transaction_read_only') as read_only, current_setting('statement_timeout') as statement,
         current_setting('idle_in_transaction_session_timeout') as idle`,
    );
    expect(rows).toEqual([{ read_only: 'on', statement: '15min', idle: '15min' }]);
  });
});
