import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  APPEND_BYTES_MAX,
  EVENT_BYTES_MAX,
  EVENTS_PER_APPEND_MAX,
  MemoryEventStore,
  NO_STREAM,
  PAGE_SIZE_MAX,
  STREAMS_PER_LOAD_MAX,
} from '@vafa/event-sourcing';
import type { AppendOutcome, EventStore, LogPage, NewEvent, Position, StoredEvent } from '@vafa/event-sourcing';
import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

/** One body of data on which adapters can be opened. */
export type EventStoreHarness = {
  /** A new adapter instance on the same data, as another process or a restart would have it. The contract closes it. */
  open(): Promise<EventStore>;
  close(): Promise<void>;
};

/** The same for an adapter that talks to a server, and so can be slow and be cut off. */
export type FaultyEventStoreHarness = EventStoreHarness & {
  /** Makes every commit that appends to this stream wait until the answer's function is called, with its events written and not yet seen. */
  stallCommits(streamId: string): Promise<() => Promise<void>>;
  /** Cuts the connections of all open instances. */
  breakConnections(): Promise<void>;
};

const TIMEOUT_MS = 60_000;
const READER_SLEEP_MS = 600;

/** An event with some data; its id is random unless given. */
export const anEvent = (over: Partial<NewEvent> = {}): NewEvent => ({
  id: randomUUID(),
  type: 'SomethingHappened',
  data: '{"amount":1}',
  metadata: '{"schema":1}',
  ...over,
});

const events = (count: number): NewEvent[] => Array.from({ length: count }, () => anEvent());
const ids = (list: readonly { id: string }[]): string[] => list.map((event) => event.id);
const appended = (revision: number): AppendOutcome => ({ status: 'appended', revision, repeated: false });
const repeated = (revision: number): AppendOutcome => ({ status: 'appended', revision, repeated: true });
const conflict = (actual: number): AppendOutcome => ({ status: 'conflict', actual });

/** Reads pages until `enough` says so, then ends the subscription. */
const follow = async (
  store: EventStore,
  options: { prefix: string; after?: Position | null; pageSize?: number },
  enough: (pages: readonly LogPage[]) => boolean,
): Promise<LogPage[]> => {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
  const pages: LogPage[] = [];
  const log = store.subscribe({
    prefix: options.prefix,
    after: options.after ?? null,
    pageSize: options.pageSize ?? 100,
    signal: abort.signal,
  });
  for await (const page of log) {
    pages.push(page);
    if (enough(pages)) break;
  }
  clearTimeout(timer);
  abort.abort();
  return pages;
};

const untilCaughtUp = (pages: readonly LogPage[]): boolean => pages.at(-1)?.caughtUp === true;
const eventsOf = (pages: readonly LogPage[]): StoredEvent[] => pages.flatMap((page) => page.events);
const untilSeen =
  (count: number) =>
  (pages: readonly LogPage[]): boolean =>
    eventsOf(pages).length >= count;

const settled = async (promise: Promise<unknown>, withinMs: number): Promise<boolean> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), withinMs)));
  const isSettled = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return isSettled;
};

/** What every adapter of the `EventStore` port keeps. Streams have random names, so the tests share one body of data. */
export const eventStoreContract = (name: string, create: () => Promise<EventStoreHarness>): void => {
  describe(`${name} keeps the contract of the event store`, () => {
    let harness: EventStoreHarness;
    let store: EventStore;
    let opened: EventStore[] = [];
    const open = async (): Promise<EventStore> => {
      const another = await harness.open();
      opened.push(another);
      return another;
    };
    const context: Context = { store: () => store, open };

    beforeAll(async () => {
      harness = await create();
      store = await harness.open();
    });
    afterEach(async () => {
      await Promise.all(opened.map((another) => another.close()));
      opened = [];
    });
    afterAll(async () => {
      await store.close();
      await harness.close();
    });

    describe('append', () => appendContract(context));
    describe('many appends in flight', () => groupContract(context));
    describe('reading', () => readContract(context));
    describe('limits', () => limitContract(context));
    describe('subscribe', () => subscribeContract(context));
    describe('opening and closing', () => lifeContract(context));
  });
};

