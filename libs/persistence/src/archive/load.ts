import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { assertName, connectClient } from '../connection.js';
import { StartupError } from '../embedded/startup-error.js';
import { ANALYTICS_SCHEMA, migrate, type MigrationSet } from '../migrate.js';
import { RESTORE_SCHEMA } from './restore-mark.js';
import { ArchiveError, type ArchiveReader } from './archive-file.js';
import { ARCHIVE_FORMAT, type DumpedTable, type Manifest } from './dump.js';

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** @throws ArchiveError for a manifest that this version cannot read, or a backup of a newer version. */
export const readManifest = (value: unknown, sets: readonly MigrationSet[]): Manifest => {
  if (!isRecord(value) || !isRecord(value['migrations']) || !Array.isArray(value['tables']))
    throw new ArchiveError('the manifest of the backup cannot be read');
  if (value['format'] !== ARCHIVE_FORMAT)
    throw new ArchiveError(
      `the backup is of format ${String(value['format'])}, and this version reads ${ARCHIVE_FORMAT}`,
    );
  const manifest = value as unknown as Manifest;
  for (const [schema, names] of Object.entries(manifest.migrations)) {
    const known = new Set(sets.find((set) => set.schema === schema)?.migrations.map(({ name }) => name));
    const unknown = names.find((name) => !known.has(name));
    if (unknown !== undefined)
      throw new ArchiveError(
        `the backup was made by a newer version (${manifest.version}; this one does not know ${schema}: ${unknown}): restore it with that version or a later one`,
      );
  }
  return manifest;
};

/** Reads the whole archive and proves that it is what was written, before anything is changed. @throws ArchiveError */
export const checkArchive = async (
  archive: ArchiveReader,
  { tables }: Manifest,
  onProgress: (table: string) => void,
): Promise<void> => {
  for (const table of tables) {
    onProgress(table.name);
    await archive.check(table.name, table);
  }
};

export type LoadOptions = {
  /** Of a login that may create schemas and roles. */
  readonly url: string;
  readonly archive: ArchiveReader;
  readonly manifest: Manifest;
  /** What this version has, in the order in which it is migrated. */
  readonly sets: readonly MigrationSet[];
  /** Takes the place of what is there. */
  readonly replace: boolean;
  /** What the mark of an unfinished restore names. */
  readonly file: string;
  readonly onProgress: (rows: number, total: number, table: string) => void;
  readonly log: (line: string) => void;
};

/**
 * Puts a backup into a database: the tables as they stood then, their rows, their sequences, and then the migrations that came since. While it works
 * a mark stands in the database, and no service starts on what is only half there.
 * @throws StartupError where the database is in use, or not empty and `replace` was not said.
 */
export const loadDatabase = async (options: LoadOptions): Promise<void> => {
  const { url, manifest, sets, log } = options;
  const client = await connectClient({ url, applicationName: 'vafa-restore' });
  try {
    await refuseInUse(client);
    if (!options.replace) await refuseFilled(client, sets);
    await mark(client, options.file);
    await clear(client, sets);
    const then = sets.flatMap((set) => {
      const names = new Set(manifest.migrations[set.schema]);
      return names.size === 0 ? [] : [{ ...set, migrations: set.migrations.filter(({ name }) => names.has(name)) }];
    });
    await migrate(url, then, () => undefined, { restoring: true });
    await loadTables(client, options);
    for (const { name, last } of manifest.sequences)
      if (last !== null) await client.query('select setval($1::regclass, $2::bigint)', [name, last]);
    await migrate(url, sets, log, { restoring: true });
    await client.query('analyze');
    await client.query(`drop schema ${RESTORE_SCHEMA} cascade`);
  } finally {
    await client.end();
  }
};

const refuseInUse = async (client: pg.Client): Promise<void> => {
  const { rows } = await client.query<{ name: string }>(
    `select application_name as name from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and application_name like 'vafa-%' limit 1`,
  );
  if (rows[0] !== undefined)
    throw new StartupError(`The database is in use (${rows[0].name}): stop every service first, then restore.`);
};

