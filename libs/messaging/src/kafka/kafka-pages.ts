import { createHash } from 'node:crypto';
import { isUtf8 } from 'node:buffer';
import type { EachBatchPayload, IHeaders, KafkaMessage } from 'kafkajs';
import { pause } from '@vafa/persistence';
import { KEY_BYTES_MAX, type Batch, type ReceivedMessage } from '../message-bus.js';
import type { Generation } from './kafka-membership.js';

/** Pages of a topic under way at once: the database works for one while the next is parsed. More make smaller pages, which cost more. */
const LANES = 2;
const REDELIVERY_MIN_MS = 100;
const REDELIVERY_MAX_MS = 5_000;
const COMMIT_ATTEMPTS_MAX = 4;
const COMMIT_PAUSE_MS = 100;

export type PagesOptions = {
  readonly pageSize: number;
  readonly handler: (batch: Batch) => Promise<void>;
  readonly onError: (error: unknown) => void;
  readonly generation: () => Generation;
  readonly internal: (topic: string) => string;
};

/** What the client fetched of one partition, and how far it is taken. */
type Fetched = {
  readonly payload: EachBatchPayload;
  readonly messages: readonly KafkaMessage[];
  /** Under which it was fetched. */
  readonly generation: Generation;
  taken: number;
  readonly settle: PromiseWithResolvers<void>;
};

/** A part of a page: messages of one partition, up to but without `end`. */
type Slice = { readonly fetched: Fetched; readonly end: number };

/**
 * Makes pages of what the client fetched: partitions that come together are handed over together, since a page costs much the same whatever its size.
 * A partition is fetched again only when its promise has settled, so that it never has two pages at once.
 */
export class Pages {
  private readonly lanes = new Map<string, Lane>();
  private readonly resumes = new Set<NodeJS.Timeout>();

  constructor(readonly options: PagesOptions) {}

  /** Messages of one partition; resolves when they are taken or given back, rejects with what the client has to know. */
  add(payload: EachBatchPayload): Promise<void> {
    const { topic, partition, messages } = payload.batch;
    const generation = this.options.generation();
    if (!generation.has(topic, partition)) return Promise.resolve();
    const name = `${topic}/${partition % LANES}`;
    let lane = this.lanes.get(name);
    if (lane === undefined) this.lanes.set(name, (lane = new Lane(this, this.options.internal(topic))));
    return lane.add({ payload, messages, generation, taken: 0, settle: Promise.withResolvers() });
  }

  /** True while a page is under way. */
  isBusy(): boolean {
    return [...this.lanes.values()].some((lane) => lane.isBusy());
  }

  /** Lets a partition rest, while others go on; what was not resolved of it comes again. */
  rest({ payload }: Fetched, milliseconds: number): void {
    const resume = payload.pause();
    const timer = setTimeout(() => {
      this.resumes.delete(timer);
      resume();
    }, milliseconds);
    this.resumes.add(timer);
  }

  close(): void {
    for (const timer of this.resumes) clearTimeout(timer);
  }
}

class Lane {
  private waiting: Fetched[] = [];
  private running: Promise<void> | undefined;
  /**
   * How long those partitions rest whose last page failed, if it fails again. They are taken alone until it does not: what stands in the way of one
   * is no reason to hold up the others of its page.
   */
  private readonly restsMs = new Map<number, number>();

  constructor(
    private readonly pages: Pages,
    private readonly topic: string,
  ) {}

  add(fetched: Fetched): Promise<void> {
    this.waiting.push(fetched);
    this.running ??= this.run();
    return fetched.settle.promise;
  }

  isBusy(): boolean {
    return this.running !== undefined;
  }

  private async run(): Promise<void> {
    try {
      // What one answer of a broker brought is added in one turn, and goes together.
      await Promise.resolve();
      while (this.waiting.length > 0) {
        const over = this.waiting.filter(({ generation }) => isOver(generation));
        if (over.length > 0) this.giveBack(over);
        else await this.work(this.take());
      }
    } catch (error) {
      this.pages.options.onError(error);
      for (const { settle } of this.waiting.splice(0)) settle.reject(error);
    }
    this.running = undefined;
  }

  private take(): Slice[] {
    const [first] = this.waiting;
    const alone = first !== undefined && this.restsMs.has(partitionOf(first));
    const together = alone ? [first] : this.waiting.filter((fetched) => !this.restsMs.has(partitionOf(fetched)));
    const slices: Slice[] = [];
    let room = this.pages.options.pageSize;
    for (const fetched of together) {
      const count = Math.min(room, fetched.messages.length - fetched.taken);
      slices.push({ fetched, end: fetched.taken + count });
      room -= count;
      if (room === 0) break;
    }
    return slices;
  }

  private async work(slices: readonly Slice[]): Promise<void> {
    const [first] = slices;
    if (first === undefined) return;
    const { handler, onError } = this.pages.options;
    const { generation } = first.fetched;
    try {
      await handler(this.batch(slices, generation));
    } catch (error) {
      // What was given up because others have the partitions by now is no failure: they have it under way.
      if (!isOver(generation)) onError(error);
      return this.failed(slices, generation);
    }
    for (const { fetched } of slices) this.restsMs.delete(partitionOf(fetched));
    if (await this.commit(slices, generation)) this.advance(slices);
    else this.giveBack(this.waiting.filter((fetched) => fetched.generation === generation));
  }

