import { describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';

import { Lanes, type LaneRow, type LanesOptions } from './lanes.js';

type Row = LaneRow & { readonly number: number };

const open = (options: Partial<LanesOptions<Row>>): Lanes<Row> =>
  new Lanes<Row>({
    lanes: 4,
    rowsPerBatch: 10,
    bytesPerBatch: 1_000,
    rowsInFlightMax: 100,
    bytesInFlightMax: 100_000,
    prepare: null,
    send: () => Promise.resolve(),
    ...options,
  });

const pushAll = async (lanes: Lanes<Row>, rows: readonly Row[]): Promise<void> => {
  for (const row of rows) {
    if (lanes.isFull) await lanes.room();
    lanes.push(row);
  }
  await lanes.drain();
};

const rows = (count: number, members: number): Row[] =>
  Array.from({ length: count }, (_, number) => ({
    number,
    key: members === 0 ? null : `m${number % members}`,
    bytes: 10,
  }));

describe('lanes', () => {
  it('send every row once and keep the order of each key', async () => {
    const sent: Row[] = [];
    const lanes = open({
      send: async (batch) => {
        await pause(Math.random() * 3);
        sent.push(...batch);
      },
    });
    const all = rows(1_000, 37);
    await pushAll(lanes, all);
    expect(sent.map(({ number }) => number).sort((one, other) => one - other)).toEqual(all.map(({ number }) => number));
    for (const [, ofKey] of Map.groupBy(sent, ({ key }) => key))
      expect(ofKey.map(({ number }) => number)).toEqual(
        ofKey.map(({ number }) => number).toSorted((one, other) => one - other),
      );
  });

  it('keep to their limits', async () => {
    let under = 0;
    let most = 0;
    const sizes: number[] = [];
    const lanes = open({
      send: async (batch) => {
        under += 1;
        most = Math.max(most, under);
        sizes.push(batch.length);
        expect(lanes.rowsInFlight).toBeLessThanOrEqual(100);
        await pause(1);
        under -= 1;
      },
    });
    await pushAll(lanes, rows(2_000, 0));
    expect(most).toBe(4);
    expect(Math.max(...sizes)).toBe(10);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(2_000);
  });

  it('split batches by their bytes', async () => {
    const sizes: number[] = [];
    const lanes = open({ lanes: 1, bytesPerBatch: 25, send: async (batch) => void sizes.push(batch.length) });
    await pushAll(lanes, rows(7, 1));
    expect(Math.max(...sizes)).toBe(2);
  });

  it('prepare a batch while the one before is under way, and never send it before', async () => {
    const log: string[] = [];
    const lanes = open({
      lanes: 1,
      prepare: async (batch) => void log.push(`prepare ${batch[0]?.number}`),
      send: async (batch) => {
        await pause(5);
        log.push(`sent ${batch[0]?.number}`);
      },
    });
    await pushAll(lanes, rows(30, 1));
    expect(log.indexOf('prepare 10')).toBeLessThan(log.indexOf('sent 0'));
    expect(log.filter((entry) => entry.startsWith('sent'))).toEqual(['sent 0', 'sent 10', 'sent 20']);
  });

  it('stop at a failure and say what it was', async () => {
    const lanes = open({ lanes: 2, send: () => Promise.reject(new Error('broken')) });
    await expect(pushAll(lanes, rows(1_000, 5))).rejects.toThrow('broken');
    expect(() => lanes.push({ number: 0, key: null, bytes: 1 })).toThrow('broken');
    await lanes.settle();
  });
});
