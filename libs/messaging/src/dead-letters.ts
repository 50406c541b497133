import type { ReceivedMessage } from './message-bus.js';
import type { Replay } from './replay-header.js';

/**
 * `invalid`: not an event, or one that breaks its contract. `unhandled`: valid, and nobody here has a handler for its type.
 * `failed`: its handler failed again and again. `behind`: a later message of a key whose earlier one failed.
 */
export type LetterKind = 'invalid' | 'unhandled' | 'failed' | 'behind';
export type LetterStatus = 'waiting' | 'replaying' | 'replayed' | 'discarded';

export type NewLetter = {
  readonly message: ReceivedMessage;
  readonly kind: LetterKind;
  /** For people; without anything of the content. */
  readonly reason: string;
  /** Set where the message was itself a replay: its letter waits again. */
  readonly replay?: Replay | undefined;
};

export type DeadLetter = {
  readonly id: string;
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly key: string | null;
  readonly kind: LetterKind;
  readonly status: LetterStatus;
  readonly reason: string;
  /** Why it was discarded. */
  readonly note: string | null;
  /** Canonical UTC. */
  readonly at: string;
  readonly settledAt: string | null;
};

export type LetterFilter = {
  readonly group?: string;
  readonly topic?: string;
  readonly key?: string;
  readonly kind?: LetterKind;
  readonly status?: LetterStatus;
  /** The id of the last letter of the page before. */
  readonly after?: string;
  readonly limit: number;
};

/** A key whose messages wait: `parked` until somebody acts, `replaying` while they come again. */
export type ParkedKey = { readonly state: 'parked' | 'replaying'; readonly round: number };

export const DEAD_LETTER_RETENTION_MS = 30 * 24 * 3_600_000;
export const LETTERS_PER_LIST_MAX = 1_000;

/** What is kept of a message beside its place and key; it may hold anything, so it is kept encrypted. */
export type LetterContent = { readonly headers: Readonly<Record<string, string>>; readonly value: Buffer };

/**
 * Messages that could not be handled, kept until somebody replays or discards them, 30 days at most. A key whose message failed is
 * parked: its later messages wait behind, in order. A replay sends what waits for a key again, to the group that failed only, in order and in rounds:
 * what arrives for the key meanwhile waits for the next round, until a round ends with nothing waiting. Replaying twice does no harm, since
 * copies of an earlier round are void and handlers know a repeat.
 */
export interface DeadLetters {
  /** The replay that a message is, where its header says so and is ours. */
  replayOf(message: ReceivedMessage): Replay | undefined;

  /** Keeps letters, and parks the keys of those that failed. Durable when it resolves; a repeat changes nothing. */
  add(group: string, letters: readonly NewLetter[]): Promise<void>;

  /** Whether any key of a topic is parked for a group. */
  anyParked(group: string, topic: string): Promise<boolean>;

  /** Those of the keys that are parked. */
  parkedKeys(group: string, topic: string, keys: readonly string[]): Promise<Map<string, ParkedKey>>;

  /** Says that replays were handled. A key with nothing left is free again; otherwise what is left comes in the next round. */
  settle(replays: readonly Replay[]): Promise<void>;

  /** Letters in order of their time, oldest first. @throws RangeError for a limit above `LETTERS_PER_LIST_MAX`. */
  list(filter: LetterFilter): Promise<DeadLetter[]>;

  /** One letter with its content; undefined where there is none. */
  show(id: string): Promise<(DeadLetter & LetterContent) | undefined>;

  /** Sends letters again, with everything that waits for their keys. Answers with how many were sent; settled ones are not. */
  replay(ids: readonly string[]): Promise<number>;

  /** Gives letters up for good. What waited behind them comes again. Answers with how many there were; settled ones stay as they are. */
  discard(ids: readonly string[], note: string): Promise<number>;

  /** Deletes what is older than its retention, 30 days unless told. A key that waited for a letter which is gone goes on with what is left. */
  purge(retentionMs?: number): Promise<number>;
}