type Context = {
  readonly store: () => EventStore;
  readonly open: () => Promise<EventStore>;
};

const newStream = (prefix = 'thing'): string => `${prefix}-${randomUUID()}`;

const appendContract = ({ store }: Context): void => {
  it('takes events at the expected revision and counts revisions from 0', async () => {
    const stream = newStream();
    expect(await store().append(stream, NO_STREAM, events(1))).toEqual(appended(0));
    expect(await store().append(stream, 0, events(3))).toEqual(appended(3));
    const stored = await store().read(stream, 0, 10);
    expect(stored.map((event) => event.revision)).toEqual([0, 1, 2, 3]);
  });

  it('keeps text to the letter', async () => {
    const stream = newStream();
    const event = anEvent({
      type: 'Übung',
      data: '{ "b":1,\t"a":"\\u0000 \\\\ \\n وفا 🎈", "n": 1.50 }\r\n',
      metadata: '{"z":"\\\\N"}\\.\n',
    });
    await store().append(stream, NO_STREAM, [event]);
    const [stored] = await store().read(stream, 0, 1);
    expect(stored).toMatchObject({ ...event, streamId: stream, revision: 0 });
    expect(stored?.recordedAt).toBe(Temporal.Instant.from(stored?.recordedAt ?? '').toString());
  });

  it('keeps the time of recording of an event that comes from another store', async () => {
    const stream = newStream();
    const moved = anEvent({ recordedAt: '2020-02-29T12:00:00.123456Z' });
    await store().append(stream, NO_STREAM, [moved, anEvent()]);
    const [first, second] = await store().read(stream, 0, 2);
    expect(first).toMatchObject(moved);
    expect(second?.recordedAt).not.toBe(first?.recordedAt);
  });

  it.each([
    ['a stream that is not there, expected to have an event', 0, 0, NO_STREAM],
    ['a stream that has events, expected to be new', 2, NO_STREAM, 1],
    ['an expected revision behind the head', 3, 1, 2],
    ['a gap: an expected revision beyond the head', 2, 5, 1],
  ])('answers with a conflict for %s', async (_case, length, expected, actual) => {
    const stream = newStream();
    if (length > 0) await store().append(stream, NO_STREAM, events(length));
    expect(await store().append(stream, expected, events(1))).toEqual(conflict(actual));
    expect(await store().read(stream, 0, 10)).toHaveLength(length);
  });

  it('knows a repeat of the whole, also when the stream has grown since', async () => {
    const stream = newStream();
    const first = events(2);
    await store().append(stream, NO_STREAM, first);
    expect(await store().append(stream, NO_STREAM, first)).toEqual(repeated(1));
    const second = events(3);
    await store().append(stream, 1, second);
    expect(await store().append(stream, 1, second)).toEqual(repeated(4));
    expect(await store().append(stream, NO_STREAM, first)).toEqual(repeated(1));
    expect(ids(await store().read(stream, 0, 10))).toEqual(ids([...first, ...second]));
  });

  it('knows a repeat of a beginning of the ids, and one with other data', async () => {
    const stream = newStream();
    const [a, b, c] = [anEvent(), anEvent(), anEvent()];
    await store().append(stream, NO_STREAM, [a, b, c]);
    expect(await store().append(stream, NO_STREAM, [a, b])).toEqual(repeated(1));
    expect(await store().append(stream, NO_STREAM, [{ ...a, data: '{"amount":2}' }])).toEqual(repeated(0));
    expect(await store().read(stream, 0, 10)).toHaveLength(3);
  });

  it('takes nothing for a repeat that is only partly one', async () => {
    const stream = newStream();
    const [a, b] = [anEvent(), anEvent()];
    await store().append(stream, NO_STREAM, [a, b]);
    expect(await store().append(stream, NO_STREAM, [a, anEvent()])).toEqual(conflict(1));
    expect(await store().append(stream, NO_STREAM, [b])).toEqual(conflict(1));
    expect(await store().append(stream, NO_STREAM, [a, b, anEvent()])).toEqual(conflict(1));
    expect(await store().append(stream, 0, [b])).toEqual(repeated(1));
    expect(await store().read(stream, 0, 10)).toHaveLength(2);
  });

  it('takes the same event id in two streams', async () => {
    const event = anEvent();
    expect(await store().append(newStream(), NO_STREAM, [event])).toEqual(appended(0));
    expect(await store().append(newStream(), NO_STREAM, [event])).toEqual(appended(0));
  });
};

