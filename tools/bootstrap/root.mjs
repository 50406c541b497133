import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout's folder, wherever the command was given. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Where things are kept that may be deleted at any time. */
export const CACHE = join(ROOT, '.cache');

/** A problem that one sentence tells; no stack is printed for it. */
export class Sentence extends Error {
  name = 'Sentence';
}

/** What one can do where this checkout cannot be written; nothing for any other error. */
export function writeProblem({ code, syscall = '', path = ROOT }) {
  // A program that may not be run is another matter.
  if (syscall.startsWith('spawn')) return undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return 'The disk is full: the packages and what is built need about 1 GB. Free some space, then run the same command again.';
  if (code === 'EROFS')
    return `${path} lies on a file system that can only be read: clone to a folder that can be written, then run the same command again.`;
  if (code === 'EACCES' || code === 'EPERM')
    return `${path} cannot be written: give this user the right to, or clone to a folder of your own, then run the same command again.`;
  return undefined;
}

/** Notes go to the standard error, since the output of a command may be read by a program. */
export function say(line) {
  process.stderr.write(`${line}\n`);
}
