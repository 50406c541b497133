import type { UnitOfWork } from '@vafa/persistence';
import { Consumer, type LogPage, type PartitionLog } from '../consumer.js';
import { assertMessages, assertSubscription, assertTopic, fewerPartitions, unknownTopic } from '../limits.js';
import type {
  BusSubscribeOptions,
  Message,
  MessageBus,
  ReceivedMessage,
  Subscription,
  TopicSpec,
} from '../message-bus.js';
import { Partitioner } from '../partitioner.js';
import { traced } from '../trace-context.js';
import { WakeUps } from '../wake-ups.js';

type Entry = { readonly position: number; readonly at: number; readonly message: ReceivedMessage };
type Topic = { partitions: number; retentionMs: number; entries: Entry[] };

export type MemoryMessageBusOptions = {
  /** Told of what handlers threw. */
  readonly onError?: (error: unknown) => void;
};

/** The bus within one process, gone with it. It keeps every promise of the port but that of outliving the process. */
export class MemoryMessageBus implements MessageBus {
  private readonly topics = new Map<string, Topic>();
  private readonly groups = new Map<string, Group>();
  private readonly wakeUps = new WakeUps();
  private readonly partitioner = new Partitioner();
  private readonly onError: (error: unknown) => void;
  private position = 0;
  private closed = false;

  constructor(options: MemoryMessageBusOptions = {}) {
    this.onError = options.onError ?? ((): void => undefined);
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    specs.forEach(assertTopic);
    for (const { name, partitions, retentionMs } of specs) {
      const topic = this.topics.get(name);
      if (topic === undefined) this.topics.set(name, { partitions, retentionMs, entries: [] });
      else if (topic.partitions < partitions) throw fewerPartitions(name, topic.partitions, partitions);
      else topic.retentionMs = retentionMs;
    }
  }

  async publish(messages: readonly Message[]): Promise<void> {
    this.assertOpen();
    this.append(this.check(messages));
  }

  async enqueue(work: UnitOfWork, messages: readonly Message[]): Promise<void> {
    this.assertOpen();
    const checked = this.check(messages);
    work.afterCommit(() => this.append(checked));
  }

  async subscribe(options: BusSubscribeOptions): Promise<Subscription> {
    this.assertOpen();
    assertSubscription(options);
    for (const topic of options.topics) this.topic(topic);
    const group = this.group(options.group);
    return group.join(options);
  }

  async ping(): Promise<void> {
    this.assertOpen();
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([...this.groups.values()].map((group) => group.close()));
  }

  private assertOpen(): void {
    if (this.closed) throw new Error('the message bus is closed');
  }

  private topic(name: string): Topic {
    const topic = this.topics.get(name);
    if (topic === undefined) throw unknownTopic(name);
    return topic;
  }

  private group(name: string): Group {
    let group = this.groups.get(name);
    if (group === undefined) {
      const partitionsOf = (topic: string): number => this.topic(topic).partitions;
      group = new Group(partitionsOf, (topic) => this.retained(topic), this.wakeUps, this.onError);
      this.groups.set(name, group);
    }
    return group;
  }

  private check(messages: readonly Message[]): readonly Message[] {
    assertMessages(messages);
    for (const { topic } of messages) this.topic(topic);
    // Copies, since the caller may use its buffers again while the message waits.
    return traced(messages).map((message) => ({ ...message, value: Buffer.from(message.value) }));
  }

  private append(messages: readonly Message[]): void {
    const at = performance.now();
    for (const message of messages) {
      const topic = this.topic(message.topic);
      const partition = this.partitioner.partitionOf(message.key, topic.partitions);
      const position = ++this.position;
      const received = { ...message, headers: message.headers ?? {}, partition, offset: String(position) };
      topic.entries.push({ position, at, message: received });
    }
    for (const topic of new Set(messages.map((message) => message.topic))) this.wakeUps.notify(topic);
  }

  /** What of a topic is young enough, or not taken by a group that has taken from it; drops the rest. */
  private retained(name: string): readonly Entry[] {
    const topic = this.topic(name);
    const oldest = performance.now() - topic.retentionMs;
    const first = topic.entries[0];
    if (first === undefined || first.at >= oldest) return topic.entries;
    const groups = [...this.groups.values()].filter((group) => group.knows(name));
    const isWanted = ({ message, position }: Entry): boolean =>
      groups.some((group) => group.offset(name, message.partition) < position);
    topic.entries = topic.entries.filter((entry) => entry.at >= oldest || isWanted(entry));
    return topic.entries;
  }
}

