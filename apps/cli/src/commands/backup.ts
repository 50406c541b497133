import { access, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import type pg from 'pg';

import { flag, line, Refusal, type Command, type CommandInput, type ExitCode, type Surroundings } from '../command.js';
import { codeOf } from '../errors.js';
import { audited, databaseOf } from '../installation/operator.js';
import { withOwnerDatabase } from '../installation/owner-database.js';
import { dataFolder } from '../installation/run-file.js';
import { formatNumber, formatSeconds, startProgress } from '../io/progress.js';

/** A backup is compressed: of what the database takes on the disk so large a part is asked to be free. */
const SPACE_SHARE = 0.3;

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

/** The files of the folder `keys`; none where the keys come from the environment. The server's own password stays with its folder. */
const readKeys = async (surroundings: Surroundings): Promise<Record<string, string>> => {
  const folder = join(dataFolder(surroundings), 'keys');
  const names = (await readdir(folder).catch(() => [])).filter((name) => name !== 'postgres');
  const keys = names.map(async (name) => [name, (await readFile(join(folder, name))).toString('base64')] as const);
  return Object.fromEntries(await Promise.all(keys));
};

const refuseWithoutSpace = async (client: pg.Client, free: number): Promise<void> => {
  const { rows } = await client.query<{ size: string }>('select pg_database_size(current_database()) as size');
  const needed = Number(rows[0]?.size ?? 0) * SPACE_SHARE;
  if (free >= needed) return;
  const mib = (bytes: number): string => `${formatNumber(Math.ceil(bytes / (1 << 20)))} MiB`;
  throw new Refusal(`There are ${mib(free)} free where the backup is to lie, and it may take ${mib(needed)}.`);
};

type Written = { rows: number; tables: number; bytes: number; createdAt: string; keys: boolean; seconds: number };

const write = async (client: pg.Client, input: CommandInput, file: string, version: string): Promise<Written> => {
  const { surroundings, options } = input;
  const { ArchiveWriter, dumpDatabase, freeBytes } = await import('@vafa/persistence');
  await refuseWithoutSpace(client, await freeBytes(file));
  const { rows: tuples } = await client.query<{ rows: string }>(
    `select coalesce(sum(greatest(reltuples, 0)), 0)::bigint as rows from pg_class where relkind = 'r' and relnamespace::regnamespace::text !~ '^pg_|^information'`,
  );
  const total = Number(tuples[0]?.rows ?? 0);
  const progress = startProgress(surroundings.stderr, { total, done: 0, unit: 'rows' });
  const archive = await ArchiveWriter.create(file);
  const started = performance.now();
  try {
    const manifest = await dumpDatabase(client, archive, {
      version,
      onProgress: (rows, _expected, table) => progress.update(rows, table),
      signal: surroundings.signal,
    });
    const keys = flag(options, 'without-keys') ? {} : await readKeys(surroundings);
    const withKeys = Object.keys(keys).length > 0;
    if (withKeys) await writeFile(`${file}.keys`, JSON.stringify({ format: 1, keys }), { mode: 0o600 });
    await archive.finish(manifest);
    const rows = manifest.tables.reduce((sum, table) => sum + table.rows, 0);
    const seconds = (performance.now() - started) / 1_000;
    const { createdAt, tables } = manifest;
    return { rows, tables: tables.length, bytes: archive.bytes, createdAt, keys: withKeys, seconds };
  } catch (error) {
    await archive.abandon();
    if (surroundings.signal.aborted) throw new Refusal('Given up; nothing was left behind.');
    if (codeOf(error) === 'ENOSPC') throw new Refusal('The disk is full; nothing was left behind.');
    throw error;
  } finally {
    progress.stop();
  }
};

const run = async (input: CommandInput): Promise<ExitCode> => {
  const { options, positionals, surroundings } = input;
  const file = resolve(surroundings.cwd, positionals[0] ?? '');
  if (await exists(file)) throw new Refusal(`${positionals[0]} exists already: give the backup another name.`);
  const { env, root, stdout, stderr } = surroundings;
  const apart = ['VAFA_KAFKA_BROKERS', 'VAFA_EVENTSTOREDB_URL'].filter((name) => (env[name] ?? '').trim() !== '');
  if (apart.length > 0)
    line(
      stderr,
      `${apart.join(' and ')}: what is kept there is not in this backup; docs/operations.md says how to keep it.`,
    );
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8').catch(() => '{}')) as {
    version?: string;
  };
  return withOwnerDatabase<ExitCode>(surroundings, async (client) => {
    const written = await write(client, input, file, version ?? 'unknown');
    await audited(databaseOf(client), () =>
      Promise.resolve({ action: 'backup.written', subject: 'database', details: { rows: written.rows } }),
    );
    if (flag(options, 'json')) line(stdout, JSON.stringify({ file, ...written }));
    else {
      const mib = formatNumber(Math.ceil(written.bytes / (1 << 20)));
      line(
        stdout,
        `${formatNumber(written.rows)} rows of ${written.tables} tables, as of ${written.createdAt.slice(0, 19)}Z: ${mib} MiB in ${formatSeconds(written.seconds)}.`,
      );
      if (written.keys)
        line(stdout, `The keys are in ${positionals[0]}.keys: keep that file in another place than the backup.`);
    }
    return 0;
  });
};

export const backup: Command = {
  name: 'backup',
  summary: 'Writes a consistent copy of everything in the database into one file, while work goes on.',
  usage: 'FILE',
  options: {
    'without-keys': { type: 'boolean', description: 'Writes no FILE.keys.' },
    json: { type: 'boolean', description: 'One line of JSON at the end.' },
  },
  notes: [
    'Ledger, register, read models, members, the messages of the bus with everybody\'s place in them, dead letters, audit: as they stood at one moment. A tar file of gzip pieces with a manifest that "vafa restore" checks. It exists only when it is whole.',
    'FILE.keys has the keys of the folder: the one that tokens are signed with, that of the dead letters, the password of analysts. Only its owner may read it; keep it apart from the backup.',
  ],
  positionals: { min: 1, max: 1 },
  run,
};
