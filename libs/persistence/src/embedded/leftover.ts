import { execFile } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { errorCode, StartupError } from './startup-error.js';

const POLL_MS = 20;
const FAST_STOP_MS = 60_000;
const IMMEDIATE_STOP_MS = 15_000;

/** What a server writes about itself into its data folder. */
export type PostmasterFile = { readonly pid: number; readonly port: number | undefined; readonly ready: boolean };

/** Reads `postmaster.pid`; undefined when there is none, or none that a server finished writing. */
export function readPostmasterFile(dataDir: string): PostmasterFile | undefined {
  let lines: string[];
  try {
    lines = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return undefined;
  }
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  const port = Number(lines[3]);
  return { pid, port: Number.isInteger(port) && port > 0 ? port : undefined, ready: lines[7]?.trim() === 'ready' };
}

/**
 * Makes way for a start on `dataDir`. A server that outlived its owner is stopped in order, since sessions of the dead
 * owner may still hold its locks; a pid file whose server is gone is removed, also when another program has its number now.
 *
 * @throws StartupError when the old server does not end
 */
export async function clearLeftover(dataDir: string, log: (line: string) => void): Promise<void> {
  const file = join(dataDir, 'postmaster.pid');
  const found = readPostmasterFile(dataDir);
  if (found !== undefined && (await serves(found.pid, dataDir))) {
    log(`A PostgreSQL of an earlier start still runs on this data (pid ${found.pid}); it is stopped first.`);
    if (!(await stopServer(found.pid, dataDir)))
      throw new StartupError(
        `A PostgreSQL of an earlier start (pid ${found.pid}) keeps ${dataDir} and does not stop: end it, then start again.`,
      );
  }
  if (existsSync(file)) await rm(file, { force: true });
}

/** Whether the process of that number is a PostgreSQL that serves this very folder, and not a stranger with a reused number. */
async function serves(pid: number, dataDir: string): Promise<boolean> {
  if (!isAlive(pid)) return false;
  try {
    // A server lives in its data folder.
    if (readlinkSync(`/proc/${pid}/cwd`) === dataDir) return true;
  } catch {
    // No /proc, or the process is another user's: its command line is open to all.
  }
  const line = await commandLine(pid);
  return line.includes('postgres') && line.includes(`-D ${dataDir} `);
}

/** What a process was started with; empty for one that has ended and only waits to be reaped. */
async function commandLine(pid: number): Promise<string> {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    if (existsSync('/proc/self')) return '';
  }
  try {
    return (await promisify(execFile)('ps', ['-ww', '-o', 'command=', '-p', String(pid)])).stdout;
  } catch {
    return '';
  }
}

/** Ends a server by its number: sessions are cut and a checkpoint is written; only if that takes too long, at once. */
async function stopServer(pid: number, dataDir: string): Promise<boolean> {
  const steps = [
    { signal: 'SIGINT', patienceMs: FAST_STOP_MS },
    { signal: 'SIGQUIT', patienceMs: IMMEDIATE_STOP_MS },
  ] as const;
  for (const { signal, patienceMs } of steps) {
    const deadline = performance.now() + patienceMs;
    try {
      process.kill(pid, signal);
    } catch {
      return !(await serves(pid, dataDir));
    }
    while (performance.now() < deadline) {
      if (!(await serves(pid, dataDir))) return true;
      await sleep(POLL_MS);
    }
  }
  return false;
}

/** Whether a process of that number exists, whoever owns it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}
