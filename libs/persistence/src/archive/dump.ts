import pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { quoteName } from '../copy.js';
import type { ArchiveWriter, Series } from './archive-file.js';

export const ARCHIVE_FORMAT = 1;

export type DumpedTable = Series & {
  /** With its schema. */
  readonly name: string;
  readonly columns: readonly string[];
  readonly rows: number;
};

export type DumpedSequence = { readonly name: string; readonly last: string | null };

/** What a backup says of itself. */
export type Manifest = {
  readonly format: typeof ARCHIVE_FORMAT;
  /** Version of Vafa that wrote it. */
  readonly version: string;
  readonly createdAt: string;
  readonly postgres: string;
  /** Of each schema, the migrations that its tables stand at. */
  readonly migrations: Readonly<Record<string, readonly string[]>>;
  readonly tables: readonly DumpedTable[];
  readonly sequences: readonly DumpedSequence[];
};

/** Bookkeeping of the migrations is in the manifest; the twins of a rebuild are made anew when one is wanted. */
const TABLES = `
  select format('%I.%I', n.nspname, c.relname) as name, n.nspname as schema, c.reltuples::float8 as rows,
    (select json_agg(attname order by attnum) from pg_attribute
     where attrelid = c.oid and attnum > 0 and not attisdropped and attgenerated = '') as columns
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'r' and c.relname <> 'migrations' and to_regclass(format('%I.migrations', n.nspname)) is not null
  order by 1`;

const SEQUENCES = `
  select format('%I.%I', schemaname, sequencename) as name, last_value::text as last from pg_sequences
  where to_regclass(format('%I.migrations', schemaname)) is not null order by 1`;

type Table = { readonly name: string; readonly schema: string; readonly rows: number; readonly columns: string[] };

/**
 * Writes every table of every schema of ours as it stands at one moment, while work goes on: one transaction with one snapshot, in which
 * nothing is locked but against changes of the tables themselves. The connection's login must own the tables.
 */
export const dumpDatabase = async (
  client: pg.Client,
  archive: ArchiveWriter,
  options: {
    readonly version: string;
    readonly onProgress: (rows: number, expected: number, table: string) => void;
    readonly signal: AbortSignal;
  },
): Promise<Manifest> => {
  await beginWith(client);
  try {
    const tables = await ask<Table>(client, TABLES);
    const [server] = await ask<{ version: string; now: string }>(
      client,
      `select current_setting('server_version') as version, to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as now`,
    );
    const expected = tables.reduce((sum, { rows }) => sum + Math.max(0, rows), 0);
    const dumped: DumpedTable[] = [];
    let done = 0;
    for (const { name, columns } of tables) {
      const told = (rows: number): void => options.onProgress(done + rows, expected, name);
      const table = await dumpTable(client, archive, { name, columns }, options.signal, told);
      done += table.rows;
      dumped.push(table);
    }
    const migrations = await dumpMigrations(client, [...new Set(tables.map(({ schema }) => schema))]);
    // A sequence knows no snapshots: read last, it is beyond every value that was written above.
    const sequences = await ask<DumpedSequence>(client, SEQUENCES);
    const { version: postgres = '', now: createdAt = '' } = server ?? {};
    const { version } = options;
    return { format: ARCHIVE_FORMAT, version, createdAt, postgres, migrations, tables: dumped, sequences };
  } finally {
    await client.query('rollback').catch(() => undefined);
  }
};

const ask = async <Row>(client: pg.Client, sql: string): Promise<Row[]> => (await client.query(sql)).rows as Row[];

const BEGIN_ATTEMPTS_MAX = 10;

/** The locks come before the snapshot: nobody puts another table in the place of one of these between the two. */
const beginWith = async (client: pg.Client): Promise<void> => {
  for (let attempt = 1; ; attempt++) {
    const before = (await ask<Table>(client, TABLES)).map(({ name }) => name);
    await client.query('begin isolation level repeatable read');
    try {
      if (before.length > 0) await client.query(`lock table ${before.join(', ')} in access share mode`);
      const now = (await ask<Table>(client, TABLES)).map(({ name }) => name);
      if (now.join() === before.join()) return;
      throw new Error('tables are being changed while the backup begins: try again');
    } catch (error) {
      await client.query('rollback');
      if (attempt === BEGIN_ATTEMPTS_MAX) throw error;
    }
  }
};

const dumpTable = async (
  client: pg.Client,
  archive: ArchiveWriter,
  { name, columns }: Pick<Table, 'name' | 'columns'>,
  signal: AbortSignal,
  onRows: (rows: number) => void,
): Promise<DumpedTable> => {
  const list = columns.map((column) => pg.escapeIdentifier(column)).join(', ');
  const stream = client.query(copyTo(`copy ${name} (${list}) to stdout`));
  let seen = 0;
  const watched = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      signal.throwIfAborted();
      for (const byte of chunk) if (byte === 10) seen++;
      onRows(seen);
      yield chunk;
    }
  };
  const series = await archive.series(name, watched());
  if (stream.rowCount !== seen) throw new Error(`${name}: ${stream.rowCount} rows were sent and ${seen} arrived`);
  return { name, columns, rows: seen, ...series };
};

const dumpMigrations = async (client: pg.Client, schemas: readonly string[]): Promise<Record<string, string[]>> => {
  const found: Record<string, string[]> = {};
  for (const schema of schemas) {
    const rows = await ask<{ name: string }>(
      client,
      `select name from ${quoteName(`${schema}.migrations`)} order by timestamp, id`,
    );
    found[schema] = rows.map(({ name }) => name);
  }
  return found;
};
