import type { Database, UnitOfWork } from '@vafa/persistence';
import { PARTITIONS_DEFAULT, type Batch, type Message, type Subscription, type TopicSpec } from '../message-bus.js';
import { PostgresMessageBus } from '../postgres/postgres-message-bus.js';
import { RELAY_GROUP } from '../postgres/retention.js';
import { StoppedPartitions } from '../stopped-partitions.js';
import { KafkaFault } from './kafka-faults.js';

/** Messages that a page takes to Kafka. */
const PAGE_SIZE = 2_000;
/** What is in Kafka is kept for a while, to look at. */
const SENT_KEPT_MS = 24 * 3_600_000;
const RETENTION_INTERVAL_MS = 60_000;

export type OutboxOptions = {
  readonly database: Database;
  /** Resolves when Kafka has acknowledged everything; `onDurable` is told of each message that it has, also where others fail. */
  readonly send: (messages: readonly Message[], onDurable: (message: Message) => void) => Promise<void>;
  readonly onError: (error: unknown) => void;
  /** How often sent rows are looked for, and how long they are kept. */
  readonly retention?: { readonly intervalMs: number; readonly sentKeptMs: number };
};

/**
 * What is enqueued in transactions, on its way to Kafka. It is the log of the bus in PostgreSQL: written in the order of commits, read in
 * partitions that session locks lease to one process each, with an offset that moves once Kafka has acknowledged a page. A page may be sent twice,
 * when a process dies between the two; none is left out, and a key's order is kept.
 */
export class Outbox {
  private readonly log: PostgresMessageBus;
  private readonly relayed = new Set<string>();
  private readonly relays: Subscription[] = [];
  private readonly standing: StoppedPartitions[] = [];
  /** What Kafka has of pages that it did not take whole: it is not sent with them again. */
  private readonly durable = new WeakSet<Message>();

  constructor(private readonly options: OutboxOptions) {
    const { database, onError, retention } = options;
    const { intervalMs, sentKeptMs } = retention ?? { intervalMs: RETENTION_INTERVAL_MS, sentKeptMs: SENT_KEPT_MS };
    this.log = new PostgresMessageBus(database, {
      onError,
      retentionIntervalMs: intervalMs,
      keptFor: { group: RELAY_GROUP, thenMs: sentKeptMs },
    });
  }

  /** Makes room for topics and begins to relay what is enqueued for them. */
  async ensureTopics(topics: readonly TopicSpec[]): Promise<void> {
    // Partitions of the outbox are how many processes can relay; those of Kafka are another matter.
    await this.log.ensureTopics(topics.map((topic) => ({ ...topic, partitions: PARTITIONS_DEFAULT })));
    const fresh = topics.map(({ name }) => name).filter((name) => !this.relayed.has(name));
    if (fresh.length === 0) return;
    for (const name of fresh) this.relayed.add(name);
    const standing = new StoppedPartitions();
    this.standing.push(standing);
    this.relays.push(
      await this.log.subscribe({
        group: RELAY_GROUP,
        topics: fresh,
        pageSize: PAGE_SIZE,
        handler: (batch) => this.relay(batch, standing),
      }),
    );
  }

  /** A page that comes again is made of the same messages, as long as this process has it. */
  private async relay(batch: Batch, standing: StoppedPartitions): Promise<void> {
    const missing = batch.messages.filter((message) => !this.durable.has(message));
    try {
      await this.options.send(missing, (message) => this.durable.add(message));
      standing.go(batch);
    } catch (error) {
      if (!(error instanceof KafkaFault) || error.heals) throw error;
      standing.stop(batch);
      const { kind, message } = error;
      throw new KafkaFault(kind, `The outbox of ${batch.topic} stands still: ${message}`, false, error);
    }
  }

  enqueue(work: UnitOfWork, messages: readonly Message[]): Promise<void> {
    return this.log.enqueue(work, messages);
  }

  /** Messages that are not in Kafka yet. */
  async lag(): Promise<number> {
    const lags = await Promise.all(this.relays.map((relay) => relay.lag()));
    return lags.flatMap((lag) => [...lag.values()]).reduce((sum, one) => sum + one, 0);
  }

  /** Topics whose messages stay in the outbox, behind one that Kafka refuses, until somebody does what the error in the log says. */
  stoppedTopics(): string[] {
    return this.standing.flatMap(({ topics }) => topics);
  }

  /** Finishes the pages under way; the rest waits for the next process. */
  close(): Promise<void> {
    return this.log.close();
  }
}
