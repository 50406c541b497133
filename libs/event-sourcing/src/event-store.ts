/** A place in the whole log. Opaque: only the store that gave it can read it, and it is stored and compared for equality only. */
export type Position = string & { readonly position: unique symbol };

/** The revision of a stream's last event, counted from 0. */
export type Revision = number;

/** The expected revision of a stream that has no events. */
export const NO_STREAM: Revision = -1;

/** Limits every adapter keeps, checked before anything is sent. */
export const STREAM_ID_CHARACTERS_MAX = 200;
export const EVENT_TYPE_CHARACTERS_MAX = 200;
/** Data and metadata of one event together. */
export const EVENT_BYTES_MAX = 512 * 1024;
export const EVENTS_PER_APPEND_MAX = 500;
/** All events of one call together; EventStoreDB takes 1 MiB with its own framing. */
export const APPEND_BYTES_MAX = 960 * 1024;
export const STREAMS_PER_LOAD_MAX = 5_000;
export const PAGE_SIZE_MAX = 5_000;

/**
 * An event to append. `data` and `metadata` are JSON text, stored to the letter, so that what is hashed is what is stored.
 * The store itself keeps no chain of hashes: whoever wants one puts the previous event's hash into the metadata when deciding,
 * where the stream's order is known.
 */
export type NewEvent = {
  /**
   * A uuid in lower case, derived from the input, so that a repeat is recognised. Unique within its stream by the caller's care: adapters look
   * for a repeat only where the append says that its events would stand.
   */
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly metadata: string;
  /** When it was first recorded, for an event that comes from another store. Left out, the store tells the time, as it should. */
  readonly recordedAt?: string;
};

export type StoredEvent = NewEvent & {
  readonly streamId: string;
  readonly revision: Revision;
  readonly position: Position;
  /** When the store took it: canonical UTC with microseconds at most. Never goes back along the log of the postgres adapter. */
  readonly recordedAt: string;
};

/**
 * What became of one append. `revision` is that of its last event, the next append's `expected`. A conflict is a value: someone else wrote
 * first, or the stream is not yet that long. `repeated` says that the very same ids stood there already, one after another right behind
 * `expected`, which is one's own earlier success; ids alone count, not data.
 */
export type AppendOutcome =
  | { readonly status: 'appended'; readonly revision: Revision; readonly repeated: boolean }
  | { readonly status: 'conflict'; readonly actual: Revision };

/** The append may or may not stand: ask again with the same ids and the same expected revision. */
export class AppendOutcomeUnknownError extends Error {
  override readonly name = 'AppendOutcomeUnknownError';
  constructor(streamId: string, options: { cause: unknown }) {
    super(`the connection broke while appending to ${streamId}: the outcome is unknown`, options);
  }
}

/** The store does not answer, or not now; a read did nothing, and may be asked for again. */
export class EventStoreUnavailableError extends Error {
  override readonly name = 'EventStoreUnavailableError';
  /** The same work may succeed later. */
  readonly isTransient = true;
}

/** A page of the whole log, in commit order. */
export type LogPage = {
  readonly events: readonly StoredEvent[];
  /** The checkpoint to keep once this page is durable; moves on past events that the prefix leaves out. */
  readonly position: Position;
  /** True when nothing more stood in the log at the time of reading. */
  readonly caughtUp: boolean;
};

/**
 * The ledger's store: streams with an exact expected revision, and one log over all of them.
 * Every adapter passes the same contract suite (`libs/testing`).
 */
export interface EventStore {
  /**
   * Appends atomically: all events or none. There is no default for `expected`; a gap (an expected revision beyond the head)
   * is a conflict like any other. Many appends may be in flight; each gets its own outcome, and one conflict does not roll back others.
   * @throws RangeError for a call outside the limits, before anything is sent; `AppendOutcomeUnknownError` where the connection broke.
   */
  append(streamId: string, expected: Revision, events: readonly NewEvent[]): Promise<AppendOutcome>;

  /**
   * Reads whole streams, or their tails where `after` names a revision, in one bulk read. A stream without events is absent from the answer.
   * @throws RangeError beyond `STREAMS_PER_LOAD_MAX`.
   */
  load(streamIds: readonly string[], after?: ReadonlyMap<string, Revision>): Promise<Map<string, StoredEvent[]>>;

  /** One stream in pages: up to `limit` events from revision `from` on, inclusive. */
  read(streamId: string, from: Revision, limit: number): Promise<StoredEvent[]>;

  /**
   * The log of all streams with this prefix after a position (exclusive; `null` is the beginning), page by page, and then as it grows.
   * Never skips an event, whatever transactions ran at the same time. Ends when `signal` is aborted. Breaks of the connection surface as
   * exceptions: the caller subscribes again from its checkpoint. An empty page is given when the position moves on without a match
   * and once whenever the reader has caught up.
   */
  subscribe(options: SubscribeOptions): AsyncIterable<LogPage>;

  /** Answers when the store can be reached and used. @throws an error that names the setting to look at. */
  ping(): Promise<void>;

  /** Finishes what is in flight and lets go of everything held. */
  close(): Promise<void>;
}

export type SubscribeOptions = {
  readonly prefix: string;
  readonly after: Position | null;
  /** Where it ends (inclusive), by itself, once everything up to there has been given. Left out, it goes on as the log grows. */
  readonly until?: Position;
  readonly pageSize: number;
  readonly signal: AbortSignal;
};
