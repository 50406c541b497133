import { pause } from '@vafa/persistence';
import type { Admin, Consumer, EachBatchPayload } from 'kafkajs';
import type { BusSubscribeOptions, Subscription } from '../message-bus.js';
import { METADATA_AGE_MAX_MS, type KafkaClient } from './kafka-client.js';
import { endsProcess, type KafkaFault } from './kafka-faults.js';
import { Generation } from './kafka-membership.js';
import { Pages } from './kafka-pages.js';
import type { KafkaTopics } from './kafka-topics.js';

const REBALANCE_TIMEOUT_MS = 60_000;
const HEARTBEAT_INTERVAL_MS = 1_000;
const MAX_WAIT_MS = 100;
const FETCH_BYTES_MAX = 10 * 1_024 * 1_024;
const PARTITION_BYTES_MAX = 1_024 * 1_024;
/** Partitions served at once; all that one answer brings go together. */
const PARTITIONS_AT_ONCE_MAX = 1_000;
/** A consumer that has neither work nor asked for any for so long is not one. */
const SILENCE_MAX_MS = 30_000;
/** How many times in a row the group is found silent, while brokers answer fetches, until the client is begun anew. */
const SILENT_LOOKS_MAX = 3;
const CLOSE_TIMEOUT_MS = 20_000;
const REVIVAL_MIN_MS = 250;
const REVIVAL_MAX_MS = 5_000;

export type KafkaActivity = 'rebalance' | 'publish-retry' | 'reconnect';

export type SubscriptionOptions = BusSubscribeOptions & {
  readonly client: KafkaClient;
  readonly admin: Admin;
  readonly names: KafkaTopics;
  readonly sessionTimeoutMs: number;
  readonly faultOf: (error: unknown) => KafkaFault;
  readonly onError: (error: unknown) => void;
  readonly onActivity: (activity: KafkaActivity) => void;
  /** Told when the consumer cannot go on for good. */
  readonly onFatal: (fault: KafkaFault) => void;
};

/** One member of a consumer group, for as long as it is wanted: where a client cannot go on, another one joins in its place. */
export class KafkaSubscription implements Subscription {
  private readonly pages: Pages;
  private generation: Generation;
  private heartbeat: (() => Promise<void>) | undefined;
  private readonly beating: NodeJS.Timeout;
  private lastFetchMs = performance.now();
  /** As the group knows this member since it last heard of its partitions. */
  private memberId: string | undefined;
  /** Whether the client wants to join anew, which it does between fetches. */
  private gathers = false;
  /** Whether a fetch was answered since the last look. */
  private fetches = false;
  private silentLooks = 0;
  /** Grows until a broker answers a fetch: a client that starts is not yet one that consumes. */
  private revivalMs = REVIVAL_MIN_MS;
  private closing: Promise<void> | undefined;
  private fatal: KafkaFault | undefined;
  private living: Promise<void> = Promise.resolve();
  private giveUpClient: (reason: unknown) => void = () => undefined;
  private readonly ended = new AbortController();

  private constructor(private readonly options: SubscriptionOptions) {
    const { names, sessionTimeoutMs } = options;
    this.generation = new Generation(0, sessionTimeoutMs, {});
    this.pages = new Pages({
      pageSize: options.pageSize,
      handler: options.handler,
      onError: options.onError,
      generation: () => this.generation,
      internal: (topic) => names.internal(topic),
    });
    this.beating = setInterval(() => {
      void this.beat();
      this.look();
    }, HEARTBEAT_INTERVAL_MS);
  }

  /** Becomes a member, in the background once the topics are known. @throws what the client threw. */
  static async open(options: SubscriptionOptions): Promise<KafkaSubscription> {
    const subscription = new KafkaSubscription(options);
    try {
      const client = await subscription.connect();
      // Not awaited: joining takes as long as the other members need to finish what they have under way.
      subscription.living = subscription.live(client);
      return subscription;
    } catch (error) {
      await subscription.close();
      throw error;
    }
  }

  async lag(): Promise<Map<string, number>> {
    this.assertAlive();
    const { admin, group, names, topics } = this.options;
    const external = topics.map((topic) => names.external(topic));
    const committed = await admin.fetchOffsets({ groupId: names.external(group), topics: external });
    const lags = new Map<string, number>(topics.map((topic) => [topic, 0]));
    for (const { topic, partitions } of committed) {
      const taken = new Map(partitions.map(({ partition, offset }) => [partition, Number(offset)]));
      const behind = (await admin.fetchTopicOffsets(topic)).map(({ partition, high, low }) =>
        Math.max(0, Number(high) - Math.max(Number(low), taken.get(partition) ?? 0)),
      );
      lags.set(
        names.internal(topic),
        behind.reduce((sum, one) => sum + one, 0),
      );
    }
    return lags;
  }

  close(): Promise<void> {
    this.closing ??= this.stop();
    return this.closing;
  }

  /** A client that knows the topics and has not joined. @throws what it threw. */
  private async connect(): Promise<Consumer> {
    const { names, topics } = this.options;
    const client = this.create();
    try {
      await client.connect();
      await client.subscribe({ topics: topics.map((topic) => names.external(topic)), fromBeginning: true });
      return client;
    } catch (error) {
      await disconnect(client);
      throw error;
    }
  }

  private create(): Consumer {
    const { client, group, names, sessionTimeoutMs } = this.options;
    return client.consumer({
      groupId: names.external(group),
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: REBALANCE_TIMEOUT_MS,
      heartbeatInterval: HEARTBEAT_INTERVAL_MS,
      minBytes: 1,
      maxWaitTimeInMs: MAX_WAIT_MS,
      maxBytes: FETCH_BYTES_MAX,
      maxBytesPerPartition: PARTITION_BYTES_MAX,
      metadataMaxAge: METADATA_AGE_MAX_MS,
      allowAutoTopicCreation: false,
      retry: {
        initialRetryTime: 100,
        maxRetryTime: 1_000,
        retries: 20,
        // Beside ours its own would make a second member.
        restartOnFailure: () => Promise.resolve(false),
      },
    });
  }

