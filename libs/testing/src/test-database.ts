import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { extname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

/** A database of one's own on the server that tests share. */
export type TestDatabase = {
  /** With a login that owns the database and is a superuser. */
  readonly url: string;
  readonly name: string;
  /** Drops it, whoever is connected. */
  drop(): Promise<void>;
};

const FOLDER = join(tmpdir(), `vafa-test-postgres-${userInfo().uid}`);
const SERVER_FILE = join(FOLDER, 'server.json');
const LOCK_FILE = join(FOLDER, 'starting.lock');
const START_TIMEOUT_MS = 60_000;
/** A lock of this age belongs to a process that is gone, whatever its process id says. */
const LOCK_AGE_MAX_MS = 45_000;
/** Whoever is slower to answer is taken for dead: long, since a busy machine is not. */
const CONNECT_TIMEOUT_MS = 20_000;
const POLL_MS = 50;
const OBJECT_IN_USE = '55006';
const DROP_ATTEMPTS_MAX = 5;
const DROP_RETRY_MS = 1_000;

/**
 * Makes an empty database on the server named by `VAFA_TEST_DATABASE_URL` (its login must be a superuser), or else on an embedded one, which is started
 * where none runs and stops by itself some seconds after the last test has let go of it.
 * @throws after a minute where no server could be had; the server's log is beside its data in the folder for temporary files.
 */
export const createTestDatabase = async (): Promise<TestDatabase> => {
  // Its connection is held until the database is dropped: it is what tells the server that it is in use.
  const { admin, serverUrl } = await connectAdmin();
  const name = `vafa_test_${process.pid}_${randomUUID().slice(0, 8)}`;
  await admin.query(`create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    name,
    drop: async () => {
      await dropDatabase(admin, name);
      await admin.end();
    },
  };
};

/** The server gives connections that it ended five seconds to go, which is not long on a busy machine. */
const dropDatabase = async (admin: pg.Client, name: string): Promise<void> => {
  for (let attempt = 1; ; attempt++) {
    try {
      await admin.query(`drop database if exists ${name} with (force)`);
      return;
    } catch (error) {
      const isInUse = error instanceof pg.DatabaseError && error.code === OBJECT_IN_USE;
      if (!isInUse || attempt === DROP_ATTEMPTS_MAX) throw error;
      await pause(DROP_RETRY_MS);
    }
  }
};

type Admin = { readonly admin: pg.Client; readonly serverUrl: string };

const connectAdmin = async (): Promise<Admin> => {
  const given = process.env['VAFA_TEST_DATABASE_URL'];
  if (given !== undefined) return { admin: await connect(given), serverUrl: given };
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    const url = await readServer();
    const client = url === undefined ? undefined : await connect(url).catch(() => undefined);
    // Looked up once more, now that the server sees us: one that stops is out of sight before it counts its connections for the last time.
    if (url !== undefined && client !== undefined && (await readServer()) === url)
      return { admin: client, serverUrl: url };
    await client?.end();
    await startOrWait(url);
  }
  throw new Error(`no PostgreSQL for tests after ${START_TIMEOUT_MS / 1000} s: see ${join(FOLDER, 'server.log')}`);
};

const connect = async (url: string): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, keepAlive: true });
  client.on('error', () => undefined);
  await client.connect();
  return client;
};

const readServer = async (): Promise<string | undefined> => {
  try {
    const { url } = JSON.parse(await readFile(SERVER_FILE, 'utf8')) as { url: string };
    return url;
  } catch {
    return undefined;
  }
};

/** One process starts the server; the others wait a moment and look again. `dead` is the address that did not answer. */
const startOrWait = async (dead: string | undefined): Promise<void> => {
  await mkdir(FOLDER, { recursive: true, mode: 0o755 });
  if (!(await takeLock())) {
    await pause(POLL_MS);
    return;
  }
  try {
    const announced = await readServer();
    if (announced !== dead) return;
    await rm(SERVER_FILE, { force: true });
    spawnServer();
    const deadline = Date.now() + LOCK_AGE_MAX_MS / 2;
    while ((await readServer()) === undefined && Date.now() < deadline) await pause(POLL_MS);
  } finally {
    await rm(LOCK_FILE, { force: true });
  }
};

const takeLock = async (): Promise<boolean> => {
  try {
    await writeFile(LOCK_FILE, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    if (await isLockStale()) await rm(LOCK_FILE, { force: true });
    return false;
  }
};

const isLockStale = async (): Promise<boolean> => {
  try {
    const [{ mtimeMs }, owner] = await Promise.all([stat(LOCK_FILE), readFile(LOCK_FILE, 'utf8')]);
    // An empty file is one that is being written.
    return Date.now() - mtimeMs > LOCK_AGE_MAX_MS || (owner !== '' && !isAlive(Number(owner)));
  } catch {
    return false;
  }
};

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
};

const spawnServer = (): void => {
  const here = fileURLToPath(import.meta.url);
  const keeper = join(here, '..', `test-server${extname(here)}`);
  const log = openSync(join(FOLDER, 'server.log'), 'w');
  // Without the options of a test runner, and detached: it belongs to all runs.
  const { NODE_OPTIONS: _options, ...environment } = process.env;
  const hooks = extname(here) === '.ts' ? ['--import', new URL('./source-hooks.mjs', import.meta.url).href] : [];
  spawn(process.execPath, ['--no-warnings', ...hooks, keeper, FOLDER], {
    detached: true,
    stdio: ['ignore', log, log],
    env: environment,
  }).unref();
  closeSync(log);
};
