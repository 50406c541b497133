import { beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import { accept, reject } from './decider.js';
import type { Decider } from './decider.js';
import { DeadlinePassedError, DeciderRunner } from './decider-runner.js';
import { EventCodec } from './event-codec.js';
import { eventIdOf } from './event-id.js';
import { AppendOutcomeUnknownError, NO_STREAM } from './event-store.js';
import type { AppendOutcome, NewEvent, Revision, StoredEvent } from './event-store.js';
import { MemoryEventStore, MemoryLog } from './memory/memory-event-store.js';
import { StateCache } from './state-cache.js';
import type { StreamState } from './state-cache.js';
import type { CommandOutcome, StreamCommand } from './stream-work.js';

type PurseEvent = { type: 'Filled'; data: { amount: number } } | { type: 'Spent'; data: { amount: number } };
type PurseCommand = { fill: number; times?: number } | { spend: number } | { explode: true };
type Purse = { balance: number };
type Short = { code: 'short'; balance: number };

const purse: Decider<PurseCommand, Purse, PurseEvent, Short> = {
  initial: () => ({ balance: 0 }),
  decide: (command, { balance }) => {
    if ('explode' in command) throw new Error('a bug');
    if ('fill' in command) {
      if (command.fill === 0) return accept();
      const filled: PurseEvent = { type: 'Filled', data: { amount: command.fill } };
      return accept(...Array.from({ length: command.times ?? 1 }, () => filled));
    }
    if (command.spend > balance) return reject({ code: 'short', balance });
    return accept({ type: 'Spent', data: { amount: command.spend } });
  },
  evolve: ({ balance }, { type, data }) => ({
    balance: type === 'Filled' ? balance + data.amount : balance - data.amount,
  }),
};

const codec = new EventCodec<PurseEvent>({ Filled: { version: 1 }, Spent: { version: 1 } });

/** The memory store with what can go wrong on the way to a real one, and a count of the calls. */
class TroubledStore extends MemoryEventStore {
  appends = 0;
  loads = 0;
  before: () => void = () => undefined;
  after: () => void = () => undefined;

  override async append(streamId: string, expected: Revision, events: readonly NewEvent[]): Promise<AppendOutcome> {
    this.appends++;
    this.before();
    const outcome = await super.append(streamId, expected, events);
    this.after();
    return outcome;
  }

  override load(ids: readonly string[], after?: ReadonlyMap<string, Revision>): Promise<Map<string, StoredEvent[]>> {
    this.loads++;
    return super.load(ids, after);
  }
}

const unknown = (): never => {
  throw new AppendOutcomeUnknownError('purse', { cause: new Error('Connection terminated unexpectedly') });
};

const once = (effect: () => void): (() => void) => {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    effect();
  };
};

type Setup = {
  store: TroubledStore;
  cache: StateCache<Purse>;
  runner: DeciderRunner<PurseCommand, Purse, PurseEvent, Short>;
  snapshotReads: string[][];
};

const setUp = (log: MemoryLog, snapshots: ReadonlyMap<string, StreamState<Purse>> = new Map()): Setup => {
  const store = new TroubledStore(log);
  const cache = new StateCache<Purse>(100);
  const snapshotReads: string[][] = [];
  const read = async (ids: readonly string[]): Promise<ReadonlyMap<string, StreamState<Purse>>> => {
    snapshotReads.push([...ids]);
    return snapshots;
  };
  const runner = new DeciderRunner({ store, decider: purse, codec, cache, snapshots: read });
  return { store, cache, runner, snapshotReads };
};

const to = (streamId: string, command: PurseCommand, id: string = randomUUID()): StreamCommand<PurseCommand> => ({
  streamId,
  id,
  command,
});
const OPTIONS = { timeoutMs: 30_000 };
const brief = (outcomes: readonly CommandOutcome<PurseEvent, Short>[]): unknown[] =>
  outcomes.map((outcome) => {
    if (outcome.status === 'accepted') return outcome.events.map((event) => event.revision);
    return outcome.status === 'rejected' ? outcome.rejection.balance : outcome.status;
  });

