import type { UnitOfWork } from '@vafa/persistence';

export const MESSAGE_BYTES_MAX = 256 * 1024;
export const KEY_BYTES_MAX = 512;

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
  /** Grows within a partition; opaque beyond that. */
  readonly offset: string;
  readonly headers: Readonly<Record<string, string>>;
};

/** A page of messages of one topic in which every partition's order, and so every key's, is kept. */
export type Batch = {
  readonly topic: string;
  readonly messages: readonly ReceivedMessage[];
  /** Says that this consumer lives; call it now and then in long work. */
  heartbeat(): Promise<void>;
  /** True once the partitions belong to someone else: stop, what is done further will be done again. */
  isStale(): boolean;
  /** Aborted when the subscription closes. */
  readonly signal: AbortSignal;
};

export type Subscription = {
  /** Stops taking in, waits for the batches under way, commits their offsets. */
  close(): Promise<void>;
  /** Messages not yet taken, per topic. */
  lag(): Promise<Map<string, number>>;
};

export type TopicSpec = { readonly name: string; readonly partitions: number; readonly retentionMs: number };

/** Every adapter passes the same contract suite (`libs/testing`). */
export interface MessageBus {
  /** Creates what is missing. @throws where a topic exists with fewer partitions than asked for. */
  ensureTopics(topics: readonly TopicSpec[]): Promise<void>;

  /** Resolves when every message is durable. @throws otherwise; then publish again: consumers know a repeat by its natural key. */
  publish(messages: readonly Message[]): Promise<void>;

  /**
   * Publishes as part of a transaction: delivered if and only if it commits, in the order of commits.
   * Call it last: adapters may hold a lock from here to the commit.
   */
  enqueue(work: UnitOfWork, messages: readonly Message[]): Promise<void>;

  /**
   * Hands pages to `handler`. Offsets of a page move when its promise resolves; where it rejects, the page comes again after a pause.
   * Several pages may be under way at once, never two with the same partition.
   */
  subscribe(options: BusSubscribeOptions): Promise<Subscription>;

  ping(): Promise<void>;
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
