import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * The text of a file that only this user may read, made by `create` where there is none. Written whole under another name and
 * then linked: of two processes that start at once the second finds the first one's text, never half of one.
 */
export const keyFile = async (file: string, create: () => Promise<string>): Promise<string> => {
  const known = await readIfThere(file);
  if (known !== null) return known;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const text = await create();
  await writeFile(draft, text, { mode: 0o600 });
  try {
    await link(draft, file);
    return text;
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    return await readFile(file, 'utf8');
  } finally {
    await rm(draft, { force: true });
  }
};

const readIfThere = async (file: string): Promise<string | null> => {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
};

const isErrno = (error: unknown, code: string): boolean =>
  typeof error === 'object' && error !== null && 'code' in error && error.code === code;

const DEAD_LETTER_KEY_BYTES = 32;

/**
 * The key that dead letters are encrypted with: the one given (64 hexadecimal digits), or one kept in `folder`.
 * Letters written with another key cannot be read any more.
 */
export const openDeadLetterKey = async (folder: string, given: string | null): Promise<Buffer> => {
  const fresh = async (): Promise<string> => randomBytes(DEAD_LETTER_KEY_BYTES).toString('hex');
  const key = Buffer.from((given ?? (await keyFile(join(folder, 'dead-letters.key'), fresh))).trim(), 'hex');
  if (key.length !== DEAD_LETTER_KEY_BYTES)
    throw new Error(`The key of the dead letters in ${folder} is not one of ${DEAD_LETTER_KEY_BYTES} bytes`);
  return key;
};
