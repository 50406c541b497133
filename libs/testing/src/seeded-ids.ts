import { createHash } from 'node:crypto';

export type SeededIds = {
  /** The next id: a valid uuid of version 7, in order, the same in every run for the same seed. */
  next(): string;
  /** The id of this name: always the same one. */
  of(name: string): string;
};

const START_MS = Date.UTC(2026, 0, 1);

/** Ids for tests: a failure shows the same ids again. Suites that share a database take seeds of their own. */
export const seededIds = (seed: string): SeededIds => {
  let count = 0;
  return {
    next: () => uuid(`${seed}#${count}`, START_MS + count++),
    of: (name) => uuid(`${seed}/${name}`, START_MS),
  };
};

const uuid = (text: string, ms: number): string => {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16);
  bytes.writeUIntBE(ms, 0, 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
};
