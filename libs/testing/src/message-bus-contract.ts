import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  HEADERS_BYTES_MAX,
  KEY_BYTES_MAX,
  MESSAGES_PER_CALL_MAX,
  MESSAGE_BYTES_MAX,
  inTrace,
  partitionOfKey,
  type Batch,
  type Message,
  type MessageBus,
  type ReceivedMessage,
  type Subscription,
} from '@vafa/messaging';
import type { UnitOfWork } from '@vafa/persistence';
import { setTimeout as pause } from 'node:timers/promises';
import { deferred, eventually } from './eventually.js';

/** What the suite needs of an adapter. */
export type MessageBusHarness = {
  /** Another client of the same topics, as another process would have it; the harness closes it. */
  open(): MessageBus;
  /** Runs work in a transaction that the bus can enqueue in. */
  transaction<T>(work: (uow: UnitOfWork) => Promise<T>): Promise<T>;
  /** Cuts whatever holds the partitions of a group, as the end of its processes would. Absent where all is one process. */
  crash?(group: string): Promise<void>;
  close(): Promise<void>;
};

const RETENTION_MS = 600;
const HOUR_MS = 3_600_000;

/**
 * What every message bus must do, whatever it is made of. Retention is looked after often enough where the harness asks its bus to
 * (`RETENTION_MS` is what a short-lived topic is given).
 */
