import { createHash, type Hash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';

import { Refusal, UsageError } from '../command.js';
import { codeOf } from '../errors.js';

export type FileFormat = 'csv' | 'ndjson';

/** A file to import, read once for its identity and then as often as needed. */
export type SourceFile = {
  /** What people call it; not part of any identity. */
  readonly name: string;
  /** SHA-256 of the uncompressed content in hex. */
  readonly sha256: string;
  /** Line ends in the content: about as many rows, which is what the progress bar needs. */
  readonly lines: number;
  /** The first bytes, uncompressed. */
  readonly head: Buffer;
  /**
   * The uncompressed content from its beginning. Where it is read to the end, the stream fails unless the content is
   * still the one of the identity.
   */
  content(): Readable;
  /** Removes what was spooled from standard input. */
  dispose(): Promise<void>;
};

const HEAD_BYTES = 64 * 1024;
const READ_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

/** Bytes that begin the kinds of file that people hand in by mistake. */
const refuseForeign = (magic: Buffer, name: string): void => {
  const starts = (...bytes: number[]): boolean => bytes.every((byte, index) => magic[index] === byte);
  if (starts(0x50, 0x4b))
    throw new Refusal(`${name} is a zip archive or an Excel workbook: save it as CSV (UTF-8) first.`);
  if (starts(0xff, 0xfe) || starts(0xfe, 0xff)) throw new Refusal(`${name} is UTF-16 text: save it as UTF-8 first.`);
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) throw new Refusal(`${name} is compressed by zstd: unpack it first, or use gzip.`);
};

const magicOf = async (path: string): Promise<Buffer> => {
  const file = await open(path, 'r');
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
};

const rawContent = (path: string, gzip: boolean): Readable => {
  const file = createReadStream(path, { highWaterMark: READ_BYTES });
  if (!gzip) return file;
  const unpacked = createGunzip({ chunkSize: READ_BYTES });
  file.on('error', (error) => unpacked.destroy(error));
  unpacked.on('close', () => file.destroy());
  return file.pipe(unpacked);
};

const survey = async (path: string, gzip: boolean): Promise<{ sha256: string; lines: number; head: Buffer }> => {
  const hash = createHash('sha256');
  let lines = 0;
  const head: Buffer[] = [];
  let headBytes = 0;
  let lastByte = NEWLINE;
  for await (const piece of rawContent(path, gzip)) {
    const chunk = piece as Buffer;
    hash.update(chunk);
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) lines += 1;
    lastByte = chunk[chunk.length - 1] ?? lastByte;
    if (headBytes < HEAD_BYTES) {
      head.push(chunk.subarray(0, HEAD_BYTES - headBytes));
      headBytes += chunk.length;
    }
  }
  return { sha256: hash.digest('hex'), lines: lastByte === NEWLINE ? lines : lines + 1, head: Buffer.concat(head) };
};

const checked = (content: Readable, sha256: string, name: string): Readable => {
  const hash: Hash = createHash('sha256');
  const check = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      hash.update(chunk);
      done(null, chunk);
    },
    flush: (done) => {
      const changed = hash.digest('hex') !== sha256;
      done(changed ? new Refusal(`${name} changed while it was read. Import it again once it is complete.`) : null);
    },
  });
  content.on('error', (error) => check.destroy(error));
  check.on('close', () => content.destroy());
  return content.pipe(check);
};

const readable = async (path: string, name: string): Promise<void> => {
  try {
    if ((await stat(path)).isDirectory()) throw new Refusal(`${name} is a folder, not a file.`);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') throw new Refusal(`There is no file ${name}.`);
    throw error;
  }
};

const openPath = async (path: string, name: string, dispose: () => Promise<void>): Promise<SourceFile> => {
  await readable(path, name);
  try {
    const magic = await magicOf(path);
    const gzip = magic[0] === 0x1f && magic[1] === 0x8b;
    if (!gzip) refuseForeign(magic, name);
    const surveyed = await survey(path, gzip);
    if (gzip) refuseForeign(surveyed.head, name);
    return { name, ...surveyed, content: () => checked(rawContent(path, gzip), surveyed.sha256, name), dispose };
  } catch (error) {
    if (codeOf(error) === 'EACCES') throw new Refusal(`${name} may not be read by this user.`);
    if (codeOf(error) === 'Z_DATA_ERROR' || codeOf(error) === 'Z_BUF_ERROR')
      throw new Refusal(`${name} is a damaged or incomplete gzip file.`);
    throw error;
  }
};

/** Standard input can be read once only, and the identity of a row needs the whole content first: so it goes to a file. */
const spool = async (stdin: Readable): Promise<{ path: string; dispose: () => Promise<void> }> => {
  const folder = await mkdtemp(join(tmpdir(), 'vafa-import-'));
  const path = join(folder, 'stdin');
  const dispose = () => rm(folder, { recursive: true, force: true });
  try {
    await pipeline(stdin, createWriteStream(path, { mode: 0o600 }));
  } catch (error) {
    await dispose();
    throw error;
  }
  return { path, dispose };
};

/**
 * Opens a file, or standard input for `-`, and works out its identity.
 * @throws Refusal where it cannot be read or is no text, with what to do.
 */
export const openSource = async (path: string, stdin: Readable & { isTTY?: boolean }): Promise<SourceFile> => {
  if (path !== '-') return openPath(path, basename(path), () => Promise.resolve());
  if (stdin.isTTY === true) throw new UsageError('"-" reads standard input, and nothing is piped into it.');
  const spooled = await spool(stdin);
  try {
    return await openPath(spooled.path, 'standard input', spooled.dispose);
  } catch (error) {
    await spooled.dispose();
    throw error;
  }
};

/** NDJSON begins with a brace; everything else is taken for CSV. */
export const guessFormat = (head: Buffer): FileFormat =>
  /^\uFEFF?\s*\{/.test(head.subarray(0, 1024).toString('utf8')) ? 'ndjson' : 'csv';
