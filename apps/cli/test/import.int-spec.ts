import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { RecordingClub } from './recording-club.js';
import { Terminal } from './terminal.js';

const MAP = `
source: /shop
member: external:{customer}
anonymous: ['']
occurredAt: day
currency: USD
amount: paid
skip: [{ when: { customer: test }, because: a test customer }]
`;

/** Rows of a CSV file with `customer,day,paid`; every customer buys again and again. */
const csv = (rows: number, customers = 50): string =>
  `customer,day,paid\n${Array.from({ length: rows }, (_, index) => `c${index % customers},2021-01-01T00:00:00Z,${index % 97}.50\n`).join('')}`;

describe('vafa import', () => {
  let club: RecordingClub;
  let folder: string;
  let terminal: Terminal;
  const path = (name: string): string => join(folder, name);
  const rejects = async (name: string): Promise<Record<string, unknown>[]> =>
    (await readFile(path(`${name}.rejected.ndjson`), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const purchases = (...args: string[]): string[] => ['import', 'purchases', '--map', 'map.yaml', '--enrol', ...args];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vafa-cli-'));
    club = new RecordingClub();
    const api = await club.listen();
    terminal = new Terminal(folder, { VAFA_API_URL: api, VAFA_TOKEN: 'secret' });
    await writeFile(path('map.yaml'), MAP);
  });

  afterEach(async () => {
    await club.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
  });

  it('sends every row once and tells what became of it', async () => {
    await writeFile(path('a.csv'), csv(3_000));
    const ended = await terminal.json(purchases('a.csv'));
    expect(ended).toMatchObject({
      code: 0,
      rows: 3_000,
      taken: 3_000,
      membersEnrolled: 50,
      points: club.points,
      rejected: 0,
      rejectedFile: null,
    });
    expect(club.claims.size).toBe(3_000);
    expect(club.events).toBe(3_000);
    expect(club.members.get('c7')).toBe('2021-01-01T00:00:00Z');
    expect(club.authorization).toBe('Bearer secret');
    expect(Math.max(...club.sizes)).toBeLessThanOrEqual(500);
    expect(await readdir(path('.vafa/imports'))).toEqual([]);
  });

  it('changes nothing when it comes again: the same file, a copy under another name, packed, or by standard input', async () => {
    const content = csv(1_200);
    await writeFile(path('a.csv'), content);
    await writeFile(path('b.txt'), content);
    await writeFile(path('c.csv.gz'), gzipSync(content));
    const first = await terminal.json(purchases('a.csv'));
    const keys = [...club.claims.keys()];
    expect(new Set(keys).size).toBe(1_200);
    for (const again of [
      await terminal.json(purchases('a.csv')),
      await terminal.json(purchases('b.txt')),
      await terminal.json(purchases('c.csv.gz')),
      await terminal.json(purchases('-'), { stdin: Readable.from([gzipSync(content)]) }),
    ])
      expect(again).toMatchObject({ code: 0, rows: 1_200, taken: 1_200, membersEnrolled: 0, points: first['points'] });
    expect([...club.claims.keys()]).toEqual(keys);
    expect(await readdir(folder)).not.toContain('stdin.rejected.ndjson');
  });

  it('keeps the order of each customer and never more in flight than allowed', async () => {
    await writeFile(path('a.csv'), csv(6_000, 40));
    club.delayMs = 3;
    await terminal.json(purchases('a.csv', '--parallel', '6'));
    expect(club.mostInFlight).toBeLessThanOrEqual(12);
    for (const [, ofMember] of Map.groupBy(club.order, ({ member }) => member)) {
      const lines = ofMember.map(({ purchaseId }) => Number(purchaseId.split('-').at(-1)));
      expect(lines).toEqual(lines.toSorted((one, other) => one - other));
    }
  });

  it('writes rows that did not get in to a file, with line, column and reason', async () => {
    const rows = [
      'customer,day,paid',
      'c1,2021-01-01T00:00:00Z,1.00',
      'c1,yesterday,1.00',
      'c1,2021-01-01T00:00:00Z,-5',
      'c1,2021-01-01T00:00:00Z,1.005',
      'c1,2021-01-01T00:00:00Z',
      '"c1,2021-01-01T00:00:00Z,1',
      'test,2021-01-01T00:00:00Z,1.00',
      ',2021-01-01T00:00:00Z,2.00',
      'nobody,2021-01-01T00:00:00Z,2.00',
    ];
    await writeFile(path('a.csv'), rows.join('\n'));
    const ended = await terminal.json(purchases('a.csv'));
    expect(ended).toMatchObject({
      code: 1,
      rows: 9,
      taken: 1,
      anonymous: 1,
      skipped: 1,
      rejected: 6,
      skippedBecause: { 'a test customer': 1 },
    });
    expect(await rejects('a.csv')).toMatchObject([
      {
        line: 3,
        column: 'day',
        status: 'rejected',
        reason: expect.stringContaining('"yesterday"'),
        row: { customer: 'c1', day: 'yesterday' },
      },
      { line: 4, column: 'paid', reason: expect.any(String) },
      { line: 5, column: 'paid', reason: expect.stringContaining('round: half-up') },
      { line: 6, reason: 'the row has 2 cells, the header 3' },
      { line: 7, reason: expect.stringContaining('never closed') },
      { line: 10, column: 'customer', reason: expect.stringContaining('is taken by nobody') },
    ]);
    const dry = await terminal.json(purchases('a.csv', '--dry-run'));
    expect(dry).toMatchObject({ code: 1, rows: 9, sendable: 3, skipped: 1, rejected: 5 });
  });

  it('tells conflicts and refusals apart from what was taken', async () => {
    await writeFile(path('map.yaml'), `${MAP}purchaseId: '{id}'\n`);
    const row = (id: string, paid: string): string => `c1,2021-01-01T00:00:00Z,${paid},${id}`;
    await writeFile(
      path('a.csv'),
      ['customer,day,paid,id', row('1', '5'), row('bad', '6'), row('1', '7'), row('2', '8'), row('2', '8')].join('\n'),
    );
    const ended = await terminal.json(purchases('a.csv'));
    expect(ended).toMatchObject({ code: 1, rows: 5, taken: 3, conflict: 1, rejected: 1 });
    expect(await rejects('a.csv')).toMatchObject([
      { line: 3, status: 'rejected', reason: 'must not be bad' },
      { line: 4, status: 'conflict', reason: 'other content came under this id', row: { id: '1', paid: '7' } },
    ]);
  });

  it('takes NDJSON of events and of bare data', async () => {
    const data = {
      purchaseId: '1',
      member: 'external:c1',
      occurredAt: '2021-01-01T00:00:00Z',
      currency: 'USD',
      lines: [{ lineId: '1', amount: 500 }],
      total: 500,
    };
    const { purchaseId: _id, ...nameless } = data;
    const event = { specversion: '1.0', id: 'x', source: '/pos', type: 'commerce.purchase.completed', data };
    const lines = [
      event,
      data,
      nameless,
      { ...event, type: 'commerce.activity.performed' },
      { ...data, purchaseId: '2', total: 499 },
    ].map((line) => JSON.stringify(line));
    await writeFile(path('a.ndjson'), `${lines.join('\n')}\n{"purchaseId":\n[1]\n{"a": None}\n`);
    const ended = await terminal.json(['import', 'purchases', '--enrol', '--source', '/old', 'a.ndjson']);
    expect(ended).toMatchObject({ code: 1, rows: 8, taken: 3, rejected: 5 });
    const keys = [...club.claims.keys()];
    expect(keys.slice(0, 2).toSorted()).toEqual(['/old 1', '/pos 1']);
    expect(keys[2]).toMatch(/^\/old [0-9a-f]{64}-3$/);
    expect(await rejects('a.ndjson')).toMatchObject([
      { line: 4, reason: expect.stringContaining('commerce.activity.performed') },
      { line: 5, reason: expect.stringContaining('/data/total') },
      { line: 6, reason: 'character 15: the line is not valid JSON' },
      { line: 7, reason: 'the line is JSON, but no object' },
      { line: 8, reason: 'character 7: the line is not valid JSON' },
    ]);
  });

  it('waits until the ledger knows who was enrolled', async () => {
    club.enrolmentLagMs = 400;
    await writeFile(path('a.csv'), csv(500));
    expect(await terminal.json(purchases('a.csv'))).toMatchObject({ code: 0, taken: 500, waiting: 0 });
    expect(
      await terminal.json(['import', 'purchases', '--map', 'map.yaml', '--source', '/other', 'a.csv']),
    ).toMatchObject({ taken: 500 });
  });

  it('leaves purchases waiting of whom the ledger does not hear while there is patience', async () => {
    club.enrolmentLagMs = 3_600_000;
    await writeFile(path('a.csv'), csv(200));
    expect(await terminal.json([...purchases('a.csv'), '--patience', '4'])).toMatchObject({
      code: 0,
      taken: 0,
      waiting: 200,
    });
  });

  it('leaves purchases of strangers waiting where nobody is to be enrolled', async () => {
    await writeFile(path('a.csv'), csv(200));
    const ended = await terminal.json(['import', 'purchases', '--map', 'map.yaml', 'a.csv']);
    expect(ended).toMatchObject({ code: 0, taken: 0, waiting: 200, points: 0, membersEnrolled: 0 });
  });

  it('is patient with a service that is away, busy, cut off or slow', async () => {
    await writeFile(path('a.csv'), csv(4_000));
    club.trouble = (request) =>
      (['unavailable', 'cut', 'none', 'too many', 'late', 'none'] as const)[request % 6] ?? 'none';
    const ended = await terminal.run([...purchases('a.csv'), '--json']);
    expect(JSON.parse(ended.stdout)).toMatchObject({
      rows: 4_000,
      taken: 4_000,
      points: club.points,
      membersEnrolled: 50,
    });
    expect(club.claims.size).toBe(4_000);
    expect(ended.stderr).toContain('trying again');
  });

  it('gives up after a bounded time, and goes on from there', async () => {
    await writeFile(path('a.csv'), csv(20_000));
    club.trouble = (request) => (request > 30 ? 'unavailable' : 'none');
    const ended = await terminal.run(purchases('a.csv', '--patience', '1'));
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('could not be reached for 1 s (HTTP 503)');
    const before = club.events;
    expect(before).toBeGreaterThan(1_000);

    club.trouble = () => 'none';
    const again = await terminal.json(purchases('a.csv'));
    expect(again).toMatchObject({ code: 0, rows: 20_000, taken: 20_000, points: club.points, membersEnrolled: 50 });
    expect(club.events - before).toBeLessThan(20_000);
    expect(club.claims.size).toBe(20_000);
  });

  it('stops at Ctrl-C with everything confirmed noted, rejected rows included', async () => {
    const rows = csv(30_000, 400).split('\n');
    rows[40] = 'c1,yesterday,1';
    rows[29_000] = 'c1,tomorrow,1';
    await writeFile(path('a.csv'), rows.join('\n'));
    club.delayMs = 20;
    const controller = new AbortController();
    const started = terminal.run(purchases('a.csv'), { signal: controller.signal });
    while (club.events < 8_000) await new Promise((resolve) => setTimeout(resolve, 5));
    controller.abort(new Error('interrupted'));
    const ended = await started;
    expect(ended).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/Stopped\. Everything up to line [\d,]+ is confirmed/),
    });
    const sent = club.events;

    club.delayMs = 0;
    const again = await terminal.run([...purchases('a.csv'), '--json']);
    expect(again.stderr).toContain('Going on after line');
    expect(JSON.parse(again.stdout)).toMatchObject({
      rows: 30_000,
      membersEnrolled: 400,
      taken: 29_998,
      rejected: 2,
      points: club.points,
    });
    expect(club.events - sent).toBeLessThan(30_000);
    expect(club.claims.size).toBe(29_998);
    expect((await rejects('a.csv')).map(({ line }) => line)).toEqual([41, 29_001]);
  });

  it('keeps a second run of the same import out while the first lives, and takes over from one that died', async () => {
    await writeFile(path('a.csv'), csv(50));
    club.trouble = (request) => (request > 1 ? 'unavailable' : 'none');
    await terminal.run(purchases('a.csv', '--patience', '1'));
    const [checkpoint = ''] = await readdir(path('.vafa/imports'));
    const lock = path(`.vafa/imports/${checkpoint}.lock`);
    club.trouble = () => 'none';

    await writeFile(lock, String(process.ppid));
    expect(await terminal.run(purchases('a.csv'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`under way already (process ${process.ppid})`),
    });
    await writeFile(lock, '999999999');
    expect(await terminal.json(purchases('a.csv'))).toMatchObject({ code: 0, taken: 50 });
    expect(await readdir(path('.vafa/imports'))).toEqual([]);
  });

  it('does not wait for what will not come: an address that is none, a token that is not minted', async () => {
    await writeFile(path('a.csv'), csv(5));
    const wrong = new Terminal(folder, { VAFA_API_URL: 'localhost:3000', VAFA_TOKEN: 'secret' });
    expect(await wrong.run(purchases('a.csv'))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('VAFA_API_URL'),
    });
    const production = new Terminal(folder, { VAFA_API_URL: 'http://127.0.0.1:9', VAFA_ENVIRONMENT: 'production' });
    expect(await production.run(purchases('a.csv'))).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/identity provider.*VAFA_TOKEN/),
    });
  });

  it('refuses what the token does not allow, and what is no text', async () => {
    await writeFile(path('book.csv'), Buffer.from([0x50, 0x4b, 3, 4]));
    expect(await terminal.run(purchases('book.csv'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Excel'),
    });
    await writeFile(path('half.gz'), gzipSync(csv(5_000)).subarray(0, 2_000));
    expect(await terminal.run(purchases('half.gz'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('damaged'),
    });
    expect(await terminal.run(purchases('none.csv'))).toMatchObject({
      code: 1,
      stderr: 'There is no file none.csv.\n',
    });
    await writeFile(path('other.csv'), 'client,day,paid\n');
    expect(await terminal.run(purchases('other.csv'))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('"customer"'),
    });
    await writeFile(path('empty.csv'), '');
    expect(await terminal.run(purchases('empty.csv'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('header'),
    });
  });

  it('enrols members, and knows them the second time', async () => {
    await writeFile(
      path('m.csv'),
      'externalId,enrolledAt,card\na1,2020-01-01T00:00:00Z,issue\na2,,\n a3 ,never,\nnobody,,\n',
    );
    const ended = await terminal.json(['import', 'members', 'm.csv']);
    expect(ended).toMatchObject({ code: 1, rows: 4, membersEnrolled: 2, membersKnown: 0, rejected: 2 });
    expect(await rejects('m.csv')).toMatchObject([
      { line: 4, column: 'enrolledAt', reason: expect.stringContaining('"never"') },
      { line: 5, column: 'externalId', reason: 'is taken by nobody' },
    ]);
    await writeFile(
      path('m.ndjson'),
      '{"externalId":"a1"}\n{"externalId":"a4","name":"x"}\n{"externalId":" "}\n{"externalId":"a5"}\n',
    );
    expect(await terminal.json(['import', 'members', 'm.ndjson'])).toMatchObject({
      code: 1,
      membersEnrolled: 1,
      membersKnown: 1,
      rejected: 2,
    });
    expect(club.members.get('a1')).toBe('2020-01-01T00:00:00Z');
  });

  it('drafts a map that can be used', async () => {
    await writeFile(path('a.csv'), csv(20).replace('customer,day,paid', 'customer_id,date,total_usd'));
    expect((await terminal.run(['import', 'purchases', '--init-map', '--map', 'new.yaml', 'a.csv'])).code).toBe(0);
    expect(await terminal.run(['import', 'purchases', '--init-map', '--map', 'new.yaml', 'a.csv'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there already'),
    });
    expect(await terminal.json(['import', 'purchases', '--map', 'new.yaml', '--enrol', 'a.csv'])).toMatchObject({
      code: 0,
      taken: 20,
    });
  });

  it('takes what vafa generates, without a map', async () => {
    for (const format of ['csv', 'ndjson']) {
      const made = await terminal.run([
        'generate',
        'purchases',
        '--members',
        '30',
        '--purchases',
        '300',
        '--format',
        format,
      ]);
      await writeFile(path(`made.${format}`), made.stdout);
      expect(await terminal.json(['import', 'purchases', '--enrol', `made.${format}`])).toMatchObject({
        code: 0,
        taken: 300,
      });
    }
  });
});
