import { execFile } from 'node:child_process';
import { chown, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Binaries } from './binaries.js';
import { unreachable } from './startup-error.js';

const run = promisify(execFile);
const PROBE_TIMEOUT_MS = 5_000;

/** A user of this system. */
type Account = { readonly uid: number; readonly gid: number; readonly name: string };

/** How the database's programs are started: as whom, and behind which command, if any. */
export type RunAs = {
  readonly account: Account | undefined;
  /** What `spawn` is given to run `program` as that user. */
  command(
    program: string,
    args: readonly string[],
  ): {
    readonly file: string;
    readonly args: readonly string[];
    readonly options: { readonly cwd: string; readonly uid?: number; readonly gid?: number };
  };
};

// The folder that we were started in may be closed to the other user, and a program needs a folder that it may enter.
const CWD = '/';

const asOurselves: RunAs = {
  account: undefined,
  command: (file, args) => ({ file, args, options: { cwd: CWD } }),
};

function asAccount(account: Account): RunAs {
  return {
    account,
    command: (file, args) => ({ file, args, options: { cwd: CWD, uid: account.uid, gid: account.gid } }),
  };
}

/**
 * PostgreSQL refuses the user id 0, not the right to pass through closed folders. So where a checkout lies in root's
 * home, the server runs as another user that keeps this one right of root (and can gain no other).
 */
function asAccountThatPasses(account: Account, capability: 'dac_read_search' | 'dac_override'): RunAs {
  const limits = [
    ...['--reuid', String(account.uid), '--regid', String(account.gid), '--clear-groups', '--no-new-privs'],
    ...[`--inh-caps=-all,+${capability}`, `--ambient-caps=-all,+${capability}`],
    // Without this bit access(2), by which initdb looks for the server, would forget the capability.
    '--securebits=+no_setuid_fixup',
  ];
  return {
    account,
    command: (file, args) => ({ file: 'setpriv', args: [...limits, file, ...args], options: { cwd: CWD } }),
  };
}

/**
 * Finds a way to run the database's programs on `dataDir`. An ordinary user runs them itself; root picks another user,
 * whom the data then belongs to.
 *
 * @throws StartupError when root finds nobody who can reach the programs and the folder
 */
export async function chooseUser(binaries: Binaries, dataDir: string): Promise<RunAs> {
  if (process.getuid?.() !== 0) return asOurselves;
  const accounts = await candidates(dataDir);
  const ways = [
    ...accounts.map(asAccount),
    ...accounts.map((account) => asAccountThatPasses(account, 'dac_read_search')),
    ...accounts.map((account) => asAccountThatPasses(account, 'dac_override')),
  ];
  for (const way of ways) if (await reaches(way, binaries, dirname(dataDir))) return way;
  throw unreachable(dirname(dataDir), accounts[0]?.name ?? 'nobody');
}

/** Whom the data belongs to already, else who called sudo, else the usual owner of databases, else nobody in particular. */
async function candidates(dataDir: string): Promise<Account[]> {
  const owner = await stat(dataDir).then(
    (found) => found.uid,
    () => 0,
  );
  if (owner !== 0) return existing([String(owner)]);
  return existing([process.env['SUDO_UID'] ?? '0', 'postgres', 'nobody']);
}

async function existing(names: readonly string[]): Promise<Account[]> {
  const found: Account[] = [];
  for (const name of names) {
    if (name === '0') continue;
    try {
      const [uid, gid, user] = await Promise.all(
        ['-u', '-g', '-un'].map(async (flag) => (await run('id', [flag, name])).stdout.trim()),
      );
      found.push({ uid: Number(uid), gid: Number(gid), name: user ?? name });
    } catch {
      // Not every system has every one of them.
    }
  }
  return found;
}

async function reaches(way: RunAs, binaries: Binaries, folder: string): Promise<boolean> {
  const probes = [
    way.command(binaries.initdb, ['--version']),
    way.command('/bin/sh', ['-c', 'cd "$1" && test -x "$2"', 'sh', folder, binaries.postgres]),
  ];
  try {
    for (const { file, args, options } of probes) await run(file, args, { ...options, timeout: PROBE_TIMEOUT_MS });
    return true;
  } catch {
    return false;
  }
}

/** Gives a folder and all in it to the user, as after a copy of the data that root made. */
export async function giveTo(account: Account, folder: string): Promise<void> {
  await chown(folder, account.uid, account.gid);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
    if (!entry.isSymbolicLink()) await chown(join(entry.parentPath, entry.name), account.uid, account.gid);
}
