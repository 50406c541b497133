import { isTransient } from '@vafa/persistence';
import type { Decider } from './decider.js';
import { AppendOutcomeUnknownError, NO_STREAM, STREAMS_PER_LOAD_MAX } from './event-store.js';
import type { EventStore, Revision, StoredEvent } from './event-store.js';
import type { DecodedEvent, DomainEvent, EventCodec } from './event-codec.js';
import type { StateCache, StreamState } from './state-cache.js';
import { StreamQueues } from './stream-queues.js';
import { decideStream, findOwn } from './stream-work.js';
import type { Chunk, CommandOutcome, StreamCommand, StreamWork } from './stream-work.js';

export type DeciderRunnerOptions<Command, State, E extends DomainEvent, Rejection> = {
  readonly store: EventStore;
  /** `evolve` must not change the state it is given: states are kept in the cache and decided upon again after a conflict. */
  readonly decider: Decider<Command, State, E, Rejection>;
  readonly codec: EventCodec<E>;
  readonly cache: StateCache<State>;
  /** Reads the snapshots of many streams in one bulk read. One may lag behind its stream or be absent: the expected revision guards it. */
  readonly snapshots: (streamIds: readonly string[]) => Promise<ReadonlyMap<string, StreamState<State>>>;
};

export type RunOptions = {
  /** After this long, in milliseconds, what is not settled is given up as `failed`. */
  readonly timeoutMs: number;
};

/** Given up: conflicts or a store that does not answer outlasted the deadline. */
export class DeadlinePassedError extends Error {
  override readonly name = 'DeadlinePassedError';
}

const BACKOFF_MS_MIN = 5;
const BACKOFF_MS_MAX = 500;

/**
 * The one way commands reach their streams: load, decide, append. It takes pages of commands for many streams: states that are not cached come in
 * one bulk read, the commands of one stream are decided in their order and share an append, and all appends are in flight together.
 * Commands of one stream from overlapping calls wait for each other in the process; against other processes the expected revision decides:
 * after a conflict the tail is read and the command is decided again. An answer without events (a rejection, or an effect that was there before) is given
 * only when the stream has been seen to have nothing newer.
 */
export class DeciderRunner<Command, State, E extends DomainEvent, Rejection> {
  private readonly queues = new StreamQueues();

  constructor(private readonly options: DeciderRunnerOptions<Command, State, E, Rejection>) {}

  /**
   * One outcome for each command, in their order; the same id twice for one stream is one command. Never rejects for one command's sake.
   * The deadline is looked at between attempts: a store that does not answer at all holds the call.
   */
  async run(commands: readonly StreamCommand<Command>[], options: RunOptions): Promise<CommandOutcome<E, Rejection>[]> {
    const outcomes: (CommandOutcome<E, Rejection> | undefined)[] = commands.map(() => undefined);
    const deadline = performance.now() + options.timeoutMs;
    const { works, twins } = group<Command, State, E, Rejection>(commands, outcomes);
    // Those that must wait do not hold up the others.
    const free = works.filter((work) => this.queues.isFree(work.streamId));
    const waiting = works.filter((work) => !this.queues.isFree(work.streamId));
    await Promise.all([free, waiting].map((part) => this.runQueued(part, deadline)));
    for (const [twin, index] of twins) {
      const outcome = outcomes[index];
      outcomes[twin] = outcome?.status === 'accepted' ? { ...outcome, repeated: true } : outcome;
    }
    return outcomes.map(
      (outcome) => outcome ?? { status: 'failed', error: new Error('the command was left without an outcome') },
    );
  }

  /**
   * Brings the states of streams into memory in one bulk read. A revision noted afterwards, and before a command can be known to anybody,
   * serves as its `suspectedAfter`: mostly it still is the state's own, and nothing has to be looked for.
   */
  async prepare(streamIds: Iterable<string>): Promise<void> {
    const { cache, snapshots } = this.options;
    const missing = [...new Set(streamIds)].filter((streamId) => cache.get(streamId) === undefined);
    for (let i = 0; i < missing.length; i += STREAMS_PER_LOAD_MAX) {
      const page = missing.slice(i, i + STREAMS_PER_LOAD_MAX);
      const found = await snapshots(page);
      for (const streamId of page) {
        // Somebody may have come further in the meantime.
        if (cache.get(streamId) !== undefined) continue;
        cache.set(streamId, found.get(streamId) ?? this.unread(streamId));
      }
    }
  }

  private async runQueued(works: StreamWork<Command, State, E, Rejection>[], deadline: number): Promise<void> {
    if (works.length === 0) return;
    await this.queues.run(
      works.map((work) => work.streamId),
      () => this.settle(works, deadline),
    );
  }