  /** The page comes again after a while, before anything later of its partitions: first each of them for itself, to see which it is. */
  private failed(slices: readonly Slice[], generation: Generation): void {
    const failed = slices.map(({ fetched }) => fetched);
    const [first] = failed;
    if (first === undefined) return;
    if (isOver(generation)) return this.giveBack(failed);
    if (failed.length > 1) return failed.forEach((one) => void this.restsMs.set(partitionOf(one), REDELIVERY_MIN_MS));
    const restMs = this.restsMs.get(partitionOf(first)) ?? REDELIVERY_MIN_MS;
    this.restsMs.set(partitionOf(first), Math.min(restMs * 2, REDELIVERY_MAX_MS));
    this.pages.rest(first, restMs);
    this.giveBack(failed);
  }

  private advance(slices: readonly Slice[]): void {
    for (const { fetched, end } of slices) {
      fetched.taken = end;
      const last = fetched.messages[end - 1];
      if (last !== undefined) fetched.payload.resolveOffset(last.offset);
      if (end === fetched.messages.length) fetched.settle.resolve();
    }
    this.waiting = this.waiting.filter(({ taken, messages }) => taken < messages.length);
  }

  /** Gives the rest of what was fetched back to the client: it is fetched again, by whoever has the partition then. */
  private giveBack(given: readonly Fetched[]): void {
    for (const fetched of given) {
      const { settle, generation } = fetched;
      const { reason } = generation;
      // The client has yet to learn that its group has given it up, and would bring the same at once.
      if (reason === undefined && generation.isStale()) this.pages.rest(fetched, REDELIVERY_MIN_MS);
      if (reason === undefined) settle.resolve();
      else settle.reject(reason);
    }
    const gone = new Set(given);
    this.waiting = this.waiting.filter((fetched) => !gone.has(fetched));
  }

  /** Answers false where the offsets could not be kept: the generation is over then. */
  private async commit(slices: readonly Slice[], generation: Generation): Promise<boolean> {
    const [first] = slices;
    if (first === undefined) return true;
    const { payload } = first.fetched;
    const partitions = slices.map(({ fetched, end }) => offsetAfter(fetched, end));
    const offsets = { topics: [{ topic: payload.batch.topic, partitions }] };
    for (let attempt = 1; ; attempt++) {
      // The client commits in the name of the generation that it is in, whatever the page was fetched under.
      if (generation.isLost()) return false;
      try {
        await payload.commitOffsetsIfNecessary(offsets);
        generation.heard();
        return !generation.isLost();
      } catch (error) {
        if (generation.failed(error)) return false;
        this.pages.options.onError(error);
        if (attempt === COMMIT_ATTEMPTS_MAX) {
          generation.leave(error);
          return false;
        }
      }
      await pause(COMMIT_PAUSE_MS * 2 ** attempt, NEVER);
    }
  }

  private batch(slices: readonly Slice[], generation: Generation): Batch {
    const { topic } = this;
    const [first] = slices;
    return {
      topic,
      messages: slices.flatMap(({ fetched, end }) => {
        const { partition } = fetched.payload.batch;
        return fetched.messages.slice(fetched.taken, end).map((message) => received(topic, partition, message));
      }),
      epoch: generation.epoch,
      heartbeat: () => beat(first?.fetched.payload, generation),
      isStale: () => generation.isStale(),
      signal: generation.signal,
    };
  }
}

const isOver = (generation: Generation): boolean => generation.signal.aborted || generation.isStale();

const partitionOf = ({ payload }: Fetched): number => payload.batch.partition;

/** That the group gathers, or has gone on, is seen by the page's end. */
const beat = async (payload: EachBatchPayload | undefined, generation: Generation): Promise<void> => {
  try {
    await payload?.heartbeat();
  } catch (error) {
    if (!generation.failed(error)) throw error;
  }
};

const NEVER = new AbortController().signal;

/** Behind the last message of a fetch may stand marks of transactions, which nobody sees: they are passed over with it. */
const offsetAfter = ({ payload: { batch }, messages }: Fetched, end: number): { partition: number; offset: string } => {
  const last = end === messages.length ? batch.lastOffset() : (messages[end - 1]?.offset ?? '0');
  return { partition: batch.partition, offset: String(BigInt(last) + 1n) };
};

const NO_BYTES = Buffer.alloc(0);
const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

const received = (topic: string, partition: number, message: KafkaMessage): ReceivedMessage => ({
  topic,
  partition,
  offset: message.offset,
  key: keyOf(message.key),
  value: message.value ?? NO_BYTES,
  headers: headersOf(message.headers),
});

/**
 * Others publish as well, and a key of theirs may be anything. What no text column holds, or is longer than ours, is known by its hash: the same
 * key is the same text, which is all that order needs.
 */
const keyOf = (key: Buffer | null): string | null => {
  if (key === null || key === undefined) return null;
  if (key.length <= KEY_BYTES_MAX && !key.includes(0) && isUtf8(key)) return key.toString();
  return `sha256:${createHash('sha256').update(key).digest('hex')}`;
};

/** Values are bytes; of a name that comes more than once the last one holds, as Kafka's own clients have it. */
const headersOf = (headers: IHeaders | undefined): Readonly<Record<string, string>> => {
  const entries = Object.entries(headers ?? {});
  if (entries.length === 0) return NO_HEADERS;
  return Object.fromEntries(
    entries.flatMap(([name, value]) => {
      const last = Array.isArray(value) ? value.at(-1) : value;
      return last === undefined || last === null ? [] : [[name, last.toString()] as const];
    }),
  );
};