const groupContract = ({ store, open }: Context): void => {
  it('gives each append its own outcome: one conflict leaves the others of its group alone', async () => {
    const streams = Array.from({ length: 100 }, () => newStream());
    const taken = newStream();
    await store().append(taken, NO_STREAM, events(1));
    const outcomes = await Promise.all(
      [...streams.slice(0, 50), taken, ...streams.slice(50)].map((stream) =>
        store().append(stream, NO_STREAM, events(2)),
      ),
    );
    expect(outcomes[50]).toEqual(conflict(0));
    expect(outcomes.filter((outcome) => outcome.status === 'appended')).toHaveLength(100);
    const loaded = await store().load(streams);
    expect([...loaded.values()].every((stream) => stream.length === 2)).toBe(true);
    expect(loaded.size).toBe(100);
  });

  it('lets exactly one of several writers of a revision win, and a chain of appends in flight stand', async () => {
    const contested = newStream();
    const race = await Promise.all(events(20).map((event) => store().append(contested, NO_STREAM, [event])));
    expect(race.filter((outcome) => outcome.status === 'appended')).toHaveLength(1);
    const chain = newStream();
    const links = await Promise.all(events(20).map((event, i) => store().append(chain, i - 1, [event])));
    expect(links).toEqual(links.map((_, i) => appended(i)));
  });

  it('knows a repeat that is in flight at the same time', async () => {
    const stream = newStream();
    const own = events(3);
    const outcomes = await Promise.all([1, 2, 3].map(() => store().append(stream, NO_STREAM, own)));
    expect(outcomes.filter((outcome) => outcome.status === 'appended' && !outcome.repeated)).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome.status === 'appended' && outcome.repeated)).toHaveLength(2);
    expect(await store().read(stream, 0, 10)).toHaveLength(3);
  });

  it('appends atomically: readers see all events of a call or none', async () => {
    const stream = newStream();
    const lengths = new Set<number>();
    const writer = (async () => {
      for (let i = 0; i < 10; i++) await store().append(stream, i * 7 - 1, events(7));
    })();
    let isWriting = true;
    void writer.finally(() => (isWriting = false));
    while (isWriting) lengths.add((await store().read(stream, 0, 100)).length);
    await writer;
    lengths.add((await store().read(stream, 0, 100)).length);
    expect([...lengths].filter((length) => length % 7 !== 0)).toEqual([]);
    expect(lengths).toContain(70);
  });

  it('keeps streams whole with several writers of several instances', async () => {
    const stores = [store(), await open(), await open()];
    const streams = Array.from({ length: 5 }, () => newStream());
    const append = async (writer: EventStore, stream: string): Promise<void> => {
      const event = anEvent();
      for (let expected = NO_STREAM; ;) {
        const outcome = await writer.append(stream, expected, [event]);
        if (outcome.status === 'appended') return;
        expected = outcome.actual;
      }
    };
    const work = stores.flatMap((writer) =>
      streams.flatMap((stream) => [1, 2, 3, 4].map(() => append(writer, stream))),
    );
    await Promise.all(work);
    for (const stream of streams) {
      const stored = await store().read(stream, 0, 100);
      expect(stored.map((event) => event.revision)).toEqual(Array.from({ length: 12 }, (_, i) => i));
      expect(new Set(ids(stored)).size).toBe(12);
    }
  });

  it('is not misled by what it remembers when another instance has written', async () => {
    const [one, other] = [store(), await open()];
    const stream = newStream();
    const neighbour = newStream();
    const own = anEvent();
    await one.append(stream, NO_STREAM, [own]);
    await other.append(stream, 0, events(2));
    // Fits what `one` remembers, and not what is.
    const together = [one.append(stream, 0, events(1)), one.append(neighbour, NO_STREAM, events(1))];
    expect(await Promise.all(together)).toEqual([conflict(2), appended(0)]);
    await other.append(stream, 2, events(1));
    // Fits what is, and not what `one` remembers.
    expect(await one.append(stream, 3, events(1))).toEqual(appended(4));
    expect(await other.append(stream, NO_STREAM, [own])).toEqual(repeated(0));
    expect(await one.read(stream, 0, 10)).toHaveLength(5);
  });

  it('answers as the model answers, whatever is asked', async () => {
    const pool = events(4);
    const command = fc.record({
      stream: fc.nat(1),
      expected: fc.integer({ min: -1, max: 6 }),
      picks: fc.uniqueArray(fc.nat(3), { minLength: 1, maxLength: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 12 }), async (commands) => {
        const model = new MemoryEventStore();
        const streams = [newStream('model'), newStream('model')];
        const run = (target: EventStore): Promise<AppendOutcome[]> =>
          Promise.all(
            commands.map(({ stream, expected, picks }) =>
              target.append(
                streams[stream] ?? '',
                expected,
                picks.map((pick) => pool[pick] ?? anEvent()),
              ),
            ),
          );
        expect(await run(store())).toEqual(await run(model));
        const shape = async (target: EventStore): Promise<unknown> =>
          [...(await target.load(streams))].sort().map(([id, stored]) => [id, ids(stored)]);
        expect(await shape(store())).toEqual(await shape(model));
      }),
      { numRuns: 40 },
    );
  });
};

