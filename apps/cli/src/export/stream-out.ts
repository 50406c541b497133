import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { finished } from 'node:stream/promises';
import type { Writable } from 'node:stream';
import { createGzip } from 'node:zlib';

/** Where an export goes: a file that appears when it is whole, or standard output. */
export type Target = {
  write(chunk: Uint8Array | string): Promise<void>;
  /** Waits until everything is written, and gives the file its name. */
  end(): Promise<void>;
  /** Leaves nothing behind. */
  abandon(): Promise<void>;
};

const writer = (stream: Writable) => {
  let failure: Error | undefined;
  stream.on('error', (error: Error) => (failure = error));
  return async (chunk: Uint8Array | string): Promise<void> => {
    if (failure !== undefined) throw failure;
    if (chunk.length > 0 && !stream.write(chunk)) await Promise.race([once(stream, 'drain'), once(stream, 'close')]);
  };
};

/** Compressed where the name ends with `.gz`; written under another name first. */
export const toFile = (file: string): Target => {
  const draft = `${file}.partial`;
  const out = createWriteStream(draft, { mode: 0o600 });
  const zip = file.endsWith('.gz') ? createGzip() : undefined;
  zip?.pipe(out);
  zip?.on('error', (error) => out.destroy(error));
  const first = zip ?? out;
  const ended = finished(out);
  // Awaited at the end; a failure before that comes out of a write.
  ended.catch(() => zip?.destroy());
  return {
    write: writer(first),
    end: async () => {
      first.end();
      await ended;
      await rename(draft, file);
    },
    abandon: async () => {
      first.destroy();
      out.destroy();
      await ended.catch(() => undefined);
      await rm(draft, { force: true });
    },
  };
};

export const toStream = (stream: Writable): Target => ({
  write: writer(stream),
  end: () => Promise.resolve(),
  abandon: () => Promise.resolve(),
});