/** Shares the partitions among the consumers of a group and keeps its offsets. */
class Group implements PartitionLog {
  private readonly offsets = new Map<string, number>();
  private readonly known = new Set<string>();
  private readonly members = new Set<Consumer>();
  private sharing: Promise<void> = Promise.resolve();

  constructor(
    private readonly partitionsOf: (topic: string) => number,
    private readonly retained: (topic: string) => readonly Entry[],
    private readonly wakeUps: WakeUps,
    private readonly onError: (error: unknown) => void,
  ) {}

  async join(options: BusSubscribeOptions): Promise<Subscription> {
    const consumer = new Consumer({
      ...options,
      log: this,
      wakeUps: this.wakeUps,
      onError: this.onError,
      onFailure: this.onError,
      epoch: 0,
    });
    this.members.add(consumer);
    void this.share();
    return {
      close: () => this.leave(consumer),
      lag: async () => new Map(options.topics.map((topic) => [topic, this.lag(topic)])),
    };
  }

  async close(): Promise<void> {
    await Promise.all([...this.members].map((member) => this.leave(member)));
  }

  async read(topic: string, after: ReadonlyMap<number, number>, limit: number): Promise<LogPage> {
    const messages: ReceivedMessage[] = [];
    const entries = this.retained(topic);
    let upTo = 0;
    for (let at = firstAfter(entries, Math.min(...after.values())); messages.length < limit; at++) {
      const entry = entries[at];
      if (entry === undefined) break;
      upTo = entry.position;
      if (upTo > (after.get(entry.message.partition) ?? Infinity)) messages.push(entry.message);
    }
    return { messages, upTo };
  }

  async commit(topic: string, partitions: readonly number[], offset: number): Promise<void> {
    this.known.add(topic);
    for (const partition of partitions)
      this.offsets.set(`${topic}/${partition}`, Math.max(offset, this.offset(topic, partition)));
  }

  private async leave(consumer: Consumer): Promise<void> {
    await consumer.stop();
    if (this.members.delete(consumer)) await this.share();
  }

  private lag(topic: string): number {
    return this.retained(topic).filter((entry) => entry.position > this.offset(topic, entry.message.partition)).length;
  }

  /** Whether it has taken anything of a topic. */
  knows(topic: string): boolean {
    return this.known.has(topic);
  }

  offset(topic: string, partition: number): number {
    return this.offsets.get(`${topic}/${partition}`) ?? 0;
  }

  /** One sharing after another: what one member has to give up is free before another member begins with it. */
  private share(): Promise<void> {
    this.sharing = this.sharing.then(async () => {
      const topics = new Set([...this.members].flatMap((member) => member.options.topics));
      for (const topic of topics) await this.shareTopic(topic);
    });
    return this.sharing;
  }

  private async shareTopic(topic: string): Promise<void> {
    const members = [...this.members].filter((member) => member.options.topics.includes(topic));
    const wanted = members.map((member) => ({ member, partitions: new Set<number>() }));
    for (let partition = 0; partition < this.partitionsOf(topic) && wanted.length > 0; partition++)
      wanted[partition % wanted.length]?.partitions.add(partition);
    const giveUp = ({ member, partitions }: (typeof wanted)[number]): Promise<void> =>
      member.revoke(
        topic,
        member.owned(topic).filter((partition) => !partitions.has(partition)),
      );
    await Promise.all(wanted.map(giveUp));
    for (const { member, partitions } of wanted) {
      const owned = new Set(member.owned(topic));
      const fresh = [...partitions].filter((partition) => !owned.has(partition));
      member.assign(topic, new Map(fresh.map((partition) => [partition, this.offset(topic, partition)])));
    }
  }
}

/** The index of the first entry after a position, by bisection: entries are in order of position. */
const firstAfter = (entries: readonly Entry[], position: number): number => {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[middle]?.position ?? Infinity) > position) high = middle;
    else low = middle + 1;
  }
  return low;
};