const readContract = ({ store }: Context): void => {
  it('loads many streams at once, and tails; a stream without events is absent', async () => {
    const [a, b, absent] = [newStream(), newStream(), newStream()];
    await store().append(a, NO_STREAM, events(3));
    await store().append(b, NO_STREAM, events(2));
    const whole = await store().load([a, absent, b, a]);
    expect([...whole].map(([id, stream]) => [id, stream.map((event) => event.revision)]).sort()).toEqual(
      [
        [a, [0, 1, 2]],
        [b, [0, 1]],
      ].sort(),
    );
    const tails = await store().load([a, b], new Map([[a, 1], [b, 1]])); // prettier-ignore
    expect([...tails].map(([id, stream]) => [id, stream.map((event) => event.revision)])).toEqual([[a, [2]]]);
    expect(await store().load([])).toEqual(new Map());
  });

  it('reads a stream in pages', async () => {
    const stream = newStream();
    const own = events(25);
    await store().append(stream, NO_STREAM, own);
    const pages = [];
    for (let from = 0; from < 30; from += 10) pages.push(await store().read(stream, from, 10));
    expect(pages.map((page) => page.length)).toEqual([10, 10, 5]);
    expect(ids(pages.flat())).toEqual(ids(own));
    expect(await store().read(stream, 25, 10)).toEqual([]);
    expect(await store().read(newStream(), 0, 10)).toEqual([]);
  });
};