describe('DeciderRunner', () => {
  let log: MemoryLog;
  beforeEach(() => {
    log = new MemoryLog();
  });

  it('takes a page for many streams: one read of snapshots, one append a stream, commands in order', async () => {
    const { store, runner, snapshotReads } = setUp(log);
    const outcomes = await runner.run(
      [
        to('a', { fill: 10 }),
        to('b', { spend: 1 }),
        to('a', { spend: 4 }),
        to('c', { fill: 1 }),
        to('a', { spend: 7 }),
        to('b', { fill: 1 }),
        to('a', { fill: 0 }),
      ],
      OPTIONS,
    );
    expect(brief(outcomes)).toEqual([[0], 0, [1], [0], 6, [0], []]);
    expect(snapshotReads).toEqual([['a', 'b', 'c']]);
    expect(store.appends).toBe(3);
    await runner.run([to('a', { spend: 6 })], OPTIONS);
    expect(snapshotReads).toHaveLength(1);
    expect(store.loads).toBe(0);
  });

  it('decides again after a conflict, upon what the other wrote', async () => {
    const [mine, other] = [setUp(log), setUp(log)];
    await mine.runner.run([to('a', { fill: 10 })], OPTIONS);
    await other.runner.run([to('a', { fill: 5 })], OPTIONS);
    expect(brief(await mine.runner.run([to('a', { spend: 15 })], OPTIONS))).toEqual([[2]]);
    expect(brief(await other.runner.run([to('a', { spend: 1 })], OPTIONS))).toEqual([0]);
    expect(log.events).toHaveLength(3);
  });

  it('reads a stream from its beginning where the store has lost what the state in memory stands on', async () => {
    const { runner, cache } = setUp(log);
    await runner.run([to('a', { fill: 10 })], OPTIONS);
    cache.set('a', { revision: 2, state: { balance: 99 } });
    cache.set('b', { revision: 0, state: { balance: 99 } });
    const page = [to('a', { spend: 4 }), to('a', { spend: 7 }), to('b', { fill: 1 })];
    expect(brief(await runner.run(page, { timeoutMs: 1_000 }))).toEqual([[1], 6, [0]]);
    expect([cache.get('a'), cache.get('b')]).toEqual([
      { revision: 1, state: { balance: 6 } },
      { revision: 0, state: { balance: 1 } },
    ]);
  });

  it('starts from a snapshot, and catches up with the tail where it lags', async () => {
    await setUp(log).runner.run([to('a', { fill: 10 }), to('a', { fill: 5 })], OPTIONS);
    const { store, runner } = setUp(log, new Map([['a', { revision: 0, state: { balance: 10 } }]]));
    expect(brief(await runner.run([to('a', { spend: 12 })], OPTIONS))).toEqual([[2]]);
    expect(store.loads).toBe(1);
  });

  it('rejects only upon the newest state', async () => {
    const [mine, other] = [setUp(log), setUp(log)];
    await mine.runner.run([to('a', { fill: 1 })], OPTIONS);
    await other.runner.run([to('a', { fill: 9 })], OPTIONS);
    expect(brief(await mine.runner.run([to('a', { spend: 10 })], OPTIONS))).toEqual([[2]]);
    expect(brief(await mine.runner.run([to('a', { spend: 10 })], OPTIONS))).toEqual([0]);
  });

  it.each(['before', 'after'] as const)(
    'finds out what became of an append whose connection broke %s it',
    async (when) => {
      const { store, runner } = setUp(log);
      store[when] = once(unknown);
      const [first, second] = [to('a', { fill: 10, times: 3 }), to('a', { spend: 30 })];
      expect(brief(await runner.run([first, second], OPTIONS))).toEqual([[0, 1, 2], [3]]);
      expect(log.events.map((event) => event.id)).toEqual(
        [0, 1, 2].map((n) => eventIdOf(first.id, n)).concat(second.id),
      );
    },
  );

  it('gives up at the deadline, and says why', async () => {
    const { store, runner } = setUp(log);
    store.before = unknown;
    const [outcome] = await runner.run([to('a', { fill: 1 })], { timeoutMs: 50 });
    expect(outcome).toMatchObject({ status: 'failed', error: expect.any(DeadlinePassedError) });
    store.before = () => undefined;
    expect(brief(await runner.run([to('a', { fill: 1 })], OPTIONS))).toEqual([[0]]);
  });

  it('looks for a command that may have been appended before it decides', async () => {
    const { runner, cache } = setUp(log);
    const command = to('a', { fill: 7, times: 2 });
    await runner.run([to('a', { fill: 1 }), command, to('a', { fill: 2 })], OPTIONS);
    const again = { ...command, suspectedAfter: 0 };
    const [outcome] = await runner.run([again], OPTIONS);
    expect(outcome).toMatchObject({ status: 'accepted', repeated: true, events: [{ revision: 1 }, { revision: 2 }] });
    cache.clear();
    const outcomes = await runner.run([again, { ...to('b', { fill: 1 }), suspectedAfter: NO_STREAM }], OPTIONS);
    expect(outcomes).toMatchObject([
      { repeated: true, events: [{ revision: 1 }, { revision: 2 }] },
      { repeated: false, events: [{ revision: 0 }] },
    ]);
    expect(brief(await runner.run([to('a', { spend: 17 })], OPTIONS))).toEqual([[4]]);
  });

  it('finds what somebody else ran in between, and looks for nothing where the state is not newer than what was noted', async () => {
    const { runner, store, cache } = setUp(log);
    await runner.run([to('a', { fill: 1 })], OPTIONS);
    await runner.prepare(['a', 'b']);
    const noted = cache.get('a')?.revision ?? NO_STREAM;
    const [one, two] = [to('a', { fill: 7 }), to('b', { fill: 2 })].map((command) => ({
      ...command,
      suspectedAfter: command.streamId === 'a' ? noted : NO_STREAM,
    }));
    if (one === undefined || two === undefined) throw new Error('two commands');
    const before = store.loads;
    expect(await runner.run([one, two], OPTIONS)).toMatchObject([{ repeated: false }, { repeated: false }]);
    expect(store.loads).toBe(before);
    expect(await runner.run([one, two], OPTIONS)).toMatchObject([{ repeated: true }, { repeated: true }]);
    expect(log.events).toHaveLength(3);
  });

  it('takes what stands for the answer where a repeat would be decided otherwise today', async () => {
    const id = randomUUID();
    await setUp(log).runner.run([to('a', { fill: 7 }, id)], OPTIONS);
    const { runner } = setUp(log);
    const [outcome] = await runner.run([to('a', { fill: 100 }, id)], OPTIONS);
    expect(outcome).toMatchObject({ repeated: true, events: [{ event: { data: { amount: 7 } } }] });
    expect(brief(await runner.run([to('a', { spend: 8 })], OPTIONS))).toEqual([7]);
  });

  it('runs a command once though it stands twice on the page', async () => {
    const { runner } = setUp(log);
    const command = to('a', { fill: 3 });
    const outcomes = await runner.run([command, to('a', { spend: 1 }), command], OPTIONS);
    expect(outcomes).toMatchObject([{ repeated: false }, { repeated: false }, { repeated: true }]);
    expect(log.events).toHaveLength(2);
  });

  it('fails the command that meets a bug or a limit, and no other', async () => {
    const { runner } = setUp(log);
    const page = [
      to('a', { fill: 1 }),
      to('a', { explode: true }),
      to('a', { fill: 1, times: 501 }),
      to('a', { spend: 1 }),
    ];
    expect(brief(await runner.run(page, OPTIONS))).toEqual([[0], 'failed', 'failed', [1]]);
  });

  it('splits what is too much for one append between commands', async () => {
    const { store, runner } = setUp(log);
    const page = Array.from({ length: 7 }, () => to('a', { fill: 1, times: 200 }));
    const outcomes = await runner.run(page, OPTIONS);
    expect(outcomes.every((outcome) => outcome.status === 'accepted' && outcome.events.length === 200)).toBe(true);
    expect(store.appends).toBe(4);
    expect(log.events).toHaveLength(1_400);
  });

  it('lets overlapping calls for one stream wait for each other, and not for others', async () => {
    const { store, runner } = setUp(log);
    const calls = Array.from({ length: 50 }, (_, i) =>
      runner.run([to('a', { fill: 1 }), to(`b${i}`, { fill: 1 })], OPTIONS),
    );
    const outcomes = await Promise.all(calls);
    expect(outcomes.map(brief)).toEqual(outcomes.map((_, i) => [[i], [0]]));
    expect(store.loads).toBe(0);
  });

  it('fails loudly on an event it does not know', async () => {
    const stray = { id: randomUUID(), type: 'Burned', data: '{}', metadata: '{"schema":1}' };
    await new MemoryEventStore(log).append('a', NO_STREAM, [stray]);
    const [outcome] = await setUp(log).runner.run([to('a', { fill: 1 })], OPTIONS);
    expect(outcome).toMatchObject({ status: 'failed', error: { name: 'UnknownEventError' } });
  });

  it('loses nothing and doubles nothing, whatever breaks and whoever else writes', async () => {
    const command = fc.oneof(
      fc.record({ fill: fc.integer({ min: 0, max: 5 }), times: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ spend: fc.integer({ min: 1, max: 8 }) }),
    );
    const page = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), command), { minLength: 1, maxLength: 8 });
    const calls = fc.array(fc.tuple(fc.nat(1), page), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(calls, fc.array(fc.nat(3), { minLength: 7, maxLength: 7 }), async (work, faults) => {
        const shared = new MemoryLog();
        let turn = 0;
        const trouble = (kind: number) => (): void => {
          if (faults[turn++ % faults.length] === kind) unknown();
        };
        const setups = [setUp(shared), setUp(shared)];
        for (const { store } of setups) [store.before, store.after] = [trouble(1), trouble(2)];
        const sent = work.map(([who, entries]) => ({ who, commands: entries.map(([id, entry]) => to(id, entry)) }));
        const outcomes = await Promise.all(
          sent.map(async ({ who, commands }) => (await setups[who]?.runner.run(commands, OPTIONS)) ?? []),
        );
        const stored = shared.events.map((event) => codec.decode(event));
        expect(new Set(stored.map((event) => event.id)).size).toBe(stored.length);
        const accepted = outcomes.flat().flatMap((outcome) => (outcome.status === 'accepted' ? outcome.events : []));
        expect(accepted.map((event) => event.id).sort()).toEqual(stored.map((event) => event.id).sort());
        expect(outcomes.flat().filter((outcome) => outcome.status === 'failed')).toEqual([]);
        const balances = new Map<string, Purse>();
        for (const { streamId, event } of stored) {
          const next = purse.evolve(balances.get(streamId) ?? purse.initial(streamId), event);
          expect(next.balance).toBeGreaterThanOrEqual(0);
          balances.set(streamId, next);
        }
      }),
      { numRuns: 50 },
    );
  });
});
