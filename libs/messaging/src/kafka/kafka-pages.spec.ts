import { beforeEach, describe, expect, it } from '@jest/globals';
import { deferred, eventually } from '@vafa/testing';
import type { EachBatchPayload } from 'kafkajs';
import type { Batch } from '../message-bus.js';
import { Generation, type Assignment } from './kafka-membership.js';
import { Pages } from './kafka-pages.js';

const TOPIC = 'orders';
const SESSION_TIMEOUT_MS = 60_000;
const failure = (type: string): Error => Object.assign(new Error(type), { type });

let generation: Generation;
/** `partition:offset`, and what the client was asked to go on after. */
let committed: string[];
let resolved: string[];
let paused: number[];
let seen: Batch[];
let heartbeat: () => Promise<void>;
let resolveOffset: (place: string) => void;

/** What the client hands over of one partition. */
const fetched = (partition: number, ...offsets: number[]): EachBatchPayload => {
  const messages = offsets.map((offset) => ({
    offset: String(offset),
    key: null,
    value: Buffer.from('{}'),
    headers: {},
  }));
  const payload = {
    batch: { topic: TOPIC, partition, messages, lastOffset: () => String(offsets.at(-1)) },
    resolveOffset: (offset: string) => resolveOffset(`${partition}:${offset}`),
    commitOffsetsIfNecessary: async ({
      topics,
    }: {
      topics: { partitions: { partition: number; offset: string }[] }[];
    }) =>
      void committed.push(
        ...topics.flatMap(({ partitions }) => partitions.map((one) => `${one.partition}:${one.offset}`)),
      ),
    heartbeat: () => heartbeat(),
    pause: () => {
      paused.push(partition);
      return () => undefined;
    },
  };
  return payload as unknown as EachBatchPayload;
};

const join = (assignment: Assignment): void => {
  generation?.replace();
  generation = new Generation((generation?.epoch ?? 0) + 1, SESSION_TIMEOUT_MS, assignment);
};

const open = (work: (batch: Batch) => Promise<void> = async () => undefined): Pages =>
  new Pages({
    pageSize: 100,
    handler: (batch) => {
      seen.push(batch);
      return work(batch);
    },
    onError: () => undefined,
    generation: () => generation,
    internal: (topic) => topic,
  });

const partitionsSeen = (): number[][] =>
  seen.map(({ messages }) => [...new Set(messages.map(({ partition }) => partition))]);

beforeEach(() => {
  [committed, resolved, paused, seen] = [[], [], [], []];
  heartbeat = () => Promise.resolve();
  resolveOffset = (place) => void resolved.push(place);
  join({ [TOPIC]: [0, 2, 4] });
});

describe('Pages', () => {
  it('hand over together what comes together, and keep the offsets', async () => {
    const pages = open();
    await Promise.all([pages.add(fetched(0, 7, 8)), pages.add(fetched(2, 3))]);
    expect(partitionsSeen()).toEqual([[0, 2]]);
    expect(committed).toEqual(['0:9', '2:4']);
    expect(resolved).toEqual(['0:8', '2:3']);
    expect(pages.isBusy()).toBe(false);
  });

  it('tell what is under way when the client joins anew, keep nothing of it, and begin nothing that was fetched before', async () => {
    const gate = deferred();
    const pages = open(() => gate.promise);
    const underWay = pages.add(fetched(0, 7));
    await eventually(() => expect(seen).toHaveLength(1));
    const waiting = pages.add(fetched(2, 3));
    join({ [TOPIC]: [2] });
    const after = pages.add(fetched(2, 3));
    expect([seen[0]?.signal.aborted, seen[0]?.isStale()]).toEqual([true, true]);
    gate.resolve();
    await Promise.all([underWay, waiting, after]);
    expect(partitionsSeen()).toEqual([[0], [2]]);
    expect(committed).toEqual(['2:4']);
    expect(resolved).toEqual(['2:3']);
  });

  it('begin nothing for a group that is not heard of any more, and let the partition rest until the client knows', async () => {
    generation = new Generation(1, 0, { [TOPIC]: [0] });
    await eventually(() => expect(generation.isStale()).toBe(true));
    const pages = open();
    await pages.add(fetched(0, 7));
    expect([seen, committed, paused]).toEqual([[], [], [0]]);
    generation = new Generation(2, SESSION_TIMEOUT_MS, { [TOPIC]: [0] });
    await pages.add(fetched(0, 7));
    expect(committed).toEqual(['0:8']);
    pages.close();
  });

  it('give back what was asked for before a join and is no longer ours', async () => {
    const pages = open();
    await pages.add(fetched(1, 5));
    expect(seen).toEqual([]);
    expect(committed).toEqual([]);
  });

  it('tell the client of what they did not expect, and go on with what it brings next', async () => {
    resolveOffset = () => {
      throw new TypeError('no such topic');
    };
    const pages = open();
    await expect(Promise.all([pages.add(fetched(0, 7)), pages.add(fetched(2, 3))])).rejects.toThrow('no such topic');
    expect(pages.isBusy()).toBe(false);
    resolveOffset = (place) => void resolved.push(place);
    await pages.add(fetched(0, 7));
    expect(resolved).toEqual(['0:7']);
  });

  it('let only the partition rest whose messages stand in the way, and take it alone until it goes on', async () => {
    let stopped = true;
    const pages = open(async ({ messages }) => {
      if (stopped && messages.some(({ partition }) => partition === 2)) throw new Error('no further letter is kept');
    });
    await Promise.all([pages.add(fetched(0, 7)), pages.add(fetched(2, 3)), pages.add(fetched(4, 1))]);
    expect(partitionsSeen()).toEqual([[0, 2, 4], [0], [2], [4]]);
    expect(committed).toEqual(['0:8', '4:2']);
    expect(paused).toEqual([2]);
    stopped = false;
    await Promise.all([pages.add(fetched(0, 8)), pages.add(fetched(4, 2)), pages.add(fetched(2, 3))]);
    await Promise.all([pages.add(fetched(0, 9)), pages.add(fetched(2, 4))]);
    expect(partitionsSeen().slice(4)).toEqual([[0, 4], [2], [0, 2]]);
    pages.close();
  });

  it('end what is under way while the group gathers, keep its offsets, and begin nothing further', async () => {
    const gathering = failure('REBALANCE_IN_PROGRESS');
    heartbeat = () => Promise.reject(gathering);
    const pages = open((batch) => batch.heartbeat());
    const [done, waiting] = await Promise.allSettled([
      pages.add(fetched(0, 7)),
      pages.add(fetched(2, ...Array.from({ length: 200 }, (_, n) => n))),
    ]);
    expect(done).toMatchObject({ status: 'fulfilled' });
    expect(waiting).toMatchObject({ status: 'rejected', reason: gathering });
    expect(committed).toEqual(['0:8', '2:99']);
    expect([seen.length, seen[0]?.isStale()]).toEqual([1, false]);
  });
});
