import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { addCounts, noCounts, type Counts } from './counts.js';

/** How far an import came: all rows up to and including `line` are confirmed, and came to `counts`. */
export type Checkpoint = {
  readonly version: 1;
  readonly line: number;
  readonly counts: Counts;
  /** Length of the file of rejected rows that belongs to it, in bytes. */
  readonly rejectedBytes: number;
  readonly seconds: number;
};

export const emptyCheckpoint = (): Checkpoint => ({
  version: 1,
  line: 0,
  counts: noCounts(),
  rejectedBytes: 0,
  seconds: 0,
});

/** Where the checkpoint of an import lies. `identity` stands for the content, the map and the options that change what is sent. */
export const checkpointPath = (dataFolder: string, identity: string): string =>
  join(dataFolder, 'imports', `${identity}.json`);

/** The checkpoint of an import that was interrupted, or an empty one. A damaged file counts as none: sending again is harmless. */
export const loadCheckpoint = async (path: string): Promise<Checkpoint> => {
  try {
    const read = JSON.parse(await readFile(path, 'utf8')) as Checkpoint;
    if (read.version !== 1 || !Number.isSafeInteger(read.line)) return emptyCheckpoint();
    const counts = noCounts();
    addCounts(counts, read.counts);
    return { ...read, counts };
  } catch {
    return emptyCheckpoint();
  }
};

/** Written beside and swapped in, so that a crash leaves the old one or the new one. */
export const saveCheckpoint = async (path: string, checkpoint: Checkpoint): Promise<void> => {
  await mkdir(dirname(path), { recursive: true });
  const fresh = `${path}.${process.pid}`;
  await writeFile(fresh, `${JSON.stringify(checkpoint)}\n`, { mode: 0o600 });
  await rename(fresh, path);
};

export const removeCheckpoint = (path: string): Promise<void> => rm(path, { force: true });
