import { OrderedLog, type Database, type UnitOfWork } from '@vafa/persistence';
import { assertMessages, assertSubscription } from '../limits.js';
import type { BusSubscribeOptions, Message, MessageBus, Subscription, TopicSpec } from '../message-bus.js';
import { Partitioner } from '../partitioner.js';
import { traced } from '../trace-context.js';
import { WakeUps } from '../wake-ups.js';
import { GroupCommit } from './group-commit.js';
import { groupLag } from './group-lag.js';
import { Membership } from './membership.js';
import { Retention, type KeptFor, type KeptOld } from './retention.js';
import { TopicCatalogue, type Topic } from './topic-catalogue.js';

const RETENTION_INTERVAL_MS = 60_000;

/** Shared by all buses of the process: several may be on the same database, and a hint that comes for nothing costs one query. */
const wakeUps = new WakeUps();

export type PostgresMessageBusOptions = {
  /** Told of what nobody awaits: what handlers threw, connections lost, retention that failed. */
  readonly onError?: (error: unknown) => void;
  /** How often old messages are looked for. */
  readonly retentionIntervalMs?: number;
  /** Told once when a topic keeps what is older than its retention, since a group has not taken it. */
  readonly onKept?: (kept: KeptOld) => void;
  /** Keeps what this group has not taken, however old, and what it has only so long: the log serves it as an outbox. */
  readonly keptFor?: KeptFor;
};

const LOG_COLUMNS = ['topic', 'partition', 'key', 'headers', 'value'];
const log = new OrderedLog({ table: 'messaging.log', columns: LOG_COLUMNS });

/**
 * The bus as a log in PostgreSQL. Topics are shards of one ordered log: whoever writes to a topic holds its lock from the write to the commit,
 * so that positions are seen in their order and a reader can go by them. Partitions are claimed by session locks of a connection of
 * their own; offsets are kept over that same connection, so that whoever lost it can move none.
 */
export class PostgresMessageBus implements MessageBus {
  private readonly catalogue = new TopicCatalogue();
  private readonly partitioner = new Partitioner();
  private readonly publishing: GroupCommit<Message>;
  private readonly memberships = new Set<Membership>();
  private readonly retention: Retention;
  private readonly onError: (error: unknown) => void;
  private closed = false;

  /** The database stays open when the bus closes. Its role inherits that of `messagingMigrations`. */
  constructor(
    private readonly database: Database,
    options: PostgresMessageBusOptions = {},
  ) {
    this.onError = options.onError ?? ((): void => undefined);
    this.publishing = new GroupCommit((messages) => this.write(messages));
    const intervalMs = options.retentionIntervalMs ?? RETENTION_INTERVAL_MS;
    const { keptFor, onKept = (): void => undefined } = options;
    this.retention = new Retention(database, { intervalMs, keptFor, onError: this.onError, onKept });
  }

  async ensureTopics(topics: readonly TopicSpec[]): Promise<void> {
    this.assertOpen();
    await this.catalogue.ensure(this.database, topics);
  }

  async publish(messages: readonly Message[]): Promise<void> {
    this.assertOpen();
    assertMessages(messages);
    await this.catalogue.find(this.database, topicsOf(messages));
    await this.publishing.add(traced(messages));
  }

  async enqueue(work: UnitOfWork, messages: readonly Message[]): Promise<void> {
    this.assertOpen();
    assertMessages(messages);
    if (messages.length > 0) await this.append(work, traced(messages));
  }

  async subscribe(options: BusSubscribeOptions): Promise<Subscription> {
    this.assertOpen();
    assertSubscription(options);
    const topics = [...(await this.catalogue.find(this.database, options.topics)).values()];
    const membership = new Membership(this.database, log, topics, options, wakeUps, this.onError);
    this.memberships.add(membership);
    return {
      close: async () => {
        await membership.close();
        this.memberships.delete(membership);
      },
      lag: () => groupLag(this.database, options.group, topics),
    };
  }

  async ping(): Promise<void> {
    this.assertOpen();
    await this.database.query('select 1 from messaging.topics limit 1');
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([...this.memberships].map((membership) => membership.close()));
    await Promise.all([this.publishing.drained(), this.retention.close()]);
  }

  private assertOpen(): void {
    if (this.closed) throw new Error('the message bus is closed');
  }

  private write(messages: readonly Message[]): Promise<void> {
    return this.database.transaction((work) => this.append(work, messages));
  }

  private async append(work: UnitOfWork, messages: readonly Message[]): Promise<void> {
    const names = topicsOf(messages);
    const topics = await this.catalogue.find(work, names);
    const rows = messages.map((message) => this.row(topics, message));
    await log.lock(
      work,
      [...topics.values()].map(({ id }) => id),
    );
    await work.copy(log.table, LOG_COLUMNS, rows);
    work.afterCommit(() => names.forEach((name) => wakeUps.notify(name)));
  }

  private row(topics: ReadonlyMap<string, Topic>, { topic: name, key, value, headers }: Message) {
    const topic = topics.get(name);
    if (topic === undefined) throw new Error(`topic ${name} was not looked up`);
    const partition = this.partitioner.partitionOf(key, topic.partitions);
    return [topic.id, partition, key, headers === undefined ? null : JSON.stringify(headers), value] as const;
  }
}

const topicsOf = (messages: readonly Message[]): string[] => [...new Set(messages.map(({ topic }) => topic))];