export const messageBusContract = (
  name: string,
  start: () => Promise<MessageBusHarness>,
  options: {
    readonly crashes: boolean;
    /** False where old messages go when the broker comes to it, which no test waits for. */
    readonly forgets?: boolean;
    /** True where a page may come again although no handler failed, as when its readers change: then the first sight of each message counts. */
    readonly repeats?: boolean;
  },
): void => {
  describe(`${name} as a message bus`, () => {
    let harness: MessageBusHarness;
    let bus: MessageBus;
    const subscriptions: Subscription[] = [];

    beforeEach(async () => {
      harness = await start();
      bus = harness.open();
      await bus.ensureTopics([
        { name: 'orders', partitions: 12, retentionMs: HOUR_MS },
        { name: 'others', partitions: 3, retentionMs: HOUR_MS },
        { name: 'brief', partitions: 2, retentionMs: RETENTION_MS },
      ]);
    });

    afterEach(async () => {
      await Promise.all(subscriptions.splice(0).map((subscription) => subscription.close()));
      await harness.close();
    });

    const subscribe = async (
      group: string,
      handler: (batch: Batch) => Promise<void> | void,
      options: { client?: MessageBus; topics?: string[]; pageSize?: number } = {},
    ): Promise<Subscription> => {
      const subscription = await (options.client ?? bus).subscribe({
        group,
        topics: options.topics ?? ['orders'],
        pageSize: options.pageSize ?? 100,
        handler: async (batch) => handler(batch),
      });
      subscriptions.push(subscription);
      return subscription;
    };

    const repeats = options.repeats === true;
    /** How many of these came, none of which was sent twice. */
    const countOf = (values: readonly unknown[]): number => (repeats ? new Set(values).size : values.length);

    const collect = async (
      group: string,
      options: Parameters<typeof subscribe>[2] = {},
    ): Promise<ReceivedMessage[]> => {
      const received: ReceivedMessage[] = [];
      const places = new Set<string>();
      const isFirst = ({ topic, partition, offset }: ReceivedMessage): boolean => {
        const known = places.size;
        return places.add(`${topic} ${partition} ${offset}`).size > known;
      };
      const take = ({ messages }: Batch): void =>
        void received.push(...(repeats ? messages.filter(isFirst) : messages));
      await subscribe(group, take, options);
      return received;
    };

    describe('delivery', () => {
      it('keeps the order of every key, over many pages and calls', async () => {
        const received = await collect('g', { pageSize: 7 });
        for (let call = 0; call < 5; call++) {
          const nth = (i: number): Message => order(`key-${i % 13}`, { call, i });
          await bus.publish(Array.from({ length: 60 }, (_, i) => nth(i)));
        }
        await eventually(() => expect(received).toHaveLength(300));
        for (const [, messages] of Map.groupBy(received, (message) => message.key)) {
          const places = messages.map(content<{ call: number; i: number }>).map(({ call, i }) => call * 1000 + i);
          expect(places).toEqual(places.toSorted((a, b) => a - b));
        }
      });

      it('gives a key its partition by the hash that Kafka clients use, and offsets that grow within it', async () => {
        const received = await collect('g');
        await bus.publish(Array.from({ length: 100 }, (_, i) => order(`member:${i % 40}`, i)));
        await eventually(() => expect(received).toHaveLength(100));
        for (const { key, partition } of received) expect(partition).toBe(partitionOfKey(key ?? '', 12));
        for (const [, messages] of Map.groupBy(received, (message) => message.partition)) {
          const offsets = messages.map(({ offset }) => BigInt(offset));
          expect(offsets.every((offset, i) => i === 0 || offset > (offsets[i - 1] ?? 0n))).toBe(true);
        }
      });

      it('hands over bytes, key and headers as they were given, whatever they are', async () => {
        const values = [
          Buffer.from('{"a":"سلام"}'),
          Buffer.alloc(0),
          Buffer.from([0xff, 0xfe, 0x00, 0x0a, 0x5c, 0x09]),
          Buffer.from('\\x00\\N\\.\n\t'),
        ];
        const headers = { ce_type: 'a.b', ü: 'وفا "\\\n\t' };
        const received = await collect('g', { topics: ['others'] });
        await bus.publish(values.map((value) => ({ topic: 'others', key: 'k\\N\t\n"é', value, headers })));
        await bus.publish([{ topic: 'others', key: null, value: Buffer.from('no key') }]);
        await eventually(() => expect(received).toHaveLength(5));
        const keyed = received.filter(({ key }) => key !== null);
        expect(keyed.map(({ value }) => value)).toEqual(values);
        expect(keyed.every(({ key }) => key === 'k\\N\t\n"é')).toBe(true);
        expect(keyed.map((message) => message.headers)).toEqual(values.map(() => headers));
        expect(received.find(({ key }) => key === null)).toMatchObject({ headers: {}, topic: 'others' });
      });

      it('carries on the trace in which a message is published or enqueued', async () => {
        const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
        const received = await collect('g');
        await inTrace(traceparent, () => bus.publish([order('a', 1)]));
        await inTrace(traceparent, () => harness.transaction((uow) => bus.enqueue(uow, [order('b', 2)])));
        await inTrace('no trace', () => bus.publish([{ ...order('c', 3), headers: { h: 'v' } }]));
        await eventually(() => expect(received).toHaveLength(3));
        const headers = new Map(received.map((message) => [message.key, message.headers]));
        expect(headers).toEqual(
          new Map<string, object>([
            ['a', { traceparent }],
            ['b', { traceparent }],
            ['c', { h: 'v' }],
          ]),
        );
      });

      it('gives every group every message, also one that comes later', async () => {
        const first = await collect('first');
        await bus.publish([order('a', 1), order('b', 2)]);
        await eventually(() => expect(first).toHaveLength(2));
        const second = await collect('second');
        await bus.publish([order('a', 3)]);
        await eventually(() => expect(first).toHaveLength(3));
        await eventually(() => expect(second).toHaveLength(3));
      });

      it('serves several topics in one subscription, each page of one topic', async () => {
        const pages: Batch[] = [];
        await subscribe('g', (batch) => void pages.push(batch), { topics: ['orders', 'others'] });
        await bus.publish([order('a', 1), { ...order('a', 2), topic: 'others' }]);
        await eventually(() => expect(pages).toHaveLength(2));
        for (const page of pages) expect(page.messages.every(({ topic }) => topic === page.topic)).toBe(true);
      });

      it('keeps to the page size', async () => {
        await bus.publish(Array.from({ length: 50 }, (_, i) => order(`k${i}`, i)));
        const sizes: number[] = [];
        await subscribe('g', ({ messages }) => void sizes.push(messages.length), { pageSize: 4 });
        await eventually(() => expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(50));
        expect(Math.max(...sizes)).toBeLessThanOrEqual(4);
      });

      it('takes many calls of publish at once', async () => {
        const received = await collect('g');
        await Promise.all(Array.from({ length: 200 }, (_, i) => bus.publish([order(`k${i}`, i)])));
        await eventually(() => expect(received).toHaveLength(200));
      });
    });

    describe('offsets', () => {
      it('brings a page again when its handler rejects, before anything later of its partitions', async () => {
        const tries: number[][] = [];
        await subscribe(
          'g',
          ({ messages }) => {
            tries.push(messages.map(content<number>));
            if (tries.length <= 2) throw new Error('not yet');
          },
          { pageSize: 2 },
        );
        await bus.publish([1, 2, 3, 4].map((n) => order('one key', n)));
        await eventually(() => expect(tries).toHaveLength(4));
        expect(tries).toEqual([
          [1, 2],
          [1, 2],
          [1, 2],
          [3, 4],
        ]);
      });

      it('moves offsets only after the handler has resolved', async () => {
        const entered = deferred();
        const subscription = await subscribe('g', async ({ signal }) => {
          entered.resolve();
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          throw new Error('cut off');
        });
        await bus.publish([order('a', 1)]);
        await entered.promise;
        expect((await subscription.lag()).get('orders')).toBe(1);
        await subscription.close();
        const received = await collect('g');
        await eventually(() => expect(received.map(content)).toEqual([1]));
      });

      it('goes on after a restart from where it was', async () => {
        const before: ReceivedMessage[] = [];
        const subscription = await subscribe('g', ({ messages }) => void before.push(...messages));
        await bus.publish([order('a', 1), order('b', 2)]);
        await eventually(() => expect(before).toHaveLength(2));
        await subscription.close();
        await bus.publish([order('a', 3)]);
        const after = await collect('g', { client: harness.open() });
        await eventually(() => expect(after.map(content)).toEqual([3]));
        await pause(300);
        expect(after).toHaveLength(1);
      });

      it('drains what is under way when it closes', async () => {
        const entered = deferred();
        const release = deferred();
        const taken: unknown[] = [];
        const subscription = await subscribe('g', async ({ messages }) => {
          entered.resolve();
          await release.promise;
          taken.push(...messages.map(content));
        });
        await bus.publish([order('a', 1)]);
        await entered.promise;
        let closed = false;
        const closing = subscription.close().then(() => void (closed = true));
        await pause(100);
        expect(closed).toBe(false);
        release.resolve();
        await closing;
        expect(taken).toEqual([1]);
        const again = await collect('g');
        await bus.publish([order('a', 2)]);
        await eventually(() => expect(again.map(content)).toEqual([2]));
      });

      it('tells how many messages a group has not taken', async () => {
        const gate = deferred();
        const subscription = await subscribe('g', () => gate.promise, { topics: ['orders', 'others'] });
        await bus.publish(Array.from({ length: 25 }, (_, i) => order(`k${i}`, i)));
        await eventually(async () =>
          expect(await subscription.lag()).toEqual(
            new Map([
              ['orders', 25],
              ['others', 0],
            ]),
          ),
        );
        gate.resolve();
        await eventually(async () => expect((await subscription.lag()).get('orders')).toBe(0));
      });
    });

    describe('sharing', () => {
      it('never gives two pages of one partition at once, and shares partitions in a group', async () => {
        const busy = new Map<number, string>();
        const clashes: string[] = [];
        const seen: unknown[] = [];
        const shares = new Map<string, Set<number>>();
        const member = async (id: string, client: MessageBus): Promise<Subscription> =>
          subscribe(
            'g',
            async ({ messages }) => {
              const partitions = new Set(messages.map(({ partition }) => partition));
              for (const partition of partitions) {
                if (busy.has(partition)) clashes.push(`${partition}: ${busy.get(partition)} and ${id}`);
                busy.set(partition, id);
                shares.set(id, (shares.get(id) ?? new Set()).add(partition));
              }
              await pause(5);
              seen.push(...messages.map(content));
              for (const partition of partitions) busy.delete(partition);
            },
            { client, pageSize: 20 },
          );
        await member('a', bus);
        await member('b', harness.open());
        let published = 0;
        await eventually(async () => {
          shares.clear();
          await bus.publish(Array.from({ length: 120 }, () => order(`k${published % 97}`, published++)));
          await eventually(() => expect(countOf(seen)).toBe(published));
          expect([...shares.keys()].toSorted()).toEqual(['a', 'b']);
          expect([...(shares.get('a') ?? [])].filter((partition) => shares.get('b')?.has(partition))).toEqual([]);
        });
        expect(new Set(seen).size).toBe(published);
        expect(clashes).toEqual([]);
      });

      it('lets the others take over when one closes', async () => {
        const one: unknown[] = [];
        const two: unknown[] = [];
        const first = await subscribe('g', ({ messages }) => void one.push(...messages.map(content)));
        await subscribe('g', ({ messages }) => void two.push(...messages.map(content)), { client: harness.open() });
        await bus.publish(Array.from({ length: 50 }, (_, i) => order(`k${i}`, i)));
        await eventually(() => expect(countOf([...one, ...two])).toBe(50));
        await first.close();
        await bus.publish(Array.from({ length: 50 }, (_, i) => order(`k${i}`, 50 + i)));
        await eventually(() => expect(countOf([...one, ...two])).toBe(100));
        expect(new Set([...one, ...two]).size).toBe(100);
      });

      if (!options.crashes) return;

      it('knows a batch as stale once its partitions are lost, and begins again by itself', async () => {
        const stale = deferred();
        const again: unknown[] = [];
        let calls = 0;
        await subscribe('g', async (batch) => {
          if (calls++ > 0) return void again.push(...batch.messages.map(content));
          await harness.crash?.('g');
          await eventually(() => expect(batch.isStale()).toBe(true));
          stale.resolve();
        });
        await bus.publish([order('a', 1)]);
        await stale.promise;
        await eventually(() => expect(again).toEqual([1]));
      });

      it('lets the others take over when one dies', async () => {
        const hung = deferred();
        const stuck = deferred();
        await subscribe('g', async () => {
          stuck.resolve();
          await hung.promise;
        });
        await bus.publish(Array.from({ length: 50 }, (_, i) => order(`k${i}`, i)));
        await stuck.promise;
        await harness.crash?.('g');
        const taken = await collect('g', { client: harness.open() });
        await eventually(() => expect(new Set(taken.map(content)).size).toBe(50));
        hung.resolve();
      });
    });

    describe('transactions', () => {
      it('delivers what a transaction enqueued once it has committed, and not before', async () => {
        const received = await collect('g');
        const gate = deferred();
        const transaction = harness.transaction(async (uow) => {
          await bus.enqueue(uow, [order('a', 1)]);
          await gate.promise;
        });
        await pause(400);
        expect(received).toEqual([]);
        gate.resolve();
        await transaction;
        await eventually(() => expect(received.map(content)).toEqual([1]));
      });

      it('delivers nothing of a transaction that is rolled back', async () => {
        const received = await collect('g');
        const rolledBack = harness.transaction(async (uow) => {
          await bus.enqueue(uow, [order('a', 1)]);
          throw new Error('no');
        });
        await expect(rolledBack).rejects.toThrow('no');
        await bus.publish([order('a', 2)]);
        await eventually(() => expect(received.map(content)).toEqual([2]));
      });

      it('skips no message of a slow transaction', async () => {
        const received = await collect('g');
        const entered = deferred();
        const gate = deferred();
        const transaction = (n: number, before: () => Promise<void>): Promise<void> =>
          harness.transaction(async (uow) => {
            await bus.enqueue(uow, [order('one key', n)]);
            await before();
          });
        const slow = transaction(0, async () => {
          entered.resolve();
          await gate.promise;
        });
        await entered.promise;
        const quick = Array.from({ length: 8 }, (_, i) => transaction(i + 1, async () => undefined));
        const published = bus.publish([order('another key', 99)]);
        await pause(300);
        gate.resolve();
        await Promise.all([slow, published, ...quick]);
        await eventually(() => expect(received).toHaveLength(10));
        const values = received.filter(({ key }) => key === 'one key').map((message) => content<number>(message));
        // Which commit came first nobody can say from outside; a reader that skips would miss the slow one.
        expect(values.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
      });

      it('loses and reorders nothing under many writers', async () => {
        const received = await collect('g', { pageSize: 25 });
        // Of two writers nobody can say from outside whose commit came first; each one's own commits came one after another.
        const writer = async (id: number): Promise<void> => {
          for (let i = 0; i < 15; i++)
            await harness.transaction((uow) => bus.enqueue(uow, [order(`k${(id + i) % 5}`, id * 100 + i)]));
        };
        await Promise.all(Array.from({ length: 6 }, (_, id) => writer(id)));
        await eventually(() => expect(received).toHaveLength(90));
        for (let id = 0; id < 6; id++)
          for (let key = 0; key < 5; key++) {
            const own = received.filter((message) => message.key === `k${key}`).map(content);
            const sent = Array.from({ length: 15 }, (_, i) => i).filter((i) => (id + i) % 5 === key);
            expect(own.filter((value) => Math.floor(Number(value) / 100) === id)).toEqual(
              sent.map((i) => id * 100 + i),
            );
          }
      });
    });

    describe('limits', () => {
      const tooLarge: [string, Message][] = [
        ['bytes', { topic: 'orders', key: 'k', value: Buffer.alloc(MESSAGE_BYTES_MAX + 1) }],
        ['key', { topic: 'orders', key: 'ü'.repeat(KEY_BYTES_MAX / 2 + 1), value: Buffer.from('{}') }],
        ['key with the character NUL', { topic: 'orders', key: 'a\0b', value: Buffer.from('{}') }],
        ['headers', { ...order('k', 1), headers: { large: 'x'.repeat(HEADERS_BYTES_MAX) } }],
        ['topic nowhere', { topic: 'nowhere', key: 'k', value: Buffer.from('{}') }],
      ];

      it.each(tooLarge)('refuses by name what is outside them: %s', async (words, message) => {
        for (const word of words.split(' ').slice(0, 1))
          await expect(bus.publish([order('k', 1), message])).rejects.toThrow(new RegExp(word));
        await expect(bus.publish([message])).rejects.toBeInstanceOf(RangeError);
        const enqueued = harness.transaction((uow) => bus.enqueue(uow, [message]));
        await expect(enqueued).rejects.toBeInstanceOf(RangeError);
        const received = await collect('g');
        await bus.publish([order('k', 2)]);
        await eventually(() => expect(received.map(content)).toEqual([2]));
      });

      it('takes what is just within them', async () => {
        const value = Buffer.alloc(MESSAGE_BYTES_MAX, 0xff);
        const received = await collect('g');
        await bus.publish([{ topic: 'orders', key: 'k'.repeat(KEY_BYTES_MAX), value }]);
        await eventually(() => expect(received).toHaveLength(1));
        expect(received[0]?.value.equals(value)).toBe(true);
      });

      it('refuses a call with too many messages, and takes one with none', async () => {
        const one = order('k', 1);
        await expect(bus.publish(Array.from({ length: MESSAGES_PER_CALL_MAX + 1 }, () => one))).rejects.toThrow(
          RangeError,
        );
        await bus.publish([]);
        await harness.transaction((uow) => bus.enqueue(uow, []));
      });

      it('refuses to subscribe to a topic that does not exist, or with a page size outside the limits', async () => {
        await expect(subscribe('g', () => undefined, { topics: ['nowhere'] })).rejects.toThrow(/nowhere/);
        await expect(subscribe('g', () => undefined, { pageSize: 0 })).rejects.toThrow(/pageSize/);
      });

      it('creates a topic once, and refuses more partitions later', async () => {
        await bus.ensureTopics([{ name: 'orders', partitions: 12, retentionMs: HOUR_MS }]);
        await bus.ensureTopics([{ name: 'orders', partitions: 6, retentionMs: HOUR_MS }]);
        const more = bus.ensureTopics([{ name: 'orders', partitions: 24, retentionMs: HOUR_MS }]);
        await expect(more).rejects.toThrow(/12 partitions, 24/);
        await expect(bus.ensureTopics([{ name: 'no name', partitions: 1, retentionMs: 1 }])).rejects.toThrow(
          RangeError,
        );
      });
    });

    (options.forgets === false ? it.skip : it)('forgets what is older than the retention', async () => {
      await bus.publish([{ ...order('a', 'old'), topic: 'brief' }]);
      await bus.publish([order('a', 'kept elsewhere')]);
      await pause(RETENTION_MS * 3);
      // Each try with a group that comes late: what is old may stay until somebody sweeps, and a new one may be old before it was read.
      let tries = 0;
      await eventually(async () => {
        const received: unknown[] = [];
        const late = await subscribe(
          `late-${tries++}`,
          ({ messages }) => void received.push(...messages.map(content)),
          {
            topics: ['brief', 'orders'],
          },
        );
        await eventually(async () => {
          await bus.publish([{ ...order('a', 'new'), topic: 'brief' }]);
          expect(received).toEqual(expect.arrayContaining(['kept elsewhere', 'new']));
        });
        await late.close();
        expect([...new Set(received)].toSorted()).toEqual(['kept elsewhere', 'new']);
      });
    });

    (options.forgets === false ? it.skip : it)(
      'keeps what a group has not taken, however old, and forgets it once it is taken',
      async () => {
        const brief = (key: string, value: unknown): Message => ({ ...order(key, value), topic: 'brief' });
        const [here, there] = keysOfTwoPartitions();
        const first: unknown[] = [];
        const subscription = await subscribe('g', ({ messages }) => void first.push(...messages.map(content)), {
          topics: ['brief'],
        });
        await bus.publish([brief(here, 'taken')]);
        await eventually(async () => expect((await subscription.lag()).get('brief')).toBe(0));
        await subscription.close();
        // One in the partition that the group has an offset for, one in that which it has never had a message of.
        await bus.publish([brief(here, 'behind'), brief(there, 'behind where none was')]);
        const tried = Array.from({ length: 4 }, (_, i) => i);
        for (const i of tried) {
          await pause(RETENTION_MS);
          // A read by another group makes an adapter sweep that does so when it is read.
          const other = await collect(`other-${i}`, { topics: ['brief'] });
          await eventually(() =>
            expect(other.map(content)).toEqual(expect.arrayContaining(['behind', 'behind where none was'])),
          );
        }
        await Promise.all(subscriptions.splice(0).map((other) => other.close()));
        const again = await collect('g', { topics: ['brief'] });
        await eventually(() => expect(again.map(content).toSorted()).toEqual(['behind', 'behind where none was']));
        let late = 0;
        await eventually(async () => {
          const received: unknown[] = [];
          const comer = await subscribe(
            `late-${late++}`,
            ({ messages }) => void received.push(...messages.map(content)),
            { topics: ['brief', 'others'] },
          );
          await bus.publish([{ ...order('a', 'now'), topic: 'others' }]);
          await eventually(() => expect(received).toContain('now'));
          await comer.close();
          expect(received).not.toEqual(expect.arrayContaining(['behind']));
        });
      },
    );

    it('answers whether it can be used, and refuses once it is closed', async () => {
      await bus.ping();
      const received = await collect('g');
      await bus.publish([order('a', 1)]);
      await eventually(() => expect(received).toHaveLength(1));
      const another = harness.open();
      await another.close();
      await expect(another.publish([order('a', 2)])).rejects.toThrow(/closed/);
      await expect(another.ping()).rejects.toThrow(/closed/);
    });
  });
};

const order = (key: string | null, value: unknown): Message => ({
  topic: 'orders',
  key,
  value: Buffer.from(JSON.stringify(value)),
});

/** Two keys that lie in different partitions of a topic of two. */
const keysOfTwoPartitions = (): [string, string] => {
  const keyOf = (partition: number): string => {
    let i = 0;
    while (partitionOfKey(`k${i}`, 2) !== partition) i++;
    return `k${i}`;
  };
  return [keyOf(0), keyOf(1)];
};

const content = <T>({ value }: ReceivedMessage): T => JSON.parse(value.toString()) as T;
