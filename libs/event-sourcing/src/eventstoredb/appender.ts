import type { AppendResult, EventStoreDBClient } from '@eventstore/db-client';
import { pause } from '@vafa/persistence';
import { AppendOutcomeUnknownError, EventStoreUnavailableError, NO_STREAM } from '../event-store.js';
import type { AppendOutcome, NewEvent, Revision, StoredEvent } from '../event-store.js';
import { Deadlines } from './deadlines.js';
import { deletedStream, explained, kindOf } from './failures.js';
import { expectedOf, framingBytes, toWire } from './wire-form.js';
import type { WirePosition } from './wire-form.js';

/** What the server takes in one call, its own count of names and framing included. */
export const CALL_BYTES_MAX = 1024 * 1024;
/** Appends that may wait, and their bytes: while the server is away, memory is the queue. Beyond it the caller is told to come again. */
const QUEUE_MAX = 100_000;
export const QUEUE_BYTES_MAX = 256 * 1024 * 1024;
const BACKOFF_MS_MIN = 50;
const BACKOFF_MS_MAX = 1_000;
/**
 * The server answers a repeat like the first time. An answer whose position lies behind what was known to stand is a repeat; one beyond it is new where
 * what was known was at most this old when the append was sent, and it was answered within this time. Otherwise the stream is looked at. Both are
 * well above what a busy server needs, or looking would make it busier.
 */
const KNOWN_MS_MAX = 250;
const ANSWER_MS_MAX = 1_000;
/** Positions beyond are the server's way to say that it knows none. */
const COMMIT_MAX = 2n ** 63n - 1n;

/** What one append came to; for metrics. */
export type AppendDone = {
  readonly events: number;
  /** From the call to its outcome, waiting included. */
  readonly seconds: number;
  readonly attempts: number;
  readonly outcome: AppendOutcome['status'] | 'failed';
};

export type AppenderOptions = {
  readonly client: EventStoreDBClient;
  /** Events of a stream, to look at what stands there. */
  readonly read: (streamId: string, from: Revision, limit: number) => Promise<StoredEvent[]>;
  /** The last position of the log when the store was opened. */
  readonly head: WirePosition | null;
  readonly callDeadlineMs: number;
  readonly retryForMs: number;
  readonly inFlightMax: number;
  readonly queueBytesMax: number;
  readonly onAppend?: ((done: AppendDone) => void) | undefined;
  readonly onRetry?: ((error: unknown) => void) | undefined;
};

type Call = { readonly streamId: string; readonly expected: Revision; readonly events: readonly NewEvent[] };

/** The last position that is known to stand, and since when. */
type Known = { readonly commit: bigint; readonly atMs: number };

/**
 * Appends over the client's one batch stream: many in flight, those of one stream one after another, each with a deadline, and again with the same ids
 * until its outcome is known or the time is up.
 */
export class Appender {
  private readonly closing = new AbortController();
  private readonly waiting: (() => void)[] = [];
  /** Of each stream that is appended to, when the last append of it has ended. */
  private readonly tails = new Map<string, Promise<void>>();
  private readonly deadlines: Deadlines;
  private pending = 0;
  private pendingBytes = 0;
  private inFlight = 0;
  private known: Known;

  constructor(private readonly options: AppenderOptions) {
    this.deadlines = new Deadlines(options.callDeadlineMs);
    this.known = { commit: options.head?.commit ?? 0n, atMs: performance.now() };
  }

  /** Appends that have not been answered yet. */
  get size(): number {
    return this.pending;
  }

  /** `bodyBytes`: those of data and metadata, as they were counted when the append was checked. */
  append(streamId: string, expected: Revision, events: readonly NewEvent[], bodyBytes: number): Promise<AppendOutcome> {
    if (this.closing.signal.aborted) return Promise.reject(new Error('the event store is closed'));
    const bytes = events.reduce((sum, event) => sum + framingBytes(event), bodyBytes);
    if (bytes > CALL_BYTES_MAX)
      return Promise.reject(
        new RangeError(`the append has ${bytes} bytes with its names, more than ${CALL_BYTES_MAX}`),
      );
    if (this.pending >= QUEUE_MAX || this.pendingBytes + bytes > this.options.queueBytesMax)
      return Promise.reject(
        new EventStoreUnavailableError(`${this.pending} appends of ${this.pendingBytes} bytes wait for EventStoreDB`),
      );
    const call = { streamId, expected, events };
    return this.inOrder(streamId, bytes, () => this.inWindow(() => this.settle(call)));
  }

  /** Waits for what is in flight; nothing is tried again any more. */
  async close(): Promise<void> {
    this.closing.abort();
    await Promise.all(this.tails.values());
    this.deadlines.close();
  }

