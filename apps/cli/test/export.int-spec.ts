import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { migrate } from '@vafa/persistence';
import { createTestDatabase, type TestDatabase } from '@vafa/testing';
import { parquetMetadata, parquetReadObjects, parquetSchema } from 'hyparquet';
import pg from 'pg';

import { Terminal } from './terminal.js';

const ROWS = 120_000;
const LONG_MS = 120_000;

const SAMPLE = `
  create table analytics.sample (
    id bigint, small integer, share double precision, done boolean, who uuid, label text, day date, at timestamptz, quantity numeric, details jsonb);
  comment on table analytics.sample is 'Every type there is. And more.';
  insert into analytics.sample values
    (9007199254740993, -2147483648, 0.1, true, '0198a000-0000-7000-8000-000000000001', E'a "quoted", line\\nand another; سلام', '1969-12-31', '2026-01-05 08:00:00.123456+03:30', 1.500, '{"n": 9007199254740993, "s": "\\"x\\""}'),
    (-1, 0, -1e300, false, null, '', '2026-02-28', '1969-12-31 23:59:59.999999+00', -0.000000001, '[]'),
    (null, null, null, null, null, null, null, null, null, null);
  insert into analytics.sample (id, label, at)
    select n, 'row ' || n, timestamptz '2026-01-01' + n * interval '1 second' from generate_series(1, ${ROWS}) n;
  create view analytics.numbers as select n as number from generate_series(1, 10) n;
  create table public.hidden (n integer);
  create table analytics.long_numbers (n numeric);
  insert into analytics.long_numbers values (1.0000000001);`;

describe('vafa export', () => {
  let database: TestDatabase;
  let terminal: Terminal;
  let folder: string;

  beforeAll(async () => {
    database = await createTestDatabase();
    await migrate(database.url, [], () => undefined);
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query(SAMPLE);
    await client.end();
    folder = await mkdtemp(join(tmpdir(), 'vafa-export-'));
    terminal = new Terminal(folder, { VAFA_DATABASE_URL: database.url });
  }, LONG_MS);

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
    await database.drop();
  });

  const bytes = async (name: string): Promise<ArrayBuffer> => {
    const { buffer, byteOffset, byteLength } = await readFile(join(folder, name));
    return buffer.slice(byteOffset, byteOffset + byteLength);
  };

  it('lists what there is', async () => {
    expect((await terminal.run(['export', '--list'])).stdout).toMatch(/^sample +Every type there is$/m);
    const { tables } = (await terminal.json(['export', '--list'])) as unknown as { tables: { name: string }[] };
    expect(tables.map(({ name }) => name)).toEqual(['long_numbers', 'numbers', 'sample']);
  });

  it(
    'keeps every type in Parquet, in several row groups, as an independent reader sees them',
    async () => {
      expect(await terminal.json(['export', 'sample', '--out', 'sample.parquet'])).toMatchObject({
        code: 0,
        format: 'parquet',
        rows: ROWS + 3,
      });
      const file = await bytes('sample.parquet');
      const metadata = parquetMetadata(file);
      expect(Number(metadata.num_rows)).toBe(ROWS + 3);
      expect(metadata.row_groups.length).toBeGreaterThan(1);
      const types = parquetSchema(metadata).children.map(({ element }) => [
        element.name,
        element.type,
        element.logical_type?.type ?? element.converted_type ?? null,
      ]);
      expect(types).toEqual([
        ['id', 'INT64', null],
        ['small', 'INT32', null],
        ['share', 'DOUBLE', null],
        ['done', 'BOOLEAN', null],
        ['who', 'FIXED_LEN_BYTE_ARRAY', 'UUID'],
        ['label', 'BYTE_ARRAY', 'STRING'],
        ['day', 'INT32', 'DATE'],
        ['at', 'INT64', 'TIMESTAMP'],
        ['quantity', 'FIXED_LEN_BYTE_ARRAY', 'DECIMAL'],
        ['details', 'BYTE_ARRAY', 'JSON'],
      ]);
      // Instants as the whole numbers that they are: the reader's own form of them has milliseconds only.
      const parsers = { timestampFromMicroseconds: (micros: bigint) => micros } as never;
      const rows = await parquetReadObjects({ file, rowStart: 0, rowEnd: 3, parsers });
      expect(rows[0]).toMatchObject({
        id: 9_007_199_254_740_993n,
        small: -2_147_483_648,
        share: 0.1,
        done: true,
        who: '0198a000-0000-7000-8000-000000000001',
        label: 'a "quoted", line\nand another; سلام',
        at: 1_767_587_400_123_456n,
        quantity: 1.5,
      });
      expect(rows[1]).toMatchObject({ id: -1n, done: false, label: '', at: -1n, quantity: -1e-9 });
      expect(Object.values(rows[2] ?? {}).every((value) => value === null || value === undefined)).toBe(true);
      const [last] = await parquetReadObjects({ file, rowStart: ROWS + 2, rowEnd: ROWS + 3, parsers });
      expect(last).toMatchObject({ id: BigInt(ROWS), label: `row ${ROWS}` });
    },
    LONG_MS,
  );

  it(
    'writes CSV that says the same, plain, compressed and on standard output',
    async () => {
      const { stdout, code } = await terminal.run(['export', 'sample', '--where', 'id < 3 or id > 1e9 or id is null']);
      expect(code).toBe(0);
      expect(stdout).toBe(
        [
          'id,small,share,done,who,label,day,at,quantity,details',
          `9007199254740993,-2147483648,0.1,t,0198a000-0000-7000-8000-000000000001,"a ""quoted"", line\nand another; سلام",1969-12-31,2026-01-05T04:30:00.123456Z,1.500,"{""n"": 9007199254740993, ""s"": ""\\""x\\""""}"`,
          '-1,0,-1e+300,f,,"",2026-02-28,1969-12-31T23:59:59.999999Z,-0.000000001,[]',
          ',,,,,,,,,',
          '1,,,,,row 1,,2026-01-01T00:00:01.000000Z,,',
          '2,,,,,row 2,,2026-01-01T00:00:02.000000Z,,',
          '',
        ].join('\n'),
      );
      expect(await terminal.json(['export', 'sample', '--out', 'all.csv'])).toMatchObject({ rows: ROWS + 3 });
      expect(await terminal.json(['export', 'sample', '--out', 'all.csv.gz'])).toMatchObject({ rows: ROWS + 3 });
      const plain = await readFile(join(folder, 'all.csv'));
      expect(gunzipSync(await readFile(join(folder, 'all.csv.gz'))).equals(plain)).toBe(true);
    },
    LONG_MS,
  );

  it('says what is wrong, and leaves no half of a file', async () => {
    expect(await terminal.run(['export', 'numbes'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('numbers'),
    });
    expect(await terminal.run(['export'])).toMatchObject({ code: 2 });
    expect(await terminal.run(['export', 'numbers', '--format', 'xlsx'])).toMatchObject({ code: 2 });
    for (const where of ['1 in (select n from public.hidden)', 'nonsense', `pg_read_file('/etc/passwd') is null`])
      expect(await terminal.run(['export', 'numbers', '--out', 'wrong.csv', '--where', where])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('PostgreSQL refuses'),
      });
    expect(await terminal.run(['export', 'long_numbers', '--out', 'wrong.parquet'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('1.0000000001'),
    });
    expect((await readdir(folder)).filter((name) => name.startsWith('wrong'))).toEqual([]);
  });
});
