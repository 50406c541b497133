import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartupError } from '@vafa/persistence';
import { readRunFile } from './run-file.js';

const LOCK_NAME = 'running.lock';
const ATTEMPTS_MAX = 20;
const GRACE_MS = 2_000;
const GRACE_STEP_MS = 50;

/** A process, told apart from a later one with the same number by when it began. */
type Holder = { readonly pid: number; readonly began: string };

/** One process at a time works on a data folder. */
export type InstanceLock = { release(): Promise<void> };

/**
 * Takes the folder for this process. A lock whose holder has ended, killed or lost with the machine, is taken over.
 *
 * @throws StartupError that says who holds it
 */
export async function lockFolder(folder: string): Promise<InstanceLock> {
  const file = join(folder, LOCK_NAME);
  const draft = `${file}.${process.pid}`;
  await writeFile(draft, JSON.stringify({ pid: process.pid, began: beganAt(process.pid) } satisfies Holder));
  try {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      if (await linked(draft, file)) return { release: () => rm(file, { force: true }) };
      const holder = await readHolder(file);
      if (holder !== undefined && !(await ends(holder))) throw await alreadyRuns(folder, holder.pid);
      await putAside(file, draft);
    }
    throw new StartupError(`The folder ${folder} is being started by others again and again: try once more.`);
  } finally {
    await rm(draft, { force: true });
  }
}

/** Linking fails where the name exists, and the file is whole from its first moment. */
async function linked(draft: string, file: string): Promise<boolean> {
  try {
    await link(draft, file);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Of several that saw a dead holder one moves the file; if that was a fresh lock by then, it goes back. */
async function putAside(file: string, draft: string): Promise<void> {
  const aside = `${draft}.old`;
  try {
    await rename(file, aside);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  const holder = await readHolder(aside);
  if (holder !== undefined && lives(holder)) await linked(aside, file);
  await rm(aside, { force: true });
}

async function readHolder(file: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Holder;
  } catch {
    return undefined;
  }
}

/** Whether the holder has ended, or does so within a moment: one that was killed is still there while its memory is being freed. */
async function ends(holder: Holder): Promise<boolean> {
  for (let waited = 0; lives(holder); waited += GRACE_STEP_MS) {
    if (waited >= GRACE_MS) return false;
    await sleep(GRACE_STEP_MS);
  }
  return true;
}

function lives({ pid, began }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (codeOf(error) !== 'EPERM') return false;
  }
  // In a container that starts anew, the same number is soon given again. What has ended and waits for its parent to notice is no more.
  return !isDefunct(pid) && beganAt(pid) === began;
}

function isDefunct(pid: number): boolean {
  return recordOf(pid)?.[0] === 'Z';
}

/** When a process began, in the system's own count (field 22 of its record); empty where the system keeps no such record. */
function beganAt(pid: number): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot}/${recordOf(pid)?.[19] ?? ''}`;
  } catch {
    return '';
  }
}

/** The fields of a process's record from the third on, its state; nothing where the system keeps no such record. */
function recordOf(pid: number): string[] | undefined {
  try {
    const record = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return record.slice(record.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

async function alreadyRuns(folder: string, pid: number): Promise<StartupError> {
  const run = await readRunFile(folder);
  const where = run?.pid === pid ? `, at ${run.api}` : '';
  return new StartupError(
    `Vafa already runs on ${folder} (process ${pid}${where}): stop that one first, or set VAFA_DATA and VAFA_PORT for a second installation.`,
  );
}

const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
