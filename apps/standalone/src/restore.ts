import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { basename, join } from 'node:path';
import {
  ArchiveReader,
  checkArchive,
  connectClient,
  loadDatabase,
  readManifest,
  type Manifest,
  type MigrationSet,
} from '@vafa/persistence';
import { Audit, migrationSets } from '@vafa/service';
import { openDatabaseServer } from './database-server.js';
import { lockFolder } from './instance-lock.js';
import { MigrationCount } from './migration-count.js';
import type { StandaloneConfig } from './standalone-config.js';
import type { Startable } from './startable.js';
import { prepareFolder } from './standalone.js';

export type RestoreOptions = {
  readonly config: StandaloneConfig;
  readonly services: readonly Startable[];
  readonly file: string;
  /** The file of keys that the backup wrote beside it; none where it wrote none. */
  readonly keys: string | null;
  readonly replace: boolean;
  readonly say: (line: string) => void;
};

export type Restored = {
  readonly rows: number;
  readonly tables: number;
  readonly createdAt: string;
  readonly keys: string[];
};

const PROGRESS_MS = 5_000;

/**
 * Puts a backup into this installation's database, which must be stopped and empty unless `replace` is said. The archive is proved before anything is
 * changed, and its keys are put in place last.
 * @throws StartupError or ArchiveError, each with a sentence for the person at the keyboard
 */
export const restoreInstallation = async (options: RestoreOptions): Promise<Restored> => {
  const { config, say } = options;
  await using cleanup = new AsyncDisposableStack();
  const archive = await ArchiveReader.open(options.file);
  cleanup.defer(() => archive.close());
  const sets = migrationSets(options.services);
  const manifest = readManifest(archive.manifest, sets);
  say(`Backup of ${manifest.createdAt.slice(0, 19)}Z by version ${manifest.version}: checking that it is whole.`);
  await checkArchive(archive, manifest, () => undefined);

  prepareFolder(config.folder);
  const lock = await lockFolder(config.folder);
  cleanup.defer(() => lock.release());
  const database = await openDatabaseServer({ ...config, port: config.databasePort, log: say });
  cleanup.defer(() => database.stop());
  await load(options, database.ownerUrl, { archive, manifest, sets });
  const keys = options.keys === null ? [] : await restoreKeys(options.keys, join(config.folder, 'keys'));
  await note(database.ownerUrl, options.file, manifest);
  const rows = manifest.tables.reduce((sum, table) => sum + table.rows, 0);
  return { rows, tables: manifest.tables.length, createdAt: manifest.createdAt, keys };
};

type Source = { readonly archive: ArchiveReader; readonly manifest: Manifest; readonly sets: readonly MigrationSet[] };

const load = async ({ file, replace, say }: RestoreOptions, url: string, source: Source): Promise<void> => {
  let told = performance.now();
  const migrations = new MigrationCount();
  await loadDatabase({
    url,
    ...source,
    replace,
    file: basename(file),
    onProgress: (rows, total, table) => {
      if (performance.now() - told < PROGRESS_MS) return;
      told = performance.now();
      say(`${rows.toLocaleString('en')} of ${total.toLocaleString('en')} rows; ${table}`);
    },
    log: migrations.take,
  });
  migrations.tell(say);
};

/** The password of the database server itself belongs to the folder and stays. What is there already is kept under another name. */
const restoreKeys = async (file: string, folder: string): Promise<string[]> => {
  const { keys } = JSON.parse(await readFile(file, 'utf8')) as { keys: Record<string, string> };
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const names = Object.keys(keys).filter(
    (name) => name !== 'postgres' && /^[\w.-]+$/.test(name) && !name.startsWith('.'),
  );
  for (const name of names) {
    const target = join(folder, name);
    await copyFile(target, `${target}.before-restore`).catch(() => undefined);
    await writeFile(`${target}.restoring`, Buffer.from(keys[name] ?? '', 'base64'), { mode: 0o600 });
    await rename(`${target}.restoring`, target);
  }
  return names;
};

const note = async (url: string, file: string, manifest: Manifest): Promise<void> => {
  const client = await connectClient({ url, applicationName: 'vafa-restore' });
  const database = {
    query: async <Row>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> =>
      (await client.query(sql, [...parameters])).rows as Row[],
  };
  try {
    const actor = { subject: userInfo().username, role: 'operator', clientId: 'vafa-cli', requestId: null } as const;
    const details = { createdAt: manifest.createdAt, version: manifest.version };
    await new Audit('cli', database).record(database, {
      actor,
      action: 'backup.restored',
      subject: basename(file),
      details,
    });
  } finally {
    await client.end();
  }
};
