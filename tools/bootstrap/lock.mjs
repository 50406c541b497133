import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 200;
/** A lock file without a number in it is being written; after so long its writer must have died. */
const UNWRITTEN_MS_MAX = 5_000;

/**
 * Runs `work` while no other process does, by a file with the holder's number and when it began. A lock whose holder has died is taken over,
 * also where its number is another process's by now.
 *
 * @param {string} file
 * @param {(pid: number) => void} onWait called once, when somebody else holds it
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 * @template T
 */
export async function withLock(file, onWait, work) {
  mkdirSync(dirname(file), { recursive: true });
  let told = false;
  while (!tryCreate(file)) {
    const holder = readHolder(file);
    if (holder === 'dead') removeDead(file);
    else if (holder !== 'none') {
      if (!told) onWait(holder);
      told = true;
      await sleep(POLL_MS);
    }
  }
  const release = () => rmSync(file, { force: true });
  process.once('exit', release);
  try {
    return await work();
  } finally {
    process.off('exit', release);
    release();
  }
}

function tryCreate(file) {
  try {
    const handle = openSync(file, 'wx');
    try {
      writeSync(handle, `${process.pid} ${beganAt(process.pid)}`);
    } catch (error) {
      // On a full disk: what stands empty would keep others waiting.
      rmSync(file, { force: true });
      throw error;
    } finally {
      closeSync(handle);
    }
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

/** @returns {'none' | 'dead' | number} */
function readHolder(file) {
  try {
    const [number, began = ''] = readFileSync(file, 'utf8').split(' ');
    const pid = Number(number);
    if (pid > 0) return isAlive(pid) && beganAt(pid) === began ? pid : 'dead';
    return Date.now() - statSync(file).mtimeMs > UNWRITTEN_MS_MAX ? 'dead' : process.pid;
  } catch (error) {
    if (error.code === 'ENOENT') return 'none';
    throw error;
  }
}

/** Two who wait may both see a dead holder: only one removes it, and looks again before, lest it remove the other's fresh lock. */
function removeDead(file) {
  const guard = `${file}.takeover`;
  if (!tryCreate(guard)) {
    if (readHolder(guard) === 'dead') rmSync(guard, { force: true });
    return;
  }
  try {
    if (readHolder(file) === 'dead') rmSync(file, { force: true });
  } finally {
    rmSync(guard, { force: true });
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code !== 'EPERM') return false;
  }
  // What has ended and waits for its parent to notice is no more.
  return recordOf(pid)?.[0] !== 'Z';
}

/** The boot and when in it a process began, by the system's own count (field 22 of its record); empty where the system keeps no such record. */
function beganAt(pid) {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot}/${recordOf(pid)?.[19] ?? ''}`;
  } catch {
    return '';
  }
}

/** The fields of a process's record from the third on, its state; nothing where the system keeps no such record. */
function recordOf(pid) {
  try {
    const record = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return record.slice(record.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