const limitContract = ({ store }: Context): void => {
  it.each<[string, (stream: string) => [string, number, NewEvent[]]]>([
    ['no events', (stream) => [stream, NO_STREAM, []]],
    ['too many events', (stream) => [stream, NO_STREAM, events(EVENTS_PER_APPEND_MAX + 1)]],
    ['an event too big', (stream) => [stream, NO_STREAM, [anEvent({ data: 'x'.repeat(EVENT_BYTES_MAX) })]]],
    [
      'events too big together',
      (stream) => [
        stream,
        NO_STREAM,
        Array.from({ length: 3 }, () => anEvent({ data: 'x'.repeat(APPEND_BYTES_MAX / 3) })),
      ],
    ],
    ['an id that is no uuid', (stream) => [stream, NO_STREAM, [anEvent({ id: 'one' })]]],
    ['one id twice', (stream) => [stream, NO_STREAM, Array.from({ length: 2 }, () => anEvent({ id: randomUUIDOnce }))]],
    ['no type', (stream) => [stream, NO_STREAM, [anEvent({ type: '' })]]],
    ['NUL', (stream) => [stream, NO_STREAM, [anEvent({ data: '"\0"' })]]],
    ['half a surrogate pair', (stream) => [stream, NO_STREAM, [anEvent({ metadata: '"\ud800"' })]]],
    ['an expected revision below -1', (stream) => [stream, -2, events(1)]],
    ['an expected revision that is no integer', (stream) => [stream, 0.5, events(1)]],
    ['a time of recording that is none', (stream) => [stream, NO_STREAM, [anEvent({ recordedAt: 'yesterday' })]]],
    ['a stream without a name', () => ['', NO_STREAM, events(1)]],
  ])('refuses %s before anything is sent, and others in flight do not notice', async (_case, call) => {
    const [good, bad] = [newStream(), newStream()];
    const [outcome] = await Promise.all([
      store().append(good, NO_STREAM, events(1)),
      expect(store().append(...call(bad))).rejects.toThrow(RangeError),
    ]);
    expect(outcome).toEqual(appended(0));
    expect(await store().read(bad, 0, 1)).toEqual([]);
  });

  it('takes what is just within them', async () => {
    const stream = newStream();
    expect(await store().append(stream, NO_STREAM, events(EVENTS_PER_APPEND_MAX))).toEqual(
      appended(EVENTS_PER_APPEND_MAX - 1),
    );
    const big = anEvent({ data: `"${'x'.repeat(EVENT_BYTES_MAX - 4)}"`, metadata: '{}' });
    expect(await store().append(newStream(), NO_STREAM, [big])).toEqual(appended(0));
  });

  it('refuses reads beyond them', async () => {
    const many = Array.from({ length: STREAMS_PER_LOAD_MAX + 1 }, (_, i) => `s-${i}`);
    await expect(store().load(many)).rejects.toThrow(RangeError);
    await expect(store().read('s', 0, PAGE_SIZE_MAX + 1)).rejects.toThrow(RangeError);
    await expect(store().read('s', -1, 1)).rejects.toThrow(RangeError);
    const pages = store().subscribe({
      prefix: '',
      after: null,
      pageSize: PAGE_SIZE_MAX + 1,
      signal: new AbortController().signal,
    });
    await expect(pages[Symbol.asyncIterator]().next()).rejects.toThrow(RangeError);
  });
};

const randomUUIDOnce = randomUUID();