  /**
   * Consumes with one client after the other until it is closed, or cannot go on for good. There is one at a time, gone before the next joins: two
   * would be two members. It is a new one, since an old one keeps broken connections and addresses of brokers that are gone.
   */
  private async live(first: Consumer): Promise<void> {
    const { signal } = this.ended;
    for (let next = Promise.resolve(first); ; next = this.connect()) {
      const reason = await next.then((client) => this.serve(client)).catch((error: unknown) => error);
      if (signal.aborted) return;
      const fault = this.options.faultOf(reason);
      if (endsProcess(fault)) return this.end(fault);
      this.options.onActivity('reconnect');
      this.options.onError(fault);
      await pause(this.revivalMs, signal);
      this.revivalMs = Math.min(this.revivalMs * 2, REVIVAL_MAX_MS);
      if (signal.aborted) return;
    }
  }

  /** Joins and consumes until the client cannot go on, or we close. Answers why. */
  private async serve(client: Consumer): Promise<unknown> {
    const { promise: over, resolve } = Promise.withResolvers<unknown>();
    this.giveUpClient = resolve;
    [this.gathers, this.fetches, this.silentLooks] = [false, false, 0];
    this.listen(client, resolve);
    const { signal } = this.ended;
    signal.addEventListener('abort', resolve);
    try {
      if (signal.aborted) return undefined;
      // Resolves when it has joined or given up. It forgets a join that is under way: disconnected before its end, it would become a member that nobody can stop any more.
      await client.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: PARTITIONS_AT_ONCE_MAX,
        eachBatch: (payload) => this.take(payload),
      });
      return await over;
    } finally {
      signal.removeEventListener('abort', resolve);
      await disconnect(client);
      this.generation.replace();
    }
  }

  private async take(payload: EachBatchPayload): Promise<void> {
    if (this.closing !== undefined) return;
    this.heartbeat = () => payload.heartbeat();
    await this.pages.add(payload);
  }

  private listen(client: Consumer, giveUp: (reason: unknown) => void): void {
    const { options } = this;
    const { GROUP_JOIN, REBALANCING, HEARTBEAT, FETCH, CRASH } = client.events;
    client.on(REBALANCING, () => (this.gathers = true));
    client.on(GROUP_JOIN, ({ payload: { memberId, memberAssignment } }) => {
      this.gathers = false;
      this.memberId = memberId;
      const before = this.generation;
      before.replace();
      this.generation = new Generation(before.epoch + 1, options.sessionTimeoutMs, memberAssignment);
      if (this.closing !== undefined) this.generation.end();
      this.lastFetchMs = performance.now();
      options.onActivity('rebalance');
    });
    client.on(HEARTBEAT, ({ payload: { memberId } }) => {
      if (memberId === this.memberId) this.generation.heard();
      else this.generation.replace();
    });
    client.on(FETCH, () => {
      this.lastFetchMs = performance.now();
      this.fetches = true;
      this.revivalMs = REVIVAL_MIN_MS;
      if (this.gathers) this.generation.replace();
    });
    client.on(CRASH, ({ payload: { error } }) => giveUp(error));
  }

  /** Long work must not look like death; the client itself beats between fetches only. */
  private async beat(): Promise<void> {
    const { generation, heartbeat } = this;
    if (heartbeat === undefined || !generation.isMember() || !this.pages.isBusy()) return;
    try {
      await heartbeat();
    } catch (error) {
      if (generation.failed(error)) return;
      this.options.onError(this.options.faultOf(error));
      if (generation.isStale()) generation.leave(error);
    }
  }

  /**
   * kafkajs 2.2.4 does not repeat a wish to join, or a question for its partitions, that gets no answer: it fetches on with those that it had. It is
   * no member then and never beats again, or it is one with other partitions, which stand still; or it asks a coordinator that is silent again and
   * again. It may still find out; where fetches are answered while the generation stays over, it has not.
   */
  private look(): void {
    if (!this.generation.isStale()) this.silentLooks = 0;
    else if (this.fetches) this.silentLooks++;
    this.fetches = false;
    if (this.silentLooks < SILENT_LOOKS_MAX) return;
    this.silentLooks = 0;
    this.generation.replace();
    this.giveUpClient(new Error('the group does not know this consumer, which fetched all the same: it joins anew'));
  }

  private end(fault: KafkaFault): void {
    this.fatal = fault;
    this.generation.end();
    this.options.onFatal(fault);
  }

  private assertAlive(): void {
    if (this.fatal !== undefined) throw this.fatal;
    const silenceMs = performance.now() - this.lastFetchMs;
    if (silenceMs > SILENCE_MAX_MS && !this.pages.isBusy())
      throw new Error(`the consumer has asked for nothing for ${Math.round(silenceMs)} ms`);
  }

  private async stop(): Promise<void> {
    this.generation.end();
    this.ended.abort();
    this.pages.close();
    const timer = AbortSignal.timeout(CLOSE_TIMEOUT_MS);
    const timedOut = new Promise<void>((resolve) => timer.addEventListener('abort', () => resolve()));
    try {
      await Promise.race([this.living, timedOut]);
    } finally {
      clearInterval(this.beating);
    }
  }
}

/** Waits for what is under way, and leaves the group where the client is in it. */
const disconnect = (client: Consumer): Promise<void> => client.disconnect().catch(() => undefined);
