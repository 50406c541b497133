import { spawn, type ChildProcess } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { locateBinaries } from './binaries.js';
import {
  checkVersion,
  initialise,
  OUTPUT_CHARS_MAX,
  serverEnvironment,
  superuserPassword,
  SUPERUSER,
  type ClusterSetup,
} from './cluster.js';
import { DATABASE_PORT, freePort } from './free-port.js';
import { clearLeftover, readPostmasterFile } from './leftover.js';
import { chooseUser, giveTo } from './run-as.js';
import { serverSettings } from './settings.js';
import { errorCode, fileProblem, serverProblem, StartupError } from './startup-error.js';

const DATABASE = 'vafa';
const READY_POLL_MS = 5;
const GOODBYE_MS = 500;
// A server that was killed first replays its log, up to the 4 GB between two checkpoints.
const READY_MS_MAX = 300_000;
const PORT_ATTEMPTS_MAX = 5;
const LOG_BYTES_MAX = 16 * 1_048_576;

export type EmbeddedPostgresOptions = {
  /** Folder of the data, made on the first start; nothing else may lie in it. Its parent must be writable. */
  readonly dataDir: string;
  /** Where the superuser's password is kept; `keys/postgres` beside the data folder by default. */
  readonly passwordFile?: string;
  /** Wanted TCP port on 127.0.0.1; the next free one is taken. 0 is any. */
  readonly port?: number;
  /** False gives up what a power cut would need, for tests. */
  readonly durable?: boolean;
  /** Settings of the server that differ from ours, by name. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Takes the few lines that a person may want to read. */
  readonly log: (line: string) => void;
};

export type EmbeddedPostgres = {
  /** Connects as the superuser to the database `vafa`; holds the password. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Resolves when the server has ended, whoever ended it. */
  readonly ended: Promise<void>;
  /** Cuts the sessions, writes a checkpoint and ends. `hurry` leaves out the checkpoint: the next start replays the log. */
  stop(options?: { hurry?: boolean }): Promise<void>;
};

/**
 * Starts PostgreSQL on a folder of its own, and makes the folder on the first start. The server has its own session,
 * so that Ctrl-C in the terminal does not reach it before the services that use it have stopped; and it ends by itself
 * when this process is killed.
 *
 * @throws StartupError with one sentence that says what to do
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  try {
    return await start(options);
  } catch (error) {
    throw fileProblem(error, dirname(resolve(options.dataDir))) ?? error;
  }
}

async function start(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const binaries = await locateBinaries();
  await mkdir(dirname(resolve(options.dataDir)), { recursive: true });
  // The server calls its folder by its real path, and is recognised by it after a crash.
  const dataDir = join(
    realpathSync(dirname(resolve(options.dataDir))),
    resolve(options.dataDir).split('/').at(-1) ?? '',
  );
  const runAs = await chooseUser(binaries, dataDir);
  const passwordFile = options.passwordFile ?? join(dirname(dataDir), 'keys', 'postgres');
  const exists = await checkVersion(dataDir);
  const password = await superuserPassword(passwordFile, exists);
  const setup = { binaries, dataDir, runAs, durable: options.durable ?? true, settings: options.settings ?? {} };
  if (!exists) await initialise({ ...setup, password });
  else if (runAs.account !== undefined && (await stat(dataDir)).uid === 0) await giveTo(runAs.account, dataDir);
  await clearLeftover(dataDir, options.log);
  const server = await launch(setup, options.port ?? DATABASE_PORT);
  try {
    const url = `postgresql://${SUPERUSER}:${password}@127.0.0.1:${server.port}/${DATABASE}`;
    await ensureDatabase(url, passwordFile);
    return { url, ...server };
  } catch (error) {
    await server.stop({ hurry: true });
    throw error;
  }
}

type Server = Omit<EmbeddedPostgres, 'url'>;

/** Starts the server on the first free port; another program may be quicker to take it, so that this is tried again. */
async function launch(setup: ClusterSetup, preferred: number): Promise<Server> {
  let wanted = preferred;
  for (let attempt = 1; ; attempt++) {
    const port = await freePort(wanted);
    const outcome = await launchOn(port, setup);
    if (!('output' in outcome)) return outcome;
    const taken = /could not bind|Address already in use/i.test(outcome.output);
    const ending = /pre-existing shared memory block/i.test(outcome.output);
    if (attempt === PORT_ATTEMPTS_MAX || !(taken || ending)) throw serverProblem(outcome.output, setup.dataDir);
    // Backends of a killed server notice its end within moments, and let go of its memory.
    if (ending) await sleep(1_000);
    else wanted = wanted === 0 ? 0 : port + 1;
  }
}

