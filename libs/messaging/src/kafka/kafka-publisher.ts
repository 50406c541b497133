import { pause } from '@vafa/persistence';
import type { Message as KafkaRecord, Producer, RecordMetadata, TopicMessages } from 'kafkajs';
import type { Message } from '../message-bus.js';
import { KafkaFault } from './kafka-faults.js';
import type { KafkaPartitions } from './kafka-partitions.js';

/** A call of 500 costs little more than one of 1, and bigger ones bring nothing. */
const CALL_MESSAGES_MAX = 500;
/** What goes to one partition in a call is one batch to the broker, which takes a mebibyte of it by default. */
const CALL_BYTES_MAX = 768 * 1_024;
/** What may wait in memory for brokers that are away. */
const WAITING_BYTES_MAX = 64 * 1_024 * 1_024;
const BACKOFF_MIN_MS = 50;
const BACKOFF_MAX_MS = 1_000;
const SEND_TIMEOUT_MS = 10_000;
/** Within it the brokers that are there answer; for others whoever stops does not wait. */
const CLOSING_DEADLINE_MS = 5_000;

type Job = {
  /** How many of its messages are not durable yet. */
  left: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  readonly onDurable: (message: Message) => void;
  readonly done: Promise<void>;
  deadline: number;
  timer: NodeJS.Timeout;
  ended: boolean;
  lastFault: KafkaFault | undefined;
};

/** A message on its way. */
type Item = {
  readonly job: Job;
  readonly message: Message;
  /** As the brokers know it. */
  readonly topic: string;
  readonly record: KafkaRecord;
  readonly bytes: number;
};

/** Messages of one partition that has a failed call behind it, in their order. */
type Lane = { readonly items: Item[]; callMessages: number };

export type PublisherOptions = {
  /** Makes a client's producer that does not try again by itself, with the partitioner of `partitions`. */
  readonly create: () => Producer;
  readonly partitions: KafkaPartitions;
  readonly external: (topic: string) => string;
  readonly faultOf: (error: unknown) => KafkaFault;
  /** What has not been acknowledged by then is rejected; its outcome is unknown. */
  readonly deadlineMs: number;
  /** Told of every call that has to be sent again. */
  readonly onRetry: (fault: KafkaFault) => void;
};

/**
 * Sends what gathered while the call before it was under way, in the order in which it was asked for. An answer of the client says of a call only
 * that all of it succeeded or that some of it failed, and its own repetition takes for acknowledged what it skipped when a leader moves
 * (tulios/kafkajs#1798). So what a failed call held is sent again by us, each partition in calls of its own: those that are well are done at once, and
 * one that is not holds up nobody else. While a partition has such a lane, whatever comes for it waits there, behind what came before.
 */
export class KafkaPublisher {
  private readonly waiting: Item[] = [];
  private readonly lanes = new Map<string, Lane>();
  private readonly jobs = new Set<Job>();
  private readonly ended = new AbortController();
  private waitingBytes = 0;
  private running: Promise<void> | undefined;
  private callMessages = CALL_MESSAGES_MAX;
  private producer: Producer;
  private connecting: Promise<void> | undefined;
  private deadlineMs: number;

  constructor(private readonly options: PublisherOptions) {
    this.deadlineMs = options.deadlineMs;
    this.producer = options.create();
  }

  /**
   * Resolves when every message is in every copy that the topic asks for. Of each that is, `onDurable` is told, also where others of the call fail.
   * @throws KafkaFault.
   */
  publish(messages: readonly Message[], onDurable: (message: Message) => void = () => undefined): Promise<void> {
    if (messages.length === 0) return Promise.resolve();
    const bytes = messages.reduce((sum, message) => sum + sizeOf(message), 0);
    if (this.waitingBytes > 0 && this.waitingBytes + bytes > WAITING_BYTES_MAX)
      return Promise.reject(
        new KafkaFault('timeout', 'more messages wait for Kafka than fit in memory', true, undefined),
      );
    this.waitingBytes += bytes;
    const { deadlineMs } = this;
    const deadline = performance.now() + deadlineMs;
    const timer = setTimeout(() => this.expire(job), deadlineMs);
    const { promise: done, resolve, reject } = Promise.withResolvers<void>();
    const left = messages.length;
    const job: Job = { left, done, resolve, reject, onDurable, deadline, timer, ended: false, lastFault: undefined };
    this.jobs.add(job);
    for (const message of messages) this.waiting.push(this.item(job, message));
    this.running ??= this.run();
    return done.finally(() => (this.waitingBytes -= bytes));
  }

