import { pause, StartupError, type Database, type UnitOfWork } from '@vafa/persistence';
import type { Admin } from 'kafkajs';
import { assertMessages, assertSubscription } from '../limits.js';
import type { BusSubscribeOptions, Message, MessageBus, Subscription, TopicSpec } from '../message-bus.js';
import { createClient, METADATA_AGE_MAX_MS, type KafkaClient, type KafkaLog } from './kafka-client.js';
import { faultOf, KafkaFault, type KafkaFaultKind } from './kafka-faults.js';
import { KafkaPartitions } from './kafka-partitions.js';
import { KafkaPublisher } from './kafka-publisher.js';
import type { KafkaSettings } from './kafka-settings.js';
import { KafkaSubscription, type KafkaActivity } from './kafka-subscription.js';
import { KafkaTopics } from './kafka-topics.js';
import { Outbox } from './outbox.js';
import { traced } from '../trace-context.js';

const PUBLISH_DEADLINE_MS = 15_000;
const RETRY_TOLD_EVERY_MS = 10_000;
const START_DEADLINE_MS = 60_000;
const START_PAUSE_MIN_MS = 250;
const START_PAUSE_MAX_MS = 5_000;
/** What cannot heal is believed when it was seen so often in a row: a broker that is going down says strange things. */
const HOPELESS_ATTEMPTS = 3;
/** A port that wants TLS or a user says nothing but good-bye; so does a broker that goes down, but not for long. */
const CLOSED_ATTEMPTS = 6;

export type KafkaMessageBusOptions = {
  readonly settings: KafkaSettings;
  /** Holds the outbox. Its role inherits that of `messagingMigrations`; it stays open when the bus closes. */
  readonly database: Database;
  readonly log?: KafkaLog;
  /** Told of what nobody awaits: what handlers threw, connections lost. */
  readonly onError?: (error: unknown) => void;
  /** Told of rebalances, repeated calls and reconnections, for metrics. */
  readonly onActivity?: (activity: KafkaActivity) => void;
  /** Told when a consumer cannot go on for good: the process has to end. */
  readonly onFatal?: (error: Error) => void;
  /** What is not acknowledged by then is rejected, 15,000 unless told. */
  readonly publishDeadlineMs?: number;
  /** How long the start waits for brokers, 60,000 unless told. */
  readonly startDeadlineMs?: number;
};

/**
 * The bus on Apache Kafka. What is published goes there at once; what is enqueued goes with its transaction to a table, from where one relay of
 * the installation takes it to Kafka in the order of commits.
 */
export class KafkaMessageBus implements MessageBus {
  private readonly settings: KafkaSettings;
  private readonly consuming: KafkaClient;
  private readonly admin: Admin;
  private readonly topics: KafkaTopics;
  private readonly publisher: KafkaPublisher;
  private readonly outbox: Outbox;
  private readonly subscriptions = new Set<KafkaSubscription>();
  private readonly ended = new AbortController();
  private readonly onError: (error: unknown) => void;
  private readonly log: KafkaLog;
  private connecting: Promise<void> | undefined;
  private retryToldMs = -Infinity;

  constructor(private readonly options: KafkaMessageBusOptions) {
    this.settings = options.settings;
    this.onError = options.onError ?? ((): void => undefined);
    this.log = options.log ?? ((): void => undefined);
    // Whoever publishes or asks has a deadline, and tries again himself.
    const asking = createClient(this.settings, { retries: 1, initialRetryTime: 100, maxRetryTime: 500 }, this.log);
    // A consumer that gives up is begun anew, and then its old membership has to run out before anything flows: it rather waits for a broker.
    this.consuming = createClient(this.settings, { retries: 20, initialRetryTime: 100, maxRetryTime: 1_000 }, this.log);
    this.admin = asking.admin();
    this.topics = new KafkaTopics(this.admin, this.settings, (message) => this.log('warn', message, { part: 'kafka' }));
    const partitions = new KafkaPartitions();
    this.publisher = new KafkaPublisher({
      create: () =>
        asking.producer({
          allowAutoTopicCreation: false,
          metadataMaxAge: METADATA_AGE_MAX_MS,
          createPartitioner: partitions.partitioner,
          retry: { retries: 0 },
        }),
      partitions,
      external: (topic) => this.topics.external(topic),
      faultOf: (error) => this.fault(error),
      deadlineMs: options.publishDeadlineMs ?? PUBLISH_DEADLINE_MS,
      onRetry: (fault) => this.noteRetry(fault),
    });
    this.outbox = new Outbox({
      database: options.database,
      send: (messages, onDurable) => this.publisher.publish(messages, onDurable),
      onError: this.onError,
    });
  }

