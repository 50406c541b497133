import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Partitioners, type PartitionMetadata } from 'kafkajs';
import { murmur2, Partitioner, partitionOfKey } from './partitioner.js';

describe('the partition of a key', () => {
  // Values that the tests of Apache Kafka's own Java client expect.
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('has the hash of the Java client: %s', (key, expected) => {
    expect(murmur2(Buffer.from(key))).toBe(expected);
  });

  it('is the one that kafkajs chooses', () => {
    const partitionMetadata = Array.from({ length: 12 }, (_, partitionId): PartitionMetadata => ({
      partitionErrorCode: 0,
      partitionId,
      leader: 1,
      replicas: [],
      isr: [],
    }));
    const choose = Partitioners.DefaultPartitioner();
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }), (key) => {
        expect(partitionOfKey(key, 12)).toBe(
          choose({ topic: 't', partitionMetadata, message: { key: Buffer.from(key), value: null } }),
        );
      }),
    );
  });

  it('is any in turn where there is no key', () => {
    const partitioner = new Partitioner();
    const chosen = new Set(Array.from({ length: 12 }, () => partitioner.partitionOf(null, 12)));
    expect(chosen.size).toBe(12);
  });
});