const subscribeContract = ({ store, open }: Context): void => {
  it('gives the events of a prefix in order, in pages, and says when it has caught up', async () => {
    const prefix = `p${randomUUID()}`;
    const own: NewEvent[] = [];
    for (let i = 0; i < 25; i++) {
      const event = anEvent();
      own.push(event);
      await store().append(`${prefix}-${i % 3}`, Math.floor(i / 3) - 1, [event]);
      await store().append(newStream('other'), NO_STREAM, events(1));
    }
    const pages = await follow(store(), { prefix, pageSize: 10 }, untilCaughtUp);
    expect(ids(eventsOf(pages))).toEqual(ids(own));
    expect(pages.every((page) => page.events.length <= 10)).toBe(true);
    expect(pages.slice(0, -1).every((page) => !page.caughtUp)).toBe(true);
    expect(eventsOf(pages).every((event) => event.streamId.startsWith(prefix))).toBe(true);
    const [first] = await store().read(`${prefix}-0`, 0, 1);
    expect(eventsOf(pages)[0]).toEqual(first);
  });

  it('goes on from a position, exclusively, and from an event’s own', async () => {
    const prefix = `p${randomUUID()}`;
    const own = events(10);
    await store().append(`${prefix}-1`, NO_STREAM, own);
    const pages = await follow(store(), { prefix, pageSize: 3 }, untilSeen(4));
    const seen = eventsOf(pages);
    const rest = await follow(store(), { prefix, after: pages.at(-1)?.position ?? null }, untilCaughtUp);
    expect(ids([...seen, ...eventsOf(rest)])).toEqual(ids(own));
    const tail = await follow(store(), { prefix, after: seen[1]?.position ?? null }, untilCaughtUp);
    expect(ids(eventsOf(tail))).toEqual(ids(own.slice(2)));
  });

  it('ends by itself at a position that it is given, and takes nothing behind it', async () => {
    const prefix = `p${randomUUID()}`;
    const own = events(9);
    for (const [i, event] of own.entries()) await store().append(`${prefix}-${i}`, NO_STREAM, [event]);
    const all = eventsOf(await follow(store(), { prefix }, untilCaughtUp));
    const until = all[5]?.position;
    if (until === undefined) throw new Error('six events were expected');
    const [begun] = all;
    for (const after of [null, begun?.position ?? null]) {
      const pages: LogPage[] = [];
      const { signal } = new AbortController();
      for await (const page of store().subscribe({ prefix, after, until, pageSize: 4, signal })) pages.push(page);
      expect(ids(eventsOf(pages))).toEqual(ids(own.slice(after === null ? 0 : 1, 6)));
    }
  });

  it('moves its position on past events that the prefix leaves out', async () => {
    const prefix = `p${randomUUID()}`;
    await store().append(`${prefix}-1`, NO_STREAM, events(1));
    const [begun] = (await follow(store(), { prefix }, untilCaughtUp)).slice(-1);
    await store().append(newStream('other'), NO_STREAM, events(30));
    const pages = await follow(store(), { prefix, after: begun?.position ?? null, pageSize: 10 }, untilCaughtUp);
    expect(eventsOf(pages)).toEqual([]);
    expect(pages.at(-1)?.position).not.toBe(begun?.position);
    expect(await follow(store(), { prefix, after: pages.at(-1)?.position ?? null }, untilCaughtUp)).toHaveLength(1);
  });

  it('tells once that it has caught up, then gives what comes, also what another instance writes', async () => {
    const prefix = `p${randomUUID()}`;
    const another = await open();
    const abort = new AbortController();
    const pages = store().subscribe({ prefix, after: null, pageSize: PAGE_SIZE_MAX, signal: abort.signal });
    const log: AsyncIterator<LogPage, unknown> = pages[Symbol.asyncIterator]();
    for (let isBehind = true; isBehind;) {
      const page = await log.next();
      isBehind = page.done !== true && !page.value.caughtUp;
    }
    const next = log.next();
    expect(await settled(next, 600)).toBe(false);
    const event = anEvent();
    await another.append(`${prefix}-1`, NO_STREAM, [event]);
    expect(await next).toMatchObject({ value: { caughtUp: true, events: [{ id: event.id }] } });
    const last = log.next();
    abort.abort();
    expect(await last).toMatchObject({ done: true });
  });

  it('skips nothing while many instances write', async () => {
    const prefix = `p${randomUUID()}`;
    const writers = [store(), await open(), await open()];
    const reading = follow(await open(), { prefix, pageSize: 7 }, untilSeen(300));
    await Promise.all(
      writers.map(async (writer, w) => {
        for (let i = 0; i < 10; i++) {
          const appends = Array.from({ length: 10 }, (_, s) => writer.append(`${prefix}-${w}-${s}`, i - 1, events(1)));
          await Promise.all(appends);
        }
      }),
    );
    const seen = eventsOf(await reading);
    expect(new Set(ids(seen)).size).toBe(300);
    const streams = new Map<string, number[]>();
    for (const { streamId, revision } of seen) streams.set(streamId, [...(streams.get(streamId) ?? []), revision]);
    expect([...streams.values()]).toEqual(Array.from({ length: 30 }, () => Array.from({ length: 10 }, (_, i) => i)));
    const again = eventsOf(await follow(store(), { prefix }, untilCaughtUp));
    expect(ids(again)).toEqual(ids(seen));
  });
};

