import type { UnitOfWork } from '@vafa/persistence';

export const MESSAGE_BYTES_MAX = 256 * 1024;
export const KEY_BYTES_MAX = 512;
export const HEADERS_BYTES_MAX = 16 * 1024;
/** Messages that one call of `publish` or `enqueue` takes. */
export const MESSAGES_PER_CALL_MAX = 10_000;
export const PAGE_SIZE_MAX = 10_000;
export const PARTITIONS_MAX = 1_000;
export const PARTITIONS_DEFAULT = 12;

/** A message to publish. `value` is the CloudEvent in structured JSON, or its data where headers carry the rest (binary mode). */
export type Message = {
  readonly topic: string;
  /** Messages of one key keep their order. A message without a key has no order. */
  readonly key: string | null;
  readonly value: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
};

export type ReceivedMessage = Message & {
  readonly partition: number;
  /** A decimal number that grows within a partition; opaque beyond that. */
  readonly offset: string;
  readonly headers: Readonly<Record<string, string>>;
};

/** A page of messages of one topic in which every partition's order, and so every key's, is kept. */
export type Batch = {
  readonly topic: string;
  readonly messages: readonly ReceivedMessage[];
  /**
   * Another number whenever this consumer gained partitions: what was remembered about the keys of a partition holds
   * within one epoch only, since someone else may have had it in between.
   */
  readonly epoch: number;
  /** Says that this consumer lives; call it now and then in long work. */
  heartbeat(): Promise<void>;
  /** True once the partitions belong to someone else: stop, what is done further will be done again. */
  isStale(): boolean;
  /** Aborted when the subscription closes: finish what is under way, begin no pause and no further attempt. */
  readonly signal: AbortSignal;
};

export type Subscription = {
  /** Stops taking in, waits for the batches under way, commits their offsets. */
  close(): Promise<void>;
  /** Messages not yet taken by the group, per topic. */
  lag(): Promise<Map<string, number>>;
};

export type TopicSpec = {
  readonly name: string;
  readonly partitions: number;
  /**
   * Older messages are deleted once every group that has an offset in the topic has taken them: a group keeps what it has not taken, however
   * long it is away. A topic without a group goes by age alone. Kafka deletes whether they were read or not.
   */
  readonly retentionMs: number;
  /** Keeps the last message of each key for good, instead of everything for a while. Kafka does; elsewhere retention holds. */
  readonly compacted?: boolean;
};

/** Every adapter passes the same contract suite (`libs/testing`). */
export interface MessageBus {
  /**
   * Creates what is missing. The partitions of a topic never change, since a key would move; its retention is set anew.
   * @throws where a topic exists with fewer partitions than asked for; RangeError for a spec outside the limits.
   */
  ensureTopics(topics: readonly TopicSpec[]): Promise<void>;

  /**
   * Resolves when every message is durable. Messages of one call keep their order per key.
   * @throws RangeError before anything is sent, for a message outside the limits or a topic that does not exist; otherwise the outcome
   * is unknown: publish again, consumers know a repeat by its natural key.
   */
  publish(messages: readonly Message[]): Promise<void>;

  /**
   * Publishes as part of a transaction: delivered if and only if it commits, in the order of commits.
   * Call it last: adapters may hold a lock from here to the commit.
   * @throws RangeError as `publish` does.
   */
  enqueue(work: UnitOfWork, messages: readonly Message[]): Promise<void>;

  /**
   * Hands pages to `handler`. Offsets of a page move when its promise resolves; where it rejects, the page comes again after a pause.
   * Several pages may be under way at once, never two with the same partition. A new group begins with the oldest message kept.
   * @throws RangeError for a page size outside the limits or a topic that does not exist.
   */
  subscribe(options: BusSubscribeOptions): Promise<Subscription>;

  /** Answers when the bus can be reached and used. @throws otherwise. */
  ping(): Promise<void>;

  /** Closes its subscriptions, finishes what is being published, lets go of everything held. */
  close(): Promise<void>;
}

export type BusSubscribeOptions = {
  /** Consumers of one group share the partitions; each group gets every message. */
  readonly group: string;
  readonly topics: readonly string[];
  /** Messages a page at most. */
  readonly pageSize: number;
  readonly handler: (batch: Batch) => Promise<void>;
};