  /** One after another within a stream, those of others beside it. */
  private inOrder<T>(streamId: string, bytes: number, work: () => Promise<T>): Promise<T> {
    const before = this.tails.get(streamId);
    const own = before === undefined ? work() : before.then(work);
    this.pending++;
    this.pendingBytes += bytes;
    const end = (): void => {
      this.pending--;
      this.pendingBytes -= bytes;
      if (this.tails.get(streamId) === ended) this.tails.delete(streamId);
    };
    const ended = own.then(end, end);
    this.tails.set(streamId, ended);
    return own;
  }

  private async inWindow<T>(work: () => Promise<T>): Promise<T> {
    if (this.inFlight >= this.options.inFlightMax) await new Promise<void>((resolve) => this.waiting.push(resolve));
    else this.inFlight++;
    try {
      return await work();
    } finally {
      // The place is handed on, so that nobody who comes later gets in between.
      const next = this.waiting.shift();
      if (next === undefined) this.inFlight--;
      else next();
    }
  }

  private async settle(call: Call): Promise<AppendOutcome> {
    const started = performance.now();
    let attempts = 0;
    const done = (outcome: AppendDone['outcome']): void =>
      this.options.onAppend?.({
        events: call.events.length,
        seconds: (performance.now() - started) / 1000,
        attempts,
        outcome,
      });
    try {
      for (let backoffMs = BACKOFF_MS_MIN; ; backoffMs = Math.min(backoffMs * 2, BACKOFF_MS_MAX)) {
        attempts++;
        try {
          const outcome = await this.attempt(call, attempts);
          done(outcome.status);
          return outcome;
        } catch (error) {
          if (kindOf(error) !== 'passing') throw explained(error);
          this.options.onRetry?.(error);
          const isLate = performance.now() - started + backoffMs > this.options.retryForMs;
          if (isLate || this.closing.signal.aborted)
            throw new AppendOutcomeUnknownError(call.streamId, { cause: explained(error) });
        }
        await pause(backoffMs * (0.5 + Math.random() / 2), this.closing.signal);
      }
    } catch (error) {
      done('failed');
      throw error;
    }
  }

  private async attempt(call: Call, attempts: number): Promise<AppendOutcome> {
    const { streamId, expected, events } = call;
    const sentAtMs = performance.now();
    const known = this.known;
    try {
      const { nextExpectedRevision, position } = await this.send(call);
      const revision = expected + events.length;
      // The stream has gone on behind revisions that are no longer there.
      if (Number(nextExpectedRevision) !== revision) throw deletedStream(streamId);
      const isKnown = position !== undefined && position.commit <= COMMIT_MAX;
      if (!isKnown || position.commit <= known.commit) return { status: 'appended', revision, repeated: true };
      const nowMs = performance.now();
      if (position.commit > this.known.commit) this.known = { commit: position.commit, atMs: nowMs };
      const isPrompt = sentAtMs - known.atMs <= KNOWN_MS_MAX && nowMs - sentAtMs <= ANSWER_MS_MAX;
      const isFresh = attempts === 1 && isPrompt;
      const repeated = isFresh ? false : !isSame(await this.standing(call), events);
      return { status: 'appended', revision, repeated };
    } catch (error) {
      const kind = kindOf(error);
      if (kind === 'deleted') throw deletedStream(streamId, error);
      if (kind !== 'conflict') throw error;
      return this.conflictOrOwn(call, actualOf(error));
    }
  }

  /** A conflict may hide one's own earlier success: the ids that stand behind the expected revision tell. */
  private async conflictOrOwn(call: Call, actual: Revision): Promise<AppendOutcome> {
    const revision = call.expected + call.events.length;
    if (actual < revision) return { status: 'conflict', actual };
    const standing = await this.standing(call);
    const isOwn = call.events.every((event, i) => standing[i]?.id === event.id);
    return isOwn ? { status: 'appended', revision, repeated: true } : { status: 'conflict', actual };
  }

  private standing({ streamId, expected, events }: Call): Promise<StoredEvent[]> {
    return this.options.read(streamId, expected + 1, events.length);
  }

  /** The client has no deadline of its own here: where the server is frozen it would wait for ever. */
  private send({ streamId, expected, events }: Call): Promise<AppendResult> {
    const { client, callDeadlineMs } = this.options;
    const options = {
      expectedRevision: expectedOf(expected),
      deadline: callDeadlineMs,
      requiresLeader: true,
    };
    return this.deadlines.within(client.appendToStream(streamId, events.map(toWire), options));
  }
}

const isSame = (standing: readonly StoredEvent[], events: readonly NewEvent[]): boolean =>
  events.every((event, i) => {
    const stored = standing[i];
    return (
      stored?.id === event.id &&
      stored.type === event.type &&
      stored.data === event.data &&
      stored.metadata === event.metadata
    );
  });

const actualOf = (error: unknown): Revision => {
  const actual: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'actualVersion') : undefined;
  return typeof actual === 'bigint' ? Number(actual) : NO_STREAM;
};