const lifeContract = ({ store, open }: Context): void => {
  it('finds everything again after a restart', async () => {
    const stream = newStream();
    const own = events(3);
    const before = await open();
    await before.append(stream, NO_STREAM, own);
    const [{ position } = { position: null }] = (await follow(before, { prefix: stream }, untilCaughtUp)).slice(-1);
    await before.close();
    const after = await open();
    expect(await after.append(stream, NO_STREAM, own)).toEqual(repeated(2));
    const more = anEvent();
    expect(await after.append(stream, 2, [more])).toEqual(appended(3));
    expect(ids(eventsOf(await follow(after, { prefix: stream, after: position }, untilCaughtUp)))).toEqual([more.id]);
    expect(ids(await after.read(stream, 0, 10))).toEqual(ids([...own, more]));
  });

  it('finishes what is in flight when it is closed, and then refuses', async () => {
    const closing = await open();
    const streams = Array.from({ length: 30 }, () => newStream());
    const inFlight = streams.map((stream) => closing.append(stream, NO_STREAM, events(1)));
    await closing.close();
    expect(await Promise.all(inFlight)).toEqual(streams.map(() => appended(0)));
    await expect(closing.append(newStream(), NO_STREAM, events(1))).rejects.toThrow('closed');
  });

  it('answers a ping', async () => {
    await store().ping();
  });
};

/** What an adapter keeps besides where transactions are slow and connections break. */
export const eventStoreFaultContract = (name: string, create: () => Promise<FaultyEventStoreHarness>): void => {
  describe(`${name} keeps the contract of the event store under faults`, () => {
    let harness: FaultyEventStoreHarness;
    let opened: EventStore[] = [];
    const open = async (): Promise<EventStore> => {
      const another = await harness.open();
      opened.push(another);
      return another;
    };
    beforeAll(async () => {
      harness = await create();
    });
    afterEach(async () => {
      await Promise.all(opened.map((another) => another.close()));
      opened = [];
    });
    afterAll(() => harness.close());

    it('never lets a reader pass a slow transaction that wrote before', async () => {
      const prefix = `p${randomUUID()}`;
      const [before, slow, fast] = [anEvent(), anEvent(), anEvent()];
      await (await open()).append(`${prefix}-before`, NO_STREAM, [before]);
      const release = await harness.stallCommits(`${prefix}-slow`);
      const [slowWriter, fastWriter] = [await open(), await open()];
      const reading = follow(await open(), { prefix }, untilSeen(3));
      const slowAppend = slowWriter.append(`${prefix}-slow`, NO_STREAM, [slow]);
      expect(await settled(slowAppend, 300)).toBe(false);
      const fastAppend = fastWriter.append(`${prefix}-fast`, NO_STREAM, [fast]);
      // Longer than any reader sleeps: one that could pass the slow transaction would do it now.
      await pause(READER_SLEEP_MS);
      await release();
      expect(await slowAppend).toEqual(appended(0));
      expect(await fastAppend).toEqual(appended(0));
      expect(ids(eventsOf(await reading))).toEqual(ids([before, slow, fast]));
    });

    it('says that it does not know where the connection breaks, and a repeat then tells', async () => {
      const stream = newStream();
      const release = await harness.stallCommits(stream);
      const writer = await open();
      const event = anEvent();
      const append = writer.append(stream, NO_STREAM, [event]);
      const failed = expect(append).rejects.toMatchObject({ name: 'AppendOutcomeUnknownError' });
      expect(await settled(failed, 300)).toBe(false);
      await harness.breakConnections();
      await failed;
      await release();
      expect(await writer.append(stream, NO_STREAM, [event])).toMatchObject({ status: 'appended', revision: 0 });
      expect(await writer.read(stream, 0, 10)).toHaveLength(1);
    });
  });
};