// The server is this shell's own process after `exec`; beside it waits a detached helper that reads from a pipe which
// only our process holds. When we are killed the pipe ends without the word "done", and the helper stops the server.
const GUARDED = `
server=$$
( ( read -r word <&3; [ "$word" = done ] || kill -INT "$server" ) >/dev/null 2>&1 & )
exec "$@" 3<&-
`;

async function launchOn(port: number, setup: ClusterSetup): Promise<Server | { output: string }> {
  const { binaries, dataDir, runAs, durable, settings } = setup;
  const logFile = `${dataDir}.log`;
  const tooLong = await stat(logFile).then(
    (found) => found.size > LOG_BYTES_MAX,
    () => false,
  );
  if (tooLong) await rename(logFile, `${logFile}.old`);
  const logHandle = await open(logFile, 'a', 0o600);
  const logStart = (await logHandle.stat()).size;
  const args = ['-D', dataDir, ...serverSettings({ port, durable, settings })];
  const command = runAs.command('/bin/sh', ['-c', GUARDED, 'sh', binaries.postgres, ...args]);
  const child = spawn(command.file, command.args, {
    ...command.options,
    env: serverEnvironment(),
    detached: true,
    stdio: ['ignore', logHandle.fd, logHandle.fd, 'pipe'],
  });
  await logHandle.close();
  const ended = new Promise<void>((fulfil) => {
    child.once('exit', () => fulfil());
    child.once('error', () => fulfil());
  });
  if (await becomesReady(child, dataDir)) return running(child, port, ended);
  const output = (await readFile(logFile)).subarray(logStart).toString();
  return { output: output.slice(-OUTPUT_CHARS_MAX) };
}

/** Waits for the server's own word in its pid file; false when it ended instead. */
async function becomesReady(child: ChildProcess, dataDir: string): Promise<boolean> {
  let failed = false;
  child.once('exit', () => (failed = true));
  child.once('error', () => (failed = true));
  const deadline = performance.now() + READY_MS_MAX;
  while (!failed && performance.now() < deadline) {
    const file = readPostmasterFile(dataDir);
    if (file?.ready === true && file.pid === child.pid) return true;
    await sleep(READY_POLL_MS);
  }
  if (!failed) child.kill('SIGQUIT');
  return false;
}

function running(child: ChildProcess, port: number, ended: Promise<void>): Server {
  const guard = child.stdio[3];
  const release = () => {
    if (guard !== null && guard !== undefined && 'write' in guard) guard.end('done\n');
  };
  // The helper may be gone, killed by hand; its pipe then breaks, which concerns nobody.
  guard?.on('error', () => undefined);
  void ended.then(release);
  return {
    port,
    pid: child.pid ?? 0,
    ended,
    stop: async (how = {}) => {
      if (how.hurry === true) child.kill('SIGQUIT');
      else {
        // First as a request: connections that are just being closed would otherwise be told off. Who stays is cut off.
        child.kill('SIGTERM');
        await Promise.race([ended, sleep(GOODBYE_MS, undefined, { ref: false })]);
        child.kill('SIGINT');
      }
      await ended;
    },
  };
}

/** Makes the database on the first start. A database is made by connecting to another one. */
async function ensureDatabase(url: string, passwordFile: string): Promise<void> {
  // Nobody but the owner has anything to look for in the server's own databases.
  const confine = (client: pg.Client): Promise<unknown> =>
    client.query('revoke connect on database postgres, template1 from public');
  try {
    await withClient(url, confine);
  } catch (error) {
    if (errorCode(error) === '28P01')
      throw new StartupError(
        `The database refuses the password in ${passwordFile}: put the right file back from your copy.`,
      );
    if (errorCode(error) !== '3D000') throw error;
    await withClient(url.replace(/\/[^/]*$/, '/postgres'), async (client) => {
      await client.query(`create database "${DATABASE}"`);
      await confine(client);
    });
  }
}

async function withClient(url: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
