import type { UnitOfWork } from '@vafa/persistence';
import type { ReceivedMessage } from './message-bus.js';
import type { Replay } from './replay-header.js';

/**
 * `invalid`: not an event, or one that breaks its contract. `unhandled`: valid, and nobody here has a handler for its type.
 * `failed`: its handler failed again and again. `behind`: a later message of a key whose earlier one failed.
 */
export const LETTER_KINDS = ['invalid', 'unhandled', 'failed', 'behind'] as const;
export type LetterKind = (typeof LETTER_KINDS)[number];
export const LETTER_STATUSES = ['waiting', 'replaying', 'replayed', 'discarded'] as const;
export type LetterStatus = (typeof LETTER_STATUSES)[number];

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

/** A place in the order of letters: that of their time, then of their id. */
export type LetterPlace = Pick<DeadLetter, 'at' | 'id'>;

export type LetterFilter = {
  readonly group?: string | undefined;
  readonly topic?: string | undefined;
  readonly key?: string | undefined;
  readonly kind?: LetterKind | undefined;
  readonly status?: LetterStatus | undefined;
  /** What the reason begins with. */
  readonly reason?: string | undefined;
  /** Letters of this instant and later ones. */
  readonly since?: string | undefined;
  /** The place of the last letter of the page before. */
  readonly after?: LetterPlace | undefined;
  readonly limit: number;
};

/** What waits of one kind on one topic. */
export type LetterSummary = {
  readonly topic: string;
  readonly kind: LetterKind;
  /** Letters that are neither replayed nor discarded. */
  readonly open: number;
  /** The age of the oldest of them. */
  readonly oldestSeconds: number;
};

/** What a replay or discard did within one transaction: which of the letters asked for, and how many messages it sent. */
export type LettersSettled = { readonly ids: readonly string[]; readonly sent: number };

/** Writes what belongs to it, an entry of the audit say, in the transaction of a replay or discard; where it throws, neither is done. */
export type Alongside = (work: UnitOfWork, settled: LettersSettled) => Promise<void>;

/** A key whose messages wait: `parked` until somebody acts, `replaying` while they come again. */
export type ParkedKey = { readonly state: 'parked' | 'replaying'; readonly round: number };

export const DEAD_LETTER_RETENTION_MS = 30 * 24 * 3_600_000;
export const LETTERS_PER_LIST_MAX = 1_000;
/** Letters of one key that wait at most, and those of a group in all. */
export const OPEN_PER_KEY_MAX = 10_000;
export const OPEN_MAX = 100_000;

/** No further letter is kept: the partition stops, with nothing lost, until some are replayed or discarded. */
export class DeadLettersFull extends Error {
  override readonly name = 'DeadLettersFull';

  constructor(
    readonly group: string,
    readonly scope: 'key' | 'group',
    readonly limit: number,
  ) {
    const whose = scope === 'key' ? `one key of ${group}` : group;
    super(
      `${limit} dead letters of ${whose} wait, and no more are kept: its messages stand still until some are replayed or discarded`,
    );
  }
}

/** A letter cannot be sent again: its message is beyond what the bus takes. It can only be discarded. */
export class LetterNotReplayable extends Error {
  override readonly name = 'LetterNotReplayable';
}

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

  /**
   * Keeps letters, and parks the keys of those that failed. Durable when it resolves; a repeat changes nothing.
   * @throws DeadLettersFull, with none of them kept.
   */
  add(group: string, letters: readonly NewLetter[]): Promise<void>;

  /** Whether any key of a topic is parked for a group. */
  anyParked(group: string, topic: string): Promise<boolean>;

  /** Those of the keys that are parked. */
  parkedKeys(group: string, topic: string, keys: readonly string[]): Promise<Map<string, ParkedKey>>;

  /** The ids of the letters whose replay is still waited for: a copy of any other is void. */
  awaited(replays: readonly Replay[]): Promise<Set<string>>;

  /** Says that replays were handled. A key with nothing left is free again; otherwise what is left comes in the next round. */
  settle(replays: readonly Replay[]): Promise<void>;

  /** Letters in order of their time, oldest first. @throws RangeError for a limit above `LETTERS_PER_LIST_MAX`. */
  list(filter: LetterFilter): Promise<DeadLetter[]>;

  /** One letter with its content; undefined where there is none. */
  show(id: string): Promise<(DeadLetter & LetterContent) | undefined>;

  /** What waits of a group, by topic and kind. */
  summary(group: string): Promise<LetterSummary[]>;

  /**
   * Sends letters again, with everything that waits for their keys, key by key. Answers with how many were sent; settled ones are not.
   * @throws LetterNotReplayable, with the keys before it done.
   */
  replay(ids: readonly string[], alongside?: Alongside): Promise<number>;

  /** Gives letters up for good. What waited behind them comes again. Answers with how many there were; settled ones stay as they are. */
  discard(ids: readonly string[], note: string, alongside?: Alongside): Promise<number>;

  /**
   * Deletes what is older than its retention, 30 days unless told, except what waits behind another letter: nobody tried that yet. A key that waited
   * for a letter which is gone goes on with what is left.
   * Of several who do so at once one works; the others answer with 0.
   */
  purge(retentionMs?: number): Promise<number>;
}
