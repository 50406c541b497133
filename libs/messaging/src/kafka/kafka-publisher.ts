import { pause } from '@vafa/persistence';
import type { Producer, TopicMessages } from 'kafkajs';
import type { Message } from '../message-bus.js';
import { KafkaFault } from './kafka-faults.js';

/** A call of 500 costs little more than one of 1, and bigger ones bring nothing. */
const CALL_MESSAGES_MAX = 500;
/** What goes to one partition in a call is one batch to the broker, which takes a mebibyte of it by default. */
const CALL_BYTES_MAX = 768 * 1_024;
/** What may wait in memory for brokers that are away. */
const WAITING_BYTES_MAX = 64 * 1_024 * 1_024;
const BACKOFF_MIN_MS = 50;
const BACKOFF_MAX_MS = 1_000;
const SEND_TIMEOUT_MS = 10_000;

type Job = {
  readonly messages: readonly Message[];
  /** How many of its messages are durable. */
  sent: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
  ended: boolean;
  lastFault: KafkaFault | undefined;
};

/** Some messages of one job that go in a call. */
type Part = { readonly job: Job; readonly count: number };

export type PublisherOptions = {
  /** A client's producer that does not try again by itself. */
  readonly producer: Producer;
  readonly external: (topic: string) => string;
  readonly faultOf: (error: unknown) => KafkaFault;
  /** What has not been acknowledged by then is rejected; its outcome is unknown. */
  readonly deadlineMs: number;
  /** Told of every call that has to be sent again. */
  readonly onRetry: (fault: KafkaFault) => void;
};

/**
 * Sends what gathered while the call before it was under way, in the order in which it was asked for. A call that fails in any part is sent
 * again as a whole: the client's own repetition takes for acknowledged what it skipped when a leader moves (tulios/kafkajs#1798).
 */
export class KafkaPublisher {
  private readonly waiting: Job[] = [];
  private readonly ended = new AbortController();
  private waitingBytes = 0;
  private running: Promise<void> | undefined;
  private callMessages = CALL_MESSAGES_MAX;
  private connected = false;

  constructor(private readonly options: PublisherOptions) {}

  /** Resolves when every message is in every copy that the topic asks for. @throws KafkaFault. */
  publish(messages: readonly Message[]): Promise<void> {
    if (messages.length === 0) return Promise.resolve();
    const bytes = messages.reduce((sum, message) => sum + sizeOf(message), 0);
    if (this.waitingBytes > 0 && this.waitingBytes + bytes > WAITING_BYTES_MAX)
      return Promise.reject(
        new KafkaFault('timeout', 'more messages wait for Kafka than fit in memory', true, undefined),
      );
    this.waitingBytes += bytes;
    const done = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => this.expire(job), this.options.deadlineMs);
      const job: Job = { messages, sent: 0, resolve, reject, timer, ended: false, lastFault: undefined };
      this.waiting.push(job);
      this.running ??= this.run();
    });
    return done.finally(() => (this.waitingBytes -= bytes));
  }

  /** Resolves when nothing waits any more, at the latest when the last deadline has passed. */
  async close(): Promise<void> {
    while (this.running !== undefined) await this.running;
    this.ended.abort();
    await this.options.producer.disconnect();
  }

  private expire(job: Job): void {
    const { deadlineMs, faultOf } = this.options;
    const cause = job.lastFault ?? faultOf(new Error(`no acknowledgement before the deadline of ${deadlineMs} ms`));
    this.end(job, () => job.reject(cause));
  }

  private end(job: Job, tell: () => void): void {
    if (job.ended) return;
    job.ended = true;
    clearTimeout(job.timer);
    tell();
  }

  private async run(): Promise<void> {
    // Calls made in the same turn go together.
    await Promise.resolve();
    let backoffMs = BACKOFF_MIN_MS;
    for (let parts = this.take(); parts.length > 0; parts = this.take()) {
      try {
        await this.send(parts);
        backoffMs = BACKOFF_MIN_MS;
      } catch (error) {
        if (this.fail(parts, this.options.faultOf(error))) continue;
        await pause(backoffMs, this.ended.signal);
        backoffMs = Math.min(backoffMs * 2, BACKOFF_MAX_MS);
      }
    }
    this.running = undefined;
  }

  /** The next messages of those who still wait. */
  private take(): Part[] {
    while (this.waiting[0]?.ended === true) this.waiting.shift();
    const parts: Part[] = [];
    let room = this.callMessages;
    let bytes = CALL_BYTES_MAX;
    for (const job of this.waiting) {
      if (job.ended) continue;
      let count = 0;
      for (let at = job.sent; at < job.messages.length && room > 0; at++, count++, room--) {
        const size = sizeOf(job.messages[at]);
        if (size > bytes && room < this.callMessages) return count > 0 ? [...parts, { job, count }] : parts;
        bytes -= size;
      }
      if (count > 0) parts.push({ job, count });
      if (room === 0) break;
    }
    return parts;
  }

  private async send(parts: readonly Part[]): Promise<void> {
    const { producer, external } = this.options;
    if (!this.connected) {
      await producer.connect();
      this.connected = true;
    }
    const messages = parts.flatMap(({ job, count }) => job.messages.slice(job.sent, job.sent + count));
    const topicMessages = [...Map.groupBy(messages, ({ topic }) => topic)].map(([topic, ofTopic]): TopicMessages => ({
      topic: external(topic),
      messages: ofTopic.map(({ key, value, headers }) => ({ key, value, ...(headers && { headers: { ...headers } }) })),
    }));
    await producer.sendBatch({ acks: -1, timeout: SEND_TIMEOUT_MS, topicMessages });
    this.callMessages = Math.min(this.callMessages * 2, CALL_MESSAGES_MAX);
    for (const { job, count } of parts) {
      job.sent += count;
      if (job.sent === job.messages.length) this.end(job, job.resolve);
    }
  }

  /** Answers true where the next attempt need not wait. */
  private fail(parts: readonly Part[], fault: KafkaFault): boolean {
    const count = parts.reduce((sum, part) => sum + part.count, 0);
    if (fault.kind === 'too-large' && count > 1) {
      // It may be the call that is too large, or one message in it: halved until it is known.
      this.callMessages = Math.max(1, count >> 1);
      return true;
    }
    if (!fault.heals) {
      for (const { job } of parts) this.end(job, () => job.reject(fault));
      return true;
    }
    this.options.onRetry(fault);
    for (const { job } of parts) job.lastFault = fault;
    return false;
  }
}

const HEADER_ROUGHLY = 64;

const sizeOf = (message: Message | undefined): number => {
  if (message === undefined) return 0;
  const headers = message.headers === undefined ? 0 : Object.keys(message.headers).length * HEADER_ROUGHLY;
  return message.value.length + (message.key?.length ?? 0) + headers + HEADER_ROUGHLY;
};