  /** Who still waits has 5 s from now on: the process is to stop. */
  hurry(): void {
    this.deadlineMs = Math.min(this.deadlineMs, CLOSING_DEADLINE_MS);
    const latest = performance.now() + this.deadlineMs;
    for (const job of this.jobs) {
      if (job.deadline <= latest) continue;
      job.deadline = latest;
      clearTimeout(job.timer);
      job.timer = setTimeout(() => this.expire(job), this.deadlineMs);
    }
  }

  /** Resolves when nobody waits any more, at the latest when the last deadline has passed. */
  async close(): Promise<void> {
    this.hurry();
    while (this.jobs.size > 0) await Promise.allSettled([...this.jobs].map(({ done }) => done));
    this.ended.abort();
    await this.producer.disconnect();
  }

  private item(job: Job, message: Message): Item {
    const { key, value, headers } = message;
    const record: KafkaRecord = { key, value, ...(headers && { headers: { ...headers } }) };
    return { job, message, topic: this.options.external(message.topic), record, bytes: sizeOf(message) };
  }

  private expire(job: Job): void {
    const { faultOf } = this.options;
    const cause =
      job.lastFault ?? faultOf(new Error(`no acknowledgement before the deadline of ${this.deadlineMs} ms`));
    this.end(job, () => job.reject(cause));
  }

  private end(job: Job, tell: () => void): void {
    if (job.ended) return;
    job.ended = true;
    this.jobs.delete(job);
    clearTimeout(job.timer);
    tell();
  }

  private async run(): Promise<void> {
    // Calls made in the same turn go together.
    await Promise.resolve();
    for (let items = this.take(); items.length > 0; items = this.take()) {
      try {
        await this.send(items);
        this.callMessages = Math.min(this.callMessages * 2, CALL_MESSAGES_MAX);
      } catch (error) {
        const fault = this.options.faultOf(error);
        if (fault.kind === 'too-large') this.callMessages = Math.max(1, items.length >> 1);
        this.note(items, fault);
        for (const item of items) this.defer(item);
      }
    }
    this.running = undefined;
  }

  /** The next messages of those who still wait, without those whose partition has a lane. */
  private take(): Item[] {
    for (;;) {
      const items = takeFrom(this.waiting, this.callMessages);
      if (this.lanes.size === 0 || items.length === 0) return items;
      const free: Item[] = [];
      for (const item of items) {
        if (this.lanes.has(this.laneOf(item))) this.defer(item);
        else free.push(item);
      }
      if (free.length > 0) return free;
    }
  }

  /** The lane where it would have to wait. What is not known to be of another partition waits with its whole topic. */
  private laneOf({ topic, record }: Item): string {
    const whole = `${topic}/*`;
    if (this.lanes.has(whole)) return whole;
    return `${topic}/${this.options.partitions.assign(topic, record) ?? '*'}`;
  }

  private defer(item: Item): void {
    const name = this.laneOf(item);
    const there = this.lanes.get(name);
    if (there !== undefined) return void there.items.push(item);
    const lane: Lane = { items: [item], callMessages: CALL_MESSAGES_MAX };
    this.lanes.set(name, lane);
    void this.workOff(name, lane);
  }

  /** Sends what is in a lane until nothing is left, also of what came meanwhile. */
  private async workOff(name: string, lane: Lane): Promise<void> {
    // What the failed call held comes in one turn, and goes together.
    await Promise.resolve();
    let backoffMs = BACKOFF_MIN_MS;
    for (let items = takeFrom(lane.items, lane.callMessages); items.length > 0;) {
      try {
        await this.send(items);
        lane.callMessages = Math.min(lane.callMessages * 2, CALL_MESSAGES_MAX);
        backoffMs = BACKOFF_MIN_MS;
      } catch (error) {
        if (this.fail(lane, items, this.options.faultOf(error))) {
          await pause(backoffMs, this.ended.signal);
          backoffMs = Math.min(backoffMs * 2, BACKOFF_MAX_MS);
          if (this.split(name, lane)) return;
        }
      }
      items = takeFrom(lane.items, lane.callMessages);
    }
    this.lanes.delete(name);
  }