  private async settle(works: StreamWork<Command, State, E, Rejection>[], deadline: number): Promise<void> {
    let open = works;
    let error: unknown;
    for (let backoffMs = BACKOFF_MS_MIN; open.length > 0; backoffMs = Math.min(backoffMs * 2, BACKOFF_MS_MAX)) {
      try {
        await this.attempt(open);
        error = undefined;
      } catch (failure) {
        error = failure;
        if (!isRetryable(failure)) return fail(open, failure);
      }
      open = open.filter((work) => work.open.length > 0);
      if (open.length === 0) return;
      if (performance.now() + backoffMs > deadline) {
        return fail(
          open,
          new DeadlinePassedError('the deadline passed before the command was settled', { cause: error }),
        );
      }
      // A conflict is decided again at once the first time; what goes on is a crowd, or a store that is away.
      if (error !== undefined || backoffMs > BACKOFF_MS_MIN) await pause(backoffMs * (0.5 + Math.random() / 2));
    }
  }

  /** One round for all streams that are open. What stays open in `works` is to be tried again. */
  private async attempt(works: StreamWork<Command, State, E, Rejection>[]): Promise<void> {
    await this.readStates(works.filter((work) => work.base === undefined));
    const suspected = works.filter(isSuspected);
    await this.catchUp(suspected);
    const behind: StreamWork<Command, State, E, Rejection>[] = [];
    const appends = works
      .filter((work) => work.open.length > 0)
      .map(async (work) => {
        if (!(await this.decideAndAppend(work))) behind.push(work);
      });
    const results = await Promise.allSettled(appends);
    await this.catchUp(behind);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  private async readStates(works: readonly StreamWork<Command, State, E, Rejection>[]): Promise<void> {
    const missing = works.filter((work) => {
      work.base = this.options.cache.get(work.streamId);
      return work.base === undefined;
    });
    for (let i = 0; i < missing.length; i += STREAMS_PER_LOAD_MAX) {
      const page = missing.slice(i, i + STREAMS_PER_LOAD_MAX);
      const found = await this.options.snapshots(page.map((work) => work.streamId));
      for (const work of page) work.base = found.get(work.streamId) ?? this.unread(work.streamId);
    }
  }

  /** A stream's state before its first event. */
  private unread(streamId: string): StreamState<State> {
    return { revision: NO_STREAM, state: this.options.decider.initial(streamId) };
  }

  /** True where every outcome stands; false where the stream has to be caught up with before deciding again. */
  private async decideAndAppend(work: StreamWork<Command, State, E, Rejection>): Promise<boolean> {
    const { decider, codec } = this.options;
    const base = work.base;
    if (base === undefined) throw new Error(`no state for ${work.streamId}`);
    for (const chunk of decideStream(work.open, base, decider, codec)) {
      // Without an append nothing has shown that the state is the current one.
      if (chunk.events.length === 0) return false;
      if (!(await this.append(work, chunk))) return false;
      if (work.open.length === 0) break;
    }
    return true;
  }

  /** False where the stream's tail has to tell what stands there. */
  private async append(
    work: StreamWork<Command, State, E, Rejection>,
    chunk: Chunk<Command, State, E, Rejection>,
  ): Promise<boolean> {
    const { store, cache } = this.options;
    try {
      const outcome = await store.append(work.streamId, chunk.expected, chunk.events);
      // A repeat stands with the data of the first time, which may have been decided otherwise.
      if (outcome.status === 'appended' && !outcome.repeated) {
        this.conclude(work, chunk);
        return true;
      }
      // The store has lost what this state stands on, as after a failover to a copy that lagged: only the stream itself can be believed.
      if (outcome.status === 'conflict' && outcome.actual < chunk.expected) work.base = this.unread(work.streamId);
    } catch (error) {
      if (!isRetryable(error)) {
        cache.delete(work.streamId);
        fail([work], error);
        return true;
      }
    }
    cache.delete(work.streamId);
    return false;
  }

  private conclude(work: StreamWork<Command, State, E, Rejection>, chunk: Chunk<Command, State, E, Rejection>): void {
    for (const { command, outcome } of chunk.decided) work.outcomes[command.index] = outcome;
    const done = new Set(chunk.decided.map(({ command }) => command.index));
    work.open = work.open.filter((command) => !done.has(command.index));
    work.base = chunk.after;
    this.options.cache.set(work.streamId, chunk.after);
  }

  /**
   * Reads the tails of streams in one bulk read. Commands whose events are found there are settled; where nothing is newer, what was
   * decided without events stands; the rest stays open with the state brought up to date.
   */
  private async catchUp(works: readonly StreamWork<Command, State, E, Rejection>[]): Promise<void> {
    for (let i = 0; i < works.length; i += STREAMS_PER_LOAD_MAX) {
      const page = works.slice(i, i + STREAMS_PER_LOAD_MAX);
      const after = new Map(page.map((work) => [work.streamId, readAfter(work)]));
      const tails = await this.options.store.load([...after.keys()], after);
      for (const work of page) this.catchUpOne(work, tails.get(work.streamId) ?? []);
    }
  }

  private catchUpOne(work: StreamWork<Command, State, E, Rejection>, stored: readonly StoredEvent[]): void {
    const { cache, codec, decider } = this.options;
    const base = work.base;
    if (base === undefined) return;
    const suspected = isSuspected(work);
    try {
      const tail = stored.map((event) => codec.decode(event));
      settleOwn(work, tail);
      const newer = tail.filter((event) => event.revision > base.revision);
      assertContiguous(work.streamId, base.revision, newer);
      const last = newer.at(-1);
      if (last !== undefined) {
        const state = newer.reduce((current, { event }) => decider.evolve(current, event), base.state);
        work.base = { revision: last.revision, state };
      }
      cache.set(work.streamId, work.base ?? base);
      // The suspicion is settled; whether the decisions stand will be seen after they are made.
      if (!suspected && last === undefined) this.concludeWithoutEvents(work);
    } catch (error) {
      cache.delete(work.streamId);
      fail([work], error);
    }
  }

  /** Nothing newer in the stream: the answers without events that this state leads to are true now. */
  private concludeWithoutEvents(work: StreamWork<Command, State, E, Rejection>): void {
    const { decider, codec } = this.options;
    if (work.base === undefined) return;
    const [chunk] = decideStream(work.open, work.base, decider, codec);
    if (chunk !== undefined && chunk.events.length === 0) this.conclude(work, chunk);
  }
}

/** The commands by stream, and those whose id came up before with the place of the first. */
const group = <Command, State, E extends DomainEvent, Rejection>(
  commands: readonly StreamCommand<Command>[],
  outcomes: (CommandOutcome<E, Rejection> | undefined)[],
): { works: StreamWork<Command, State, E, Rejection>[]; twins: Map<number, number> } => {
  const works = new Map<string, StreamWork<Command, State, E, Rejection>>();
  const twins = new Map<number, number>();
  const seen = new Map<string, number>();
  commands.forEach((command, index) => {
    const key = `${command.id} ${command.streamId}`;
    const first = seen.get(key);
    if (first !== undefined) {
      twins.set(index, first);
      return;
    }
    seen.set(key, index);
    const { streamId } = command;
    const work = works.get(streamId);
    if (work !== undefined) work.open.push({ ...command, index });
    else works.set(streamId, { streamId, open: [{ ...command, index }], base: undefined, outcomes });
  });
  return { works: [...works.values()], twins };
};

/**
 * Whether a command's events may stand within the state that it is decided upon. Behind the state they need not be looked for: an append
 * would not fit there, and the tail is read then.
 */
const isSuspected = (work: {
  base: StreamState<unknown> | undefined;
  open: { suspectedAfter?: Revision }[];
}): boolean => {
  const known = work.base?.revision ?? NO_STREAM;
  return work.open.some(({ suspectedAfter }) => suspectedAfter !== undefined && suspectedAfter < known);
};

/** Where to read from: the state's revision, or earlier where a command may have been appended earlier. */
const readAfter = (work: { base: StreamState<unknown> | undefined; open: { suspectedAfter?: Revision }[] }): Revision =>
  work.open.reduce(
    (lowest, command) => Math.min(lowest, command.suspectedAfter ?? lowest),
    work.base?.revision ?? NO_STREAM,
  );

/** Takes the commands whose events stand in the tail off the list, and the suspicion from the others. */
const settleOwn = <Command, State, E extends DomainEvent, Rejection>(
  work: StreamWork<Command, State, E, Rejection>,
  tail: readonly DecodedEvent<E>[],
): void => {
  const found = new Set(tail.map((event) => event.id));
  work.open = work.open
    .filter((command) => {
      if (!found.has(command.id)) return true;
      work.outcomes[command.index] = { status: 'accepted', events: findOwn(command.id, tail) ?? [], repeated: true };
      return false;
    })
    .map(({ suspectedAfter: _settled, ...command }) => command);
};

const assertContiguous = (streamId: string, base: Revision, newer: readonly { revision: Revision }[]): void => {
  newer.forEach((event, i) => {
    if (event.revision !== base + 1 + i)
      throw new Error(`${streamId} has no revision ${base + 1 + i}: the stream is corrupt`);
  });
};

const fail = <Command, State, E extends DomainEvent, Rejection>(
  works: readonly StreamWork<Command, State, E, Rejection>[],
  error: unknown,
): void => {
  for (const work of works) {
    for (const command of work.open) work.outcomes[command.index] = { status: 'failed', error };
    work.open = [];
  }
};

const isRetryable = (error: unknown): boolean => error instanceof AppendOutcomeUnknownError || isTransient(error);

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