/** Tables that a first start fills by itself. */
const FILLED_BY_ITSELF = ['migrations', 'clock', 'home', 'topics', 'checkpoints', 'reader_lag', 'offsets'];

const refuseFilled = async (client: pg.Client, sets: readonly MigrationSet[]): Promise<void> => {
  const { rows: marked } = await client.query('select from pg_namespace where nspname = $1', [RESTORE_SCHEMA]);
  if (marked.length > 0) return;
  const { rows: tables } = await client.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
     where schemaname = any($1) and not tablename = any($2) order by 1`,
    [sets.map(({ schema }) => schema), FILLED_BY_ITSELF],
  );
  for (const { name } of tables) {
    const { rows } = await client.query(`select from ${name} limit 1`);
    if (rows.length > 0)
      throw new StartupError(
        `There is something here already (${name} has rows): restore into an empty installation, or say --force to replace it for good.`,
      );
  }
};

/** What `migrate` looks for before anything else. */
const mark = async (client: pg.Client, file: string): Promise<void> => {
  await client.query(`create schema if not exists ${RESTORE_SCHEMA}`);
  await client.query(
    `create table if not exists ${RESTORE_SCHEMA}.unfinished (file text not null, begun_at timestamptz not null default now())`,
  );
  await client.query(`insert into ${RESTORE_SCHEMA}.unfinished (file) values ($1)`, [file]);
};

const clear = async (client: pg.Client, sets: readonly MigrationSet[]): Promise<void> => {
  const schemas = new Set([ANALYTICS_SCHEMA, ...sets.map(({ schema }) => schema)]);
  for (const schema of schemas) await client.query(`drop schema if exists ${assertName(schema)} cascade`);
};

const loadTables = async (client: pg.Client, options: LoadOptions): Promise<void> => {
  const { archive, manifest, onProgress } = options;
  const total = manifest.tables.reduce((sum, { rows }) => sum + rows, 0);
  let done = 0;
  for (const table of await inOrder(client, manifest.tables)) {
    onProgress(done, total, table.name);
    // Rows that a migration brings along are in the backup, too.
    const { rows } = await client.query(`select from ${table.name} limit 1`);
    if (rows.length > 0) await client.query(`delete from ${table.name}`);
    const columns = table.columns.map((column) => pg.escapeIdentifier(column)).join(', ');
    const target = client.query(copyFrom(`copy ${table.name} (${columns}) from stdin`));
    await pipeline(Readable.from(archive.series(table.name)), target);
    if (target.rowCount !== table.rows)
      throw new ArchiveError(`${table.name}: the backup has ${table.rows} rows, and ${target.rowCount} were loaded`);
    done += table.rows;
  }
  onProgress(done, total, '');
};

/** A table after those that its foreign keys lead to. */
const inOrder = async (client: pg.Client, tables: readonly DumpedTable[]): Promise<DumpedTable[]> => {
  const { rows: keys } = await client.query<{ source: string; target: string }>(
    `select format('%I.%I', sn.nspname, s.relname) as source, format('%I.%I', tn.nspname, t.relname) as target
     from pg_constraint k join pg_class s on s.oid = k.conrelid join pg_namespace sn on sn.oid = s.relnamespace
       join pg_class t on t.oid = k.confrelid join pg_namespace tn on tn.oid = t.relnamespace
     where k.contype = 'f' and k.conrelid <> k.confrelid`,
  );
  const ordered: DumpedTable[] = [];
  const left = new Map(tables.map((table) => [table.name, table]));
  while (left.size > 0) {
    const free = [...left.values()].filter(
      ({ name }) => !keys.some(({ source, target }) => source === name && left.has(target)),
    );
    if (free.length === 0) throw new Error('the foreign keys of the tables lead in a circle');
    for (const table of free) left.delete(table.name);
    ordered.push(...free);
  }
  return ordered;
};
