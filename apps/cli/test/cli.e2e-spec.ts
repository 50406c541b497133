import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';

import { RunningClub } from './running-club.js';

const LONG_MS = 10 * 60_000;

type Letters = { readonly items: readonly { readonly id: string }[] };

describe('vafa with a running club', () => {
  let club: RunningClub;
  const inFolder = (name: string): string => join(club.folder, name);
  const owner = async <Row>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> => {
    const { databaseOwner } = JSON.parse(await readFile(inFolder('data/run.json'), 'utf8')) as {
      databaseOwner: string;
    };
    const client = new pg.Client({ connectionString: databaseOwner });
    await client.connect();
    try {
      return (await client.query(sql, [...parameters])).rows as Row[];
    } finally {
      await client.end();
    }
  };
  const balances = () =>
    owner<{ external_id: string; balance: string }>(
      'select external_id, balance from analytics.members join analytics.points_balances using (member_id) order by external_id',
    );
  const generate = async (name: string, ...args: string[]): Promise<void> => {
    await writeFile(inFolder(name), (await club.vafa('generate', 'purchases', ...args)).stdout);
  };

  beforeAll(async () => {
    club = await RunningClub.start();
  }, LONG_MS);

  afterAll(() => club.dispose());

  it('tells what runs where, and what may be set', async () => {
    const status = await club.json('status');
    expect(status).toMatchObject({
      code: 0,
      running: true,
      api: expect.stringMatching(/^http:/),
      database: expect.stringContaining('analyst:'),
    });
    expect(Object.keys(status['services'] as object).toSorted()).toEqual(['members', 'points']);
    expect(JSON.stringify(status)).not.toContain('vafa:');
    const { settings } = (await club.json('config')) as { settings: { name: string }[] };
    expect(settings.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['VAFA_PORT', 'VAFA_DATABASE_PORT', 'VAFA_CARD_PREFIX']),
    );
  });

  it('mints a token that the API takes, and nothing else on standard output', async () => {
    const { stdout, code } = await club.vafa('token', '--role', 'admin', '--expires', '5m');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    const { api } = await club.json('status');
    const answer = await fetch(`${String(api)}/v1/members/external:nobody`, {
      headers: { authorization: `Bearer ${stdout.trim()}` },
    });
    expect(answer.status).toBe(404);
  });

  it(
    'imports, again without effect, and proves the read models',
    async () => {
      await generate('a.ndjson', '--members', '200', '--purchases', '3000');
      const first = await club.json('import', 'purchases', 'a.ndjson', '--enrol');
      expect(first).toMatchObject({ code: 0, rows: 3_000, taken: 3_000, waiting: 0 });
      const before = await balances();
      expect(before).toHaveLength(Number(first['membersEnrolled']));
      expect(before.reduce((sum, { balance }) => sum + Number(balance), 0)).toBe(first['points']);

      await copyFile(inFolder('a.ndjson'), inFolder('b.ndjson'));
      expect(await club.json('import', 'purchases', 'b.ndjson', '--enrol')).toMatchObject({
        taken: 3_000,
        points: first['points'],
        membersEnrolled: 0,
      });
      expect(await balances()).toEqual(before);
      expect(await club.json('verify')).toMatchObject({
        code: 0,
        ok: true,
        events: 3_000,
        points: String(first['points']),
        behind: 0,
      });
    },
    LONG_MS,
  );

  it(
    'tells the past: closes what was imported, and gives statements of it',
    async () => {
      const rows = [
        'p1,external:past,2024-01-05T10:00:00Z,EUR,10.00',
        'p2,external:past,2024-02-05T10:00:00Z,EUR,5.00',
      ];
      await writeFile(inFolder('p.csv'), ['purchaseId,member,occurredAt,currency,amount', ...rows, ''].join('\n'));
      const imported = await club.json('import', 'purchases', 'p.csv', '--enrol', '--close', '2024-01');
      expect(imported).toMatchObject({ code: 0, taken: 2 });
      expect(await club.json('periods', 'list')).toMatchObject({ items: [{ period: '2024-01', start: null }] });
      expect(await club.json('periods', 'close', '2024-01')).toMatchObject({ code: 0, period: '2024-01' });
      expect((await club.vafa('periods', 'close', '2924-01')).code).toBe(1);
      expect((await club.vafa('periods', 'close', 'last')).code).toBe(2);
      const then = ['--as-of', '2024-01-31T00:00:00Z'];
      expect(await club.json('points', 'external:past', ...then)).toMatchObject({ balance: 10 });
      expect((await club.vafa('points', 'external:past', '--as-of', 'then')).code).toBe(2);
      expect((await club.vafa('points', 'statement', 'external:past', '--from', 'then')).code).toBe(2);
      expect((await club.vafa('inbox', 'list', '--kind', 'gift')).code).toBe(2);
      expect((await club.vafa('audit', '--from', 'then')).code).toBe(2);
      expect((await club.vafa('dead-letters', 'list', '--kind', 'gift')).code).toBe(2);
      const statement = ['points', 'statement', 'external:past', '--period', '2024-01'];
      expect(await club.json(...statement)).toMatchObject({ closed: true, opening: 0, closing: 10 });
      expect((await club.vafa(...statement, '--format', 'csv')).stdout).toMatch(/\r\nclosing,2024-01-31,/);
      expect((await club.vafa(...statement, '--format', 'pdf', '--language', 'fa', '--out', 'p.pdf')).code).toBe(0);
      expect((await readFile(inFolder('p.pdf'))).subarray(0, 5).toString()).toBe('%PDF-');
    },
    LONG_MS,
  );

  it(
    'takes up what waited once the member is imported',
    async () => {
      await writeFile(
        inFolder('w.csv'),
        'purchaseId,member,occurredAt,currency,amount\nw1,external:late,2025-01-01T00:00:00Z,EUR,12.50\n',
      );
      expect(await club.json('import', 'purchases', 'w.csv')).toMatchObject({ code: 0, waiting: 1, taken: 0 });
      await writeFile(inFolder('m.csv'), 'externalId\nlate\n');
      expect(await club.json('import', 'members', 'm.csv')).toMatchObject({ code: 0, membersEnrolled: 1 });
      for (
        let attempt = 0;
        attempt < 100 && !(await balances()).some(({ external_id: id }) => id === 'late');
        attempt += 1
      )
        await pause(100);
      expect(await club.json('import', 'purchases', 'w.csv')).toMatchObject({ taken: 1, waiting: 0, points: 12 });
    },
    LONG_MS,
  );

  it(
    'finds every kind of difference',
    async () => {
      const [row] = await owner<{ id: string; account: string }>(
        'select transaction_id as id, account_id as account from points.transactions limit 1',
      );
      const spoilt: readonly (readonly [string, string, string])[] = [
        [
          'update points.accounts set available = available + 1 where account_id = $1',
          'accounts: balance',
          'update points.accounts set available = available - 1 where account_id = $1',
        ],
        [
          'update points.lots set remaining = remaining + 1 where account_id = $1',
          'lots: remaining',
          'update points.lots set remaining = remaining - 1 where account_id = $1',
        ],
        [
          'update points.transactions set amount = amount + 1 where account_id = $1',
          'transactions: amount',
          'update points.transactions set amount = amount - 1 where account_id = $1',
        ],
        [
          `update points.claims set status = 'waiting' where account_id = $1`,
          'a claim with an event is taken',
          `update points.claims set status = 'taken' where account_id = $1`,
        ],
        [
          `update points.accounts set state = replace(state, '"available":', '"available":1') where account_id = $1`,
          'snapshots: state',
          `update points.accounts set state = replace(state, '"available":1', '"available":') where account_id = $1`,
        ],
      ];
      for (const [spoil, check, mend] of spoilt) {
        await owner(spoil, [row?.account]);
        const found = await club.json('verify');
        expect(found).toMatchObject({ code: 1, ok: false });
        expect(Object.keys(found['byCheck'] as object)).toContain(check);
        await owner(mend, [row?.account]);
      }
      expect(await club.json('verify')).toMatchObject({ code: 0, ok: true });
    },
    LONG_MS,
  );

  it(
    'lists, shows, replays and discards what could not be taken',
    async () => {
      await owner(`insert into messaging.log (topic, partition, key, value)
        select id, 0, 'external:dead', '{"cut":'::bytea from messaging.topics where name = 'commerce.purchases'`);
      const waiting = async () => (await club.json('dead-letters', 'list', '--reason-begins', 'not-json')) as Letters;
      let found = await waiting();
      const deadline = performance.now() + LONG_MS / 10;
      while (found.items.length === 0 && performance.now() < deadline) found = await waiting();
      const id = found.items[0]?.id ?? '';
      expect((await club.vafa('dead-letters', 'list')).stdout).toMatch(
        new RegExp(`waiting +invalid +points +commerce\\.purchases +${id} +not-json: `),
      );
      const shown = await club.vafa('dead-letters', 'show', id);
      expect(shown).toMatchObject({ code: 0, stdout: expect.stringContaining('{"cut":') });
      expect(await club.json('dead-letters', 'replay', id)).toMatchObject({ code: 0, letters: 1, sent: 1 });
      expect(await club.vafa('dead-letters', 'discard', id)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('--reason'),
      });
      expect(await club.vafa('dead-letters', 'replay')).toMatchObject({ code: 2 });
      expect(await club.json('dead-letters', 'discard', id, '--reason', 'cut off')).toMatchObject({
        code: 0,
        letters: 1,
      });
      expect(await club.vafa('dead-letters', 'discard', id, '--reason', 'again')).toMatchObject({ code: 1 });
      expect((await club.vafa('dead-letters', 'list')).stdout).toBe('No dead letters.\n');
      expect((await club.json('dead-letters', 'list', '--status', 'discarded'))['items']).toMatchObject([
        { id, note: 'cut off' },
      ]);
      expect(await club.vafa('dead-letters', 'list', '--kind', 'odd')).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('--kind must be one of'),
      });
      expect(await club.vafa('dead-letters', 'show', 'odd')).toMatchObject({ code: 1 });
    },
    LONG_MS,
  );

  it(
    'settles by hand what came in untidy: seen, given to a member, decided between two contents, given up',
    async () => {
      const enrolled = { externalId: 'inbox-sara' };
      await writeFile(inFolder('sara.ndjson'), `${JSON.stringify(enrolled)}\n`);
      await club.json('import', 'members', 'sara.ndjson');
      const sold = (purchaseId: string, member: string, total: number) => ({
        ...{ purchaseId, member, occurredAt: '2026-01-05T10:00:00Z', currency: 'EUR', total },
        lines: [{ lineId: '1', amount: total }],
      });
      const rows = [
        sold('i-1', 'external:inbox-typo', 2_000),
        sold('i-2', 'external:inbox-sara', 1_000),
        sold('i-2', 'external:inbox-sara', 7_000),
        sold('i-3', 'external:inbox-lost', 3_000),
      ];
      await writeFile(inFolder('untidy.ndjson'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
      const counts = await club.json('import', 'purchases', 'untidy.ndjson', '--source', '/till-9');
      expect(counts).toMatchObject({ rows: 4, taken: 1, waiting: 2, conflict: 1 });

      type Item = { id: string; status: string; purchaseId: string };
      const { items } = (await club.json('inbox', 'list', '--source', '/till-9')) as unknown as { items: Item[] };
      expect(items.map(({ status, purchaseId }) => `${status} ${purchaseId}`)).toEqual(
        expect.arrayContaining(['waiting i-1', 'conflict i-2', 'waiting i-3']),
      );
      const idOf = (purchaseId: string): string =>
        items.find((item) => item.purchaseId === purchaseId)?.id ?? 'there is none';
      const listed = await club.vafa('inbox', 'list', '--source', '/till-9', '--status', 'conflict');
      expect(listed.stdout).toMatch(/^received +status +reason +kind +source +number +member +id\n/);
      expect(listed.stdout).toContain(idOf('i-2'));
      const shown = await club.vafa('inbox', 'show', idOf('i-2'));
      expect(shown.stdout).toContain('/total: 1000 stands, 7000 came as well');
      expect(shown.stdout).toContain('can be done: keep, replace');

      expect(await club.vafa('inbox', 'keep', idOf('i-2'))).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('--reason'),
      });
      const why = ['--reason', 'asked the shop'];
      expect(await club.vafa('inbox', 'attach', idOf('i-1'), ...why)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('--member'),
      });
      const member = ['--member', 'external:inbox-sara'];
      expect(await club.json('inbox', 'attach', idOf('i-1'), ...member, ...why)).toMatchObject({
        code: 0,
        outcome: { status: 'taken', points: 20 },
      });
      expect(await club.vafa('inbox', 'keep', idOf('i-2'), ...why)).toMatchObject({ code: 0 });
      const discarded = await club.vafa('inbox', 'discard', idOf('i-3'), ...why);
      expect(discarded).toMatchObject({ code: 0, stdout: 'purchase /till-9 i-3: refused (discarded)\n' });
      expect(await club.vafa('inbox', 'discard', idOf('i-1'), ...why)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('Somebody decided to attach it'),
      });
      expect((await club.vafa('inbox', 'list', '--source', '/till-9')).stdout).toBe('Nothing is to be settled.\n');
      expect((await club.vafa('inbox', 'show', idOf('i-3'))).stdout).toMatch(/discard, by support .*"asked the shop"/);
      expect(await club.json('points', 'external:inbox-sara')).toMatchObject({ balance: 30 });
      expect(await club.json('audit', '--action', 'inbox.settled')).toMatchObject({
        items: [{ reason: 'asked the shop' }, { reason: 'asked the shop' }, { reason: 'asked the shop' }],
      });
      expect(await club.json('verify')).toMatchObject({ code: 0 });
    },
    LONG_MS,
  );

  it(
    'moves the clock forward only',
    async () => {
      const before = (await club.json('clock')) as { now: string };
      const after = (await club.json('clock', 'advance', '36h')) as { now: string };
      expect(
        Temporal.Instant.compare(after.now, Temporal.Instant.from(before.now).add({ hours: 36 })),
      ).toBeGreaterThanOrEqual(0);
      expect(await club.vafa('clock', 'set', before.now)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('does not go back'),
      });
    },
    LONG_MS,
  );

  it(
    'tells what was done from this command line, and that a refused act was not',
    async () => {
      await club.vafa('token', '--role', 'finance', '--expires', '5m');
      const found = (await club.json('audit', '--role', 'operator', '--actor', userInfo().username)) as {
        items: Record<string, unknown>[];
      };
      const clock = found.items.filter(({ action }) => action === 'clock.moved');
      expect(clock).toMatchObject([{ service: 'cli', subject: 'clock', details: { from: expect.any(String) } }]);
      expect(found.items[0]).toMatchObject({
        action: 'tokens.minted',
        subject: 'role:finance',
        details: { role: 'finance', expiresInSeconds: 300 },
      });
      expect((await club.vafa('audit', '--action', 'clock.moved')).stdout).toMatch(
        new RegExp(`^\\S+Z  operator ${userInfo().username} \\(vafa-cli\\)  clock\\.moved  clock  {"from":`, 'm'),
      );
      expect(await club.vafa('audit', '--from', 'noon')).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('--from must be a date and time'),
      });
    },
    LONG_MS,
  );

  it(
    'goes on after the service was killed amid an import',
    async () => {
      await generate('k.ndjson', '--members', '500', '--purchases', '12000', '--seed', '9');
      const importing = club.json('import', 'purchases', 'k.ndjson', '--enrol');
      const taken = async (): Promise<number> =>
        Number(
          (await owner<{ taken: string }>(`select count(*) as taken from points.claims where source = '/generated'`))[0]
            ?.taken,
        );
      const begun = await taken();
      while ((await taken()) < begun + 2_000) await pause(50);
      await club.crash();
      await club.start();
      const ended = await importing;
      expect(ended).toMatchObject({ code: 0, rows: 12_000, taken: 12_000, waiting: 0 });
      const after = await balances();
      expect(await club.json('import', 'purchases', 'k.ndjson', '--enrol')).toMatchObject({
        taken: 12_000,
        points: ended['points'],
      });
      expect(await balances()).toEqual(after);
      expect(await club.json('verify')).toMatchObject({ code: 0, ok: true });
    },
    LONG_MS,
  );
});
