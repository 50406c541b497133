const SEED = 0x9747b28c | 0;
const MULTIPLIER = 0x5bd1e995;
const SHIFT = 24;

/**
 * MurmurHash2 with 32 bits as Kafka's Java client computes it, so that a key has the same partition whichever bus carries it
 * and whatever language its producer is written in. Answers with a signed 32-bit integer.
 */
export const murmur2 = (data: Uint8Array): number => {
  const length = data.length;
  const view = new DataView(data.buffer, data.byteOffset, length);
  let hash = SEED ^ length;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    let word = Math.imul(view.getInt32(at, true), MULTIPLIER);
    word ^= word >>> SHIFT;
    hash = Math.imul(hash, MULTIPLIER) ^ Math.imul(word, MULTIPLIER);
  }
  const rest = length - at;
  if (rest >= 3) hash ^= view.getUint8(at + 2) << 16;
  if (rest >= 2) hash ^= view.getUint8(at + 1) << 8;
  if (rest >= 1) hash = Math.imul(hash ^ view.getUint8(at), MULTIPLIER);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, MULTIPLIER);
  return hash ^ (hash >>> 15);
};

/** The partition of a key, from 0; fixed as long as the number of partitions is. */
export const partitionOfKey = (key: string, partitions: number): number =>
  (murmur2(Buffer.from(key)) & 0x7fffffff) % partitions;

/** Chooses partitions: by key where there is one, in turn where there is none. */
export class Partitioner {
  private turn = 0;

  partitionOf(key: string | null, partitions: number): number {
    if (key !== null) return partitionOfKey(key, partitions);
    this.turn = (this.turn + 1) % partitions;
    return this.turn;
  }
}