  /** Waits for brokers that may still come. @throws StartupError with a sentence where they do not, or never could. */
  async ensureTopics(topics: readonly TopicSpec[]): Promise<void> {
    this.assertOpen();
    await this.patiently(() => this.topics.ensure(topics));
    await this.outbox.ensureTopics(topics);
  }

  async publish(messages: readonly Message[]): Promise<void> {
    this.assertOpen();
    assertMessages(messages);
    if (messages.length === 0) return;
    await this.known(messages.map(({ topic }) => topic));
    await this.publisher.publish(traced(messages));
  }

  async enqueue(work: UnitOfWork, messages: readonly Message[]): Promise<void> {
    this.assertOpen();
    await this.outbox.enqueue(work, messages);
  }

  async subscribe(options: BusSubscribeOptions): Promise<Subscription> {
    this.assertOpen();
    assertSubscription(options);
    await this.known(options.topics);
    const subscription = await this.asked(() =>
      KafkaSubscription.open({
        ...options,
        client: this.consuming,
        admin: this.admin,
        names: this.topics,
        sessionTimeoutMs: this.settings.sessionTimeoutMs,
        faultOf: (error) => this.fault(error),
        onError: this.onError,
        onActivity: (activity) => this.options.onActivity?.(activity),
        onFatal: (fault) => this.options.onFatal?.(fault),
      }),
    );
    this.subscriptions.add(subscription);
    return {
      lag: () => this.asked(() => subscription.lag()),
      close: async () => {
        await subscription.close();
        this.subscriptions.delete(subscription);
      },
    };
  }

  async ping(): Promise<void> {
    this.assertOpen();
    await this.asked(() => this.admin.describeCluster());
  }

  /** Messages that transactions enqueued and that are not in Kafka yet. */
  outboxLag(): Promise<number> {
    return this.outbox.lag();
  }

  /** Topics whose messages stay in the outbox of this process, behind one that Kafka refuses. */
  stoppedTopics(): string[] {
    return this.outbox.stoppedTopics();
  }

  /** Stops consuming, then the relay, then what publishes for both. */
  async close(): Promise<void> {
    if (this.ended.signal.aborted) return;
    this.ended.abort();
    await Promise.all([...this.subscriptions].map((subscription) => subscription.close()));
    // Brokers that are away must not use up what whoever stops this process grants it.
    this.publisher.hurry();
    await this.outbox.close();
    await this.publisher.close();
    await this.admin.disconnect();
  }

  private assertOpen(): void {
    if (this.ended.signal.aborted) throw new Error('the message bus is closed');
  }

  /** A line now and then says enough while brokers are away. */
  private noteRetry({ message }: KafkaFault): void {
    this.options.onActivity?.('publish-retry');
    const nowMs = performance.now();
    if (nowMs < this.retryToldMs + RETRY_TOLD_EVERY_MS) return;
    this.retryToldMs = nowMs;
    this.log('warn', `What is published waits and is sent again. ${message}`, { part: 'kafka' });
  }

  private fault(error: unknown): KafkaFault {
    return faultOf(error, this.settings);
  }

  /** What was seen once needs nobody to be asked: publishing has a patience of its own. */
  private async known(topics: readonly string[]): Promise<void> {
    const unseen = this.topics.unseen(topics);
    if (unseen.length > 0) await this.asked(() => this.topics.look(unseen));
  }

  /** Asks the brokers something. @throws KafkaFault, or what is ours. */
  private async asked<T>(ask: () => Promise<T>): Promise<T> {
    try {
      this.connecting ??= this.admin.connect();
      await this.connecting;
      return await ask();
    } catch (error) {
      this.connecting = undefined;
      throw error instanceof RangeError ? error : this.fault(error);
    }
  }

  private async patiently(ask: () => Promise<void>): Promise<void> {
    const deadline = performance.now() + (this.options.startDeadlineMs ?? START_DEADLINE_MS);
    let pauseMs = START_PAUSE_MIN_MS;
    let seen: { kind: KafkaFaultKind; times: number } | undefined;
    for (; ; pauseMs = Math.min(pauseMs * 2, START_PAUSE_MAX_MS)) {
      try {
        return await this.asked(ask);
      } catch (error) {
        if (!(error instanceof KafkaFault)) throw error;
        seen = { kind: error.kind, times: seen?.kind === error.kind ? seen.times + 1 : 1 };
        if (isHopeless(error, seen.times) || performance.now() + pauseMs > deadline || this.ended.signal.aborted)
          throw new StartupError(error.message, { cause: error });
        this.log('warn', `${error.message} Trying again in ${pauseMs} ms.`, { part: 'kafka' });
      }
      await pause(pauseMs, this.ended.signal);
    }
  }
}

const isHopeless = ({ kind, heals, cause }: KafkaFault, times: number): boolean => {
  if (kind === 'closed') return times >= CLOSED_ATTEMPTS;
  return !heals && (cause === undefined || times >= HOPELESS_ATTEMPTS);
};
