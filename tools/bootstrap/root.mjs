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

/** Notes go to the standard error, since the output of a command may be read by a program. */
export function say(line) {
  process.stderr.write(`${line}\n`);
}
