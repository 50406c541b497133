import { pause } from '@vafa/persistence';
import type { Admin, Consumer, EachBatchPayload } from 'kafkajs';
import type { BusSubscribeOptions, Subscription } from '../message-bus.js';
import type { KafkaClient } from './kafka-client.js';
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

/** One member of a consumer group. */
export class KafkaSubscription implements Subscription {
  private readonly consumer: Consumer;
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
  private rejoining = false;
  /** Grows until the group is joined: a client that starts is not yet one that consumes. */
  private revivalMs = REVIVAL_MIN_MS;
  private closing: Promise<void> | undefined;
  private fatal: KafkaFault | undefined;
  /** Resolves when the client has joined its group, or given up. Another may stand in its place by then. */
  private joined: Promise<void> = Promise.resolve();
  private readonly ended = new AbortController();

  private constructor(private readonly options: SubscriptionOptions) {
    const { client, group, names, sessionTimeoutMs } = options;
    this.generation = new Generation(0, sessionTimeoutMs, {});
    this.pages = new Pages({
      pageSize: options.pageSize,
      handler: options.handler,
      onError: options.onError,
      generation: () => this.generation,
      internal: (topic) => names.internal(topic),
    });
    this.consumer = client.consumer({
      groupId: names.external(group),
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: REBALANCE_TIMEOUT_MS,
      heartbeatInterval: HEARTBEAT_INTERVAL_MS,
      minBytes: 1,
      maxWaitTimeInMs: MAX_WAIT_MS,
      maxBytes: FETCH_BYTES_MAX,
      maxBytesPerPartition: PARTITION_BYTES_MAX,
      allowAutoTopicCreation: false,
      retry: {
        initialRetryTime: 100,
        maxRetryTime: 1_000,
        retries: 20,
        restartOnFailure: async (error) => this.restarts(error),
      },
    });
    this.listen();
    this.beating = setInterval(() => {
      void this.beat();
      this.look();
    }, HEARTBEAT_INTERVAL_MS);
  }

  /** Becomes a member, in the background once the topics are known. @throws what the client threw. */
  static async open(options: SubscriptionOptions): Promise<KafkaSubscription> {
    const subscription = new KafkaSubscription(options);
    try {
      await subscription.start();
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

  private async start(): Promise<void> {
    const { names, topics } = this.options;
    await this.consumer.connect();
    if (!this.ended.signal.aborted)
      await this.consumer.subscribe({ topics: topics.map((topic) => names.external(topic)), fromBeginning: true });
    // Closed meanwhile, by somebody who found nothing to disconnect yet.
    if (this.ended.signal.aborted) return this.consumer.disconnect();
    // Not awaited: joining takes as long as the other members need to finish what they have under way.
    this.joined = this.consumer
      .run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: PARTITIONS_AT_ONCE_MAX,
        eachBatch: (payload) => this.take(payload),
      })
      .catch((error: unknown) => void this.revive(error));
  }

  private async take(payload: EachBatchPayload): Promise<void> {
    if (this.closing !== undefined) return;
    this.heartbeat = () => payload.heartbeat();
    await this.pages.add(payload);
  }

  private listen(): void {
    const { consumer, options } = this;
    const { GROUP_JOIN, REBALANCING, HEARTBEAT, FETCH, CRASH } = consumer.events;
    consumer.on(REBALANCING, () => (this.gathers = true));
    consumer.on(GROUP_JOIN, ({ payload: { memberId, memberAssignment } }) => {
      this.gathers = false;
      this.memberId = memberId;
      const before = this.generation;
      before.replace();
      this.generation = new Generation(before.epoch + 1, options.sessionTimeoutMs, memberAssignment);
      this.revivalMs = REVIVAL_MIN_MS;
      if (this.closing !== undefined) this.generation.end();
      this.lastFetchMs = performance.now();
      options.onActivity('rebalance');
    });
    consumer.on(HEARTBEAT, ({ payload: { memberId } }) => {
      if (memberId === this.memberId) this.generation.heard();
      else this.generation.replace();
    });
    consumer.on(FETCH, () => {
      this.lastFetchMs = performance.now();
      this.fetches = true;
      if (this.gathers) this.generation.replace();
    });
    consumer.on(CRASH, ({ payload: { error, restart } }) => {
      this.fetches = false;
      if (this.closing !== undefined || this.rejoining) return;
      if (!restart) return void this.revive(error);
      options.onActivity('reconnect');
      options.onError(options.faultOf(error));
    });
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
   * no member then and never beats again, or it is one with other partitions, which stand still. It may still find out by its next heartbeat; where
   * fetches are answered while the generation stays over, it has not.
   */
  private look(): void {
    const isSilent = this.fetches && this.generation.isStale();
    this.fetches = false;
    this.silentLooks = isSilent ? this.silentLooks + 1 : 0;
    if (this.silentLooks < SILENT_LOOKS_MAX || this.rejoining || this.closing !== undefined) return;
    this.joined = this.rejoin();
  }

  private async rejoin(): Promise<void> {
    const { onActivity, onError } = this.options;
    this.rejoining = true;
    this.generation.replace();
    onActivity('reconnect');
    onError(new Error('the group does not know this consumer, which fetched all the same: it joins anew'));
    let failure: { error: unknown } | undefined;
    try {
      await this.consumer.stop();
      await this.start();
    } catch (error) {
      failure = { error };
    }
    this.rejoining = false;
    if (failure !== undefined) void this.revive(failure.error);
  }

  /** The client gives up at some errors that pass: it is begun anew until it goes on, or cannot. */
  private async revive(error: unknown): Promise<void> {
    let fault = this.options.faultOf(error);
    while (!this.ended.signal.aborted) {
      if (endsProcess(fault)) return this.end(fault);
      this.options.onActivity('reconnect');
      this.options.onError(fault);
      const milliseconds = this.revivalMs;
      this.revivalMs = Math.min(milliseconds * 2, REVIVAL_MAX_MS);
      await pause(milliseconds, this.ended.signal);
      if (this.ended.signal.aborted) return;
      try {
        return await this.start();
      } catch (again) {
        fault = this.options.faultOf(again);
      }
    }
  }

  /** Everything may heal but what somebody has taken from us. */
  private restarts(error: Error): boolean {
    return this.closing === undefined && !this.rejoining && !endsProcess(this.options.faultOf(error));
  }

  private end(fault: KafkaFault): void {
    if (this.closing !== undefined || this.fatal !== undefined) return;
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
    this.ended.abort();
    this.generation.end();
    this.pages.close();
    const timer = AbortSignal.timeout(CLOSE_TIMEOUT_MS);
    const timedOut = new Promise<void>((resolve) => timer.addEventListener('abort', () => resolve()));
    // The client forgets a join that is under way: disconnected before its end, it would become a member that nobody can stop any more.
    const gone = this.settled().then(() => this.consumer.disconnect());
    gone.catch(() => undefined);
    try {
      await Promise.race([gone, timedOut]);
    } finally {
      clearInterval(this.beating);
    }
  }

  /** Resolves when no join is under way. */
  private async settled(): Promise<void> {
    for (let awaited: Promise<void> | undefined; awaited !== this.joined;) await (awaited = this.joined);
  }
}