  /** A call of one lane failed. Answers whether the next attempt has to wait. */
  private fail(lane: Lane, items: readonly Item[], fault: KafkaFault): boolean {
    if (fault.kind === 'too-large' && items.length > 1) {
      // It may be the call that is too large, or one message in it: halved until it is known.
      lane.callMessages = items.length >> 1;
      lane.items.unshift(...items);
      return false;
    }
    if (!fault.heals) {
      for (const { job } of items) this.end(job, () => job.reject(fault));
      return false;
    }
    this.note(items, fault);
    lane.items.unshift(...items);
    return true;
  }

  private note(items: readonly Item[], fault: KafkaFault): void {
    this.options.onRetry(fault);
    for (const { job } of items) job.lastFault = fault;
  }

  /** The lane of a whole topic becomes those of its partitions once they are known. */
  private split(name: string, { items }: Lane): boolean {
    if (!name.endsWith('/*')) return false;
    const { partitions } = this.options;
    if (items.some(({ topic, record }) => partitions.assign(topic, record) === undefined)) return false;
    this.lanes.delete(name);
    for (const item of items) this.defer(item);
    return true;
  }

  private async send(items: readonly Item[]): Promise<void> {
    const { producer } = this;
    try {
      await this.call(producer, items);
    } catch (error) {
      if (this.options.faultOf(error).kind === 'timeout' || error instanceof Unanswered) this.leave(producer);
      throw error;
    }
    for (const { job, message } of items) {
      job.onDurable(message);
      if (--job.left === 0) this.end(job, job.resolve);
    }
  }

  private async call(producer: Producer, items: readonly Item[]): Promise<void> {
    await this.connect();
    const topicMessages = [...Map.groupBy(items, ({ topic }) => topic)].map(([topic, ofTopic]): TopicMessages => ({
      topic,
      messages: ofTopic.map(({ record }) => record),
    }));
    const answers = await producer.sendBatch({ acks: -1, timeout: SEND_TIMEOUT_MS, topicMessages });
    assertAnswered(items, answers);
  }

  /** A client that asks a broker which does not answer where the others are asks it for ever; a new one may find another. */
  private leave(producer: Producer): void {
    if (producer !== this.producer || this.ended.signal.aborted) return;
    this.producer = this.options.create();
    this.connecting = undefined;
    void producer.disconnect().catch(() => undefined);
  }

  private async connect(): Promise<void> {
    this.connecting ??= this.producer.connect();
    try {
      await this.connecting;
    } catch (error) {
      this.connecting = undefined;
      throw error;
    }
  }
}

/** The client sent a call without some of its partitions, and said nothing. */
class Unanswered extends Error {
  override readonly name = 'Unanswered';
}

/** The client leaves out what its view of the cluster has no place for: without the partition's own answer nothing is believed. @throws Unanswered. */
const assertAnswered = (items: readonly Item[], answers: readonly RecordMetadata[]): void => {
  const answered = new Set(answers.map(({ topicName, partition }) => `${topicName}/${partition}`));
  const missing = items.find(({ topic, record }) => !answered.has(`${topic}/${record.partition}`));
  if (missing !== undefined)
    throw new Unanswered(`no broker answered for partition ${missing.record.partition} of ${missing.topic}`);
};

/** Takes what fits in a call from the front, and at least one; what nobody waits for any more is left out. */
const takeFrom = (queue: Item[], messagesMax: number): Item[] => {
  const taken: Item[] = [];
  let bytes = CALL_BYTES_MAX;
  let seen = 0;
  for (const item of queue) {
    if (!item.job.ended) {
      if (taken.length === messagesMax || (taken.length > 0 && item.bytes > bytes)) break;
      taken.push(item);
      bytes -= item.bytes;
    }
    seen++;
  }
  queue.splice(0, seen);
  return taken;
};

const HEADER_ROUGHLY = 64;

const sizeOf = ({ key, value, headers }: Message): number => {
  const headerBytes = headers === undefined ? 0 : Object.keys(headers).length * HEADER_ROUGHLY;
  return value.length + (key?.length ?? 0) + headerBytes + HEADER_ROUGHLY;
};
