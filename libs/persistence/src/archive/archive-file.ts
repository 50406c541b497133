import { createHash } from 'node:crypto';
import { open, rename, rm, statfs, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';

/** The archive is not one, not whole, or has been changed. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError';
}

const BLOCK = 512;
const MANIFEST = 'manifest.json';
const ENTRIES_MAX = 10_000_000;
const ENTRY_BYTES_MAX = 1 << 30;
/** Of uncompressed data in one entry: what is held in memory at a time. */
export const CHUNK_BYTES = 4 << 20;
const GZIP_LEVEL = 1;

const pack = promisify(gzip);
const unpack = promisify(gunzip);

/** The header of a plain file as POSIX (ustar) has it, so that any `tar` lists and unpacks an archive. */
const header = (name: string, size: number): Buffer => {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, '0')}\0`;
  const fields: readonly (readonly [number, string])[] = [
    [0, name],
    [100, octal(0o600, 8)],
    [108, octal(0, 8)],
    [116, octal(0, 8)],
    [124, octal(size, 12)],
    [136, octal(0, 12)],
    [148, ' '.repeat(8)],
    [156, '0'],
    [257, 'ustar\0'],
    [263, '00'],
  ];
  for (const [at, text] of fields) block.write(text, at, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
};

const padding = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

/** What one series of entries came to. */
export type Series = { readonly entries: number; readonly bytes: number; readonly sha256: string };

/**
 * Writes an archive: a tar file of gzip pieces with a manifest as its last entry. It is written under another name and gets its own
 * when it is whole and on the disk, so that what a kill or a full disk leaves behind cannot be taken for an archive.
 */
export class ArchiveWriter {
  private written = 0;

  private constructor(
    private readonly file: string,
    private readonly draft: string,
    private readonly handle: FileHandle,
  ) {}

  /** Only its owner may read it. What an earlier attempt has left under the other name is overwritten. */
  static async create(file: string): Promise<ArchiveWriter> {
    const draft = `${file}.partial`;
    await rm(draft, { force: true });
    return new ArchiveWriter(file, draft, await open(draft, 'wx', 0o600));
  }

  get bytes(): number {
    return this.written;
  }

  /** Writes a stream as entries `<name>/000001.gz` and so on, a few MiB each. */
  async series(name: string, source: AsyncIterable<Buffer>): Promise<Series> {
    const hash = createHash('sha256');
    let [entries, bytes, pending, size] = [0, 0, [] as Buffer[], 0];
    const flush = async (): Promise<void> => {
      const piece = await pack(Buffer.concat(pending), { level: GZIP_LEVEL });
      entries++;
      hash.update(piece);
      await this.entry(`${name}/${String(entries).padStart(6, '0')}.gz`, piece);
      [pending, size] = [[], 0];
    };
    for await (const chunk of source) {
      pending.push(chunk);
      size += chunk.length;
      bytes += chunk.length;
      if (size >= CHUNK_BYTES) await flush();
    }
    if (size > 0) await flush();
    return { entries, bytes, sha256: hash.digest('hex') };
  }

  /** Ends the archive with its manifest, waits for the disk, and gives the file its name. */
  async finish(manifest: object): Promise<void> {
    await this.entry(MANIFEST, Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`));
    await this.handle.write(Buffer.alloc(2 * BLOCK));
    await this.handle.sync();
    await this.handle.close();
    await rename(this.draft, this.file);
    const folder = await open(dirname(this.file), 'r');
    await folder.sync().finally(() => folder.close());
  }

  /** Leaves nothing behind. */
  async abandon(): Promise<void> {
    await this.handle.close().catch(() => undefined);
    await rm(this.draft, { force: true });
  }

  private async entry(name: string, data: Buffer): Promise<void> {
    const whole = Buffer.concat([header(name, data.length), data, Buffer.alloc(padding(data.length))]);
    await this.handle.appendFile(whole);
    this.written += whole.length;
  }
}

type Entry = { readonly name: string; readonly at: number; readonly size: number };

/** Reads an archive. */
export class ArchiveReader {
  private constructor(
    private readonly handle: FileHandle,
    private readonly entries: readonly Entry[],
    /** What the writer ended it with, not looked into yet. */
    readonly manifest: unknown,
  ) {}

  /** @throws ArchiveError where the file is no archive, or was cut off. */
  static async open(file: string): Promise<ArchiveReader> {
    const handle = await open(file, 'r');
    try {
      const entries = await list(handle);
      const last = entries.at(-1);
      if (last?.name !== MANIFEST) throw new ArchiveError(`${file} is not a whole backup: its manifest is missing`);
      const text = await read(handle, last);
      return new ArchiveReader(handle, entries, JSON.parse(text.toString('utf8')) as unknown);
    } catch (error) {
      await handle.close();
      throw error instanceof SyntaxError ? new ArchiveError(`the manifest of ${file} cannot be read`) : error;
    }
  }

  /** Proves that a series is what was written. @throws ArchiveError */
  async check(name: string, expected: Series): Promise<void> {
    const hash = createHash('sha256');
    const entries = this.of(name);
    for (const entry of entries) hash.update(await read(this.handle, entry));
    if (entries.length !== expected.entries || hash.digest('hex') !== expected.sha256)
      throw new ArchiveError(`${name} in the backup is not what was written: the file is damaged`);
  }

  /** The bytes of a series, piece by piece. */
  async *series(name: string): AsyncGenerator<Buffer, void, undefined> {
    for (const entry of this.of(name)) yield await unpack(await read(this.handle, entry));
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  private of(name: string): Entry[] {
    return this.entries.filter((entry) => entry.name.startsWith(`${name}/`));
  }
}

const list = async (handle: FileHandle): Promise<Entry[]> => {
  const { size: total } = await handle.stat();
  const entries: Entry[] = [];
  const block = Buffer.alloc(BLOCK);
  for (let at = 0; at + BLOCK <= total && entries.length < ENTRIES_MAX;) {
    await handle.read(block, 0, BLOCK, at);
    if (block[0] === 0) break;
    if (block.toString('latin1', 257, 262) !== 'ustar') throw new ArchiveError('this is not a backup of Vafa');
    const name = block.toString('latin1', 0, 100).replace(/\0.*$/s, '');
    const size = Number.parseInt(block.toString('latin1', 124, 135), 8);
    if (!(size >= 0 && size <= ENTRY_BYTES_MAX)) throw new ArchiveError(`the entry ${name} of the backup is damaged`);
    if (at + BLOCK + size > total) throw new ArchiveError('the backup was cut off');
    entries.push({ name, at: at + BLOCK, size });
    at += BLOCK + size + padding(size);
  }
  return entries;
};

const read = async (handle: FileHandle, { name, at, size }: Entry): Promise<Buffer> => {
  const data = Buffer.alloc(size);
  const { bytesRead } = await handle.read(data, 0, size, at);
  if (bytesRead !== size) throw new ArchiveError(`the entry ${name} of the backup is cut off`);
  return data;
};

/** Bytes that this user may still write where the file will lie. */
export const freeBytes = async (file: string): Promise<number> => {
  const { bavail, bsize } = await statfs(dirname(file));
  return bavail * bsize;
};
