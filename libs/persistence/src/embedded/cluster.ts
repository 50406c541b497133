import { randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Binaries } from './binaries.js';
import { giveTo, type RunAs } from './run-as.js';
import { errorCode, serverProblem, StartupError } from './startup-error.js';

/** The major version whose data this program reads. */
const POSTGRES_MAJOR = '18';
/** Owner of the cluster and of the database in it. */
export const SUPERUSER = 'vafa';
/** How much of what a program said is kept to tell why it failed. */
export const OUTPUT_CHARS_MAX = 20_000;

/** What the programs need to know to work on a data folder. */
export type ClusterSetup = {
  readonly binaries: Binaries;
  readonly dataDir: string;
  readonly runAs: RunAs;
  readonly durable: boolean;
  readonly settings: Readonly<Record<string, string>>;
};

/** True for data of our version, false for none. */
export async function checkVersion(dataDir: string): Promise<boolean> {
  let version: string;
  try {
    version = (await readFile(join(dataDir, 'PG_VERSION'), 'utf8')).trim();
  } catch (error) {
    if (errorCode(error) !== 'EACCES') return checkEmpty(dataDir);
    throw new StartupError(
      `The data in ${dataDir} belongs to another user, as after a start as root: start as that user, or give it to this one with chown -R.`,
    );
  }
  if (version === POSTGRES_MAJOR) return true;
  throw new StartupError(
    `The data in ${dataDir} is of PostgreSQL ${version} and this is ${POSTGRES_MAJOR}: set VAFA_DATA to another folder, or carry the data over with pg_dump of version ${version}.`,
  );
}

async function checkEmpty(dataDir: string): Promise<boolean> {
  if (!existsSync(dataDir)) return false;
  // Removes an empty folder made by hand, and nothing else.
  try {
    await rmdir(dataDir);
  } catch (error) {
    if (errorCode(error) !== 'ENOTEMPTY' && errorCode(error) !== 'EEXIST') throw error;
    throw new StartupError(`${dataDir} holds other files and no PostgreSQL data: set VAFA_DATA to another folder.`);
  }
  return false;
}

/** The superuser's password, made on the first start and kept in a file that its owner alone can read. */
export async function superuserPassword(file: string, exists: boolean): Promise<string> {
  const known = await readFile(file, 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return '';
    throw error;
  });
  if (known.trim() !== '') return known.trim();
  if (exists)
    throw new StartupError(
      `The password of the database is missing: put ${file} back from your copy, and start again.`,
    );
  const fresh = randomBytes(24).toString('base64url');
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(`${file}.${process.pid}`, `${fresh}\n`, { mode: 0o600 });
  await rename(`${file}.${process.pid}`, file);
  return fresh;
}

/** Makes the data in a folder beside, and renames it when whole: a start that is cut off leaves no half of one. */
export async function initialise({
  binaries,
  dataDir,
  runAs,
  durable,
  password,
}: ClusterSetup & { password: string }): Promise<void> {
  const fresh = `${dataDir}.new`;
  const passwordFile = `${dataDir}.new-password`;
  await Promise.all([fresh, passwordFile].map((path) => rm(path, { recursive: true, force: true })));
  await mkdir(fresh, { mode: 0o700 });
  try {
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
    if (runAs.account !== undefined) {
      await giveTo(runAs.account, fresh);
      await chown(passwordFile, runAs.account.uid, runAs.account.gid);
    }
    const flags = [
      ...['-D', fresh, `--username=${SUPERUSER}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256'],
      // One collation everywhere, whatever the system has: an index must mean the same on the next machine.
      ...['--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'],
      ...(durable ? [] : ['--no-sync']),
    ];
    const outcome = await runToEnd(runAs.command(binaries.initdb, flags));
    if (outcome.code !== 0) throw serverProblem(outcome.output, dataDir);
    await rename(fresh, dataDir);
  } finally {
    await rm(passwordFile, { force: true });
    await rm(fresh, { recursive: true, force: true });
  }
}

function runToEnd(command: ReturnType<RunAs['command']>): Promise<{ code: number; output: string }> {
  return new Promise((fulfil, reject) => {
    // Its own session as well: Ctrl-C during the first start must not tear initdb apart while we still wait for it.
    const child = spawn(command.file, command.args, {
      ...command.options,
      env: serverEnvironment(),
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const keep = (chunk: Buffer) => (output = (output + chunk.toString()).slice(-OUTPUT_CHARS_MAX));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', reject);
    child.once('close', (code) => fulfil({ code: code ?? 1, output }));
  });
}

/** Messages in English whatever the system speaks, since causes are told from them; no PG… variable of the shell leaks in. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG)/.test(name));
  return { ...Object.fromEntries(kept), LC_ALL: 'C' };
}
