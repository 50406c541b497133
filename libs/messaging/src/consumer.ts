import type { Batch, BusSubscribeOptions, ReceivedMessage } from './message-bus.js';
import { pause } from '@vafa/persistence';
import type { WakeUps } from './wake-ups.js';

/**
 * Partitions of a topic are served in so many lanes: the database works for one lane's page while the next lane's is parsed.
 * More lanes make more and smaller pages, which costs more than it brings on a few cores.
 */
const LANES = 2;
const POLL_MIN_MS = 50;
const POLL_MAX_MS = 250;
/** A lane without messages keeps its place now and then, so that nobody has to read past those of the other lanes again. */
const IDLE_COMMIT_DISTANCE = 5_000;
const REDELIVERY_MIN_MS = 100;
const REDELIVERY_MAX_MS = 5_000;

/** What a consumer needs of a log in partitions that share one order: its offsets are numbers that grow over all partitions of a topic. */
export interface PartitionLog {
  /** The first `limit` messages of these partitions in the log's order, each after the offset of its partition. */
  read(topic: string, after: ReadonlyMap<number, number>, limit: number): Promise<LogPage>;
  /** Keeps up to where the partitions are taken, unless one is further already. Rejects where they are no longer this consumer's. */
  commit(topic: string, partitions: readonly number[], offset: number): Promise<void>;
}

export type LogPage = {
  readonly messages: readonly ReceivedMessage[];
  /** The partitions were read up to here, also those without a message. */
  readonly upTo: number;
};

export type ConsumerOptions = BusSubscribeOptions & {
  readonly log: PartitionLog;
  readonly wakeUps: WakeUps;
  /** Told of what a handler threw; the page comes again. */
  readonly onError: (error: unknown) => void;
  /** Told once when reading or committing failed; the consumer is stale from then on. */
  readonly onFailure: (error: unknown) => void;
  /** The epoch of the consumer that this one follows. */
  readonly epoch: number;
};

/**
 * Takes the partitions it is given in pages: reads ahead, hands over, moves the offsets. Adapters say which partitions are whose
 * (`assign`, `revoke`) and when all of them are lost at once (`invalidate`).
 */
export class Consumer {
  private readonly lanes = new Map<string, Lane>();
  private readonly ended = new AbortController();
  private lost = false;
  private currentEpoch: number;

  constructor(readonly options: ConsumerOptions) {
    this.currentEpoch = options.epoch;
  }

  get epoch(): number {
    return this.currentEpoch;
  }

  get signal(): AbortSignal {
    return this.ended.signal;
  }

  isStale(): boolean {
    return this.lost;
  }

  /** Begins with partitions after the offsets that were kept for them. */
  assign(topic: string, offsets: ReadonlyMap<number, number>): void {
    if (offsets.size > 0) this.currentEpoch++;
    for (const [partition, offset] of offsets) this.lane(topic, partition).assign(partition, offset);
    this.options.wakeUps.notify(topic);
  }

  /** Gives partitions up: resolves when nothing of them is under way any more and their offsets are kept. */
  async revoke(topic: string, partitions: readonly number[]): Promise<void> {
    await Promise.all(partitions.map((partition) => this.lane(topic, partition).revoke(partition)));
  }

  /** The partitions of a topic that this consumer has. */
  owned(topic: string): number[] {
    return [...this.lanes.values()].filter((lane) => lane.topic === topic).flatMap((lane) => lane.owned());
  }

  /** The partitions belong to someone else from now on. */
  invalidate(): void {
    this.lost = true;
    this.ended.abort();
  }

  /** Stops taking in and resolves when what is under way is done. */
  async stop(): Promise<void> {
    this.ended.abort();
    await Promise.all([...this.lanes.values()].map((lane) => lane.done));
  }

  fail(error: unknown): void {
    if (this.lost) return;
    this.invalidate();
    this.options.onFailure(error);
  }

  private lane(topic: string, partition: number): Lane {
    const name = `${topic}/${partition % LANES}`;
    let lane = this.lanes.get(name);
    if (lane === undefined) this.lanes.set(name, (lane = new Lane(topic, this)));
    return lane;
  }
}

/** A partition as long as this consumer has it; having it again is another claim. */
type Claim = { readonly partition: number; cursor: number };
type Page = LogPage & { readonly claims: ReadonlyMap<number, Claim> };

class Lane {
  readonly done: Promise<void>;
  private readonly claims = new Map<number, Claim>();
  private underWay: Promise<unknown> = Promise.resolve();
  private emptyReads = 0;
  private committed = 0;

  constructor(
    readonly topic: string,
    private readonly consumer: Consumer,
  ) {
    this.done = this.run().catch((error: unknown) => consumer.fail(error));
  }

  assign(partition: number, offset: number): void {
    this.claims.set(partition, { partition, cursor: offset });
  }

  async revoke(partition: number): Promise<void> {
    this.claims.delete(partition);
    await this.underWay;
  }

  owned(): number[] {
    return [...this.claims.keys()];
  }

  private async run(): Promise<void> {
    const { signal } = this.consumer;
    let ahead: Promise<Page> | undefined;
    while (!signal.aborted) {
      const seen = this.consumer.options.wakeUps.version(this.topic);
      const page = await (ahead ?? this.read());
      ahead = undefined;
      if (page.messages.length === 0) {
        await this.keepPlace(page);
        await this.idle(seen);
        continue;
      }
      this.emptyReads = 0;
      // Reading ahead where little waits would fetch the few messages that came this moment: what comes while this page is worked off
      // is better taken together, since a page costs much the same whatever its size.
      if (page.messages.length >= this.consumer.options.pageSize) ahead = this.read();
      // It is awaited only after the page before it; should it fail before then, that is seen there.
      ahead?.catch(() => undefined);
      await this.deliver(page);
    }
    await ahead;
  }

  private idle(seen: number): Promise<void> {
    const milliseconds = Math.min(POLL_MIN_MS * 2 ** Math.min(this.emptyReads++, 8), POLL_MAX_MS);
    return this.consumer.options.wakeUps.wait(this.topic, seen, milliseconds, this.consumer.signal);
  }

  private async read(): Promise<Page> {
    const claims = new Map(this.claims);
    if (claims.size === 0) return { messages: [], upTo: 0, claims };
    const after = new Map([...claims.values()].map((claim) => [claim.partition, claim.cursor]));
    const { log, pageSize } = this.consumer.options;
    const { messages, upTo } = await log.read(this.topic, after, pageSize);
    for (const claim of claims.values()) claim.cursor = Math.max(claim.cursor, upTo);
    return { messages, upTo, claims };
  }

  private async keepPlace(page: Page): Promise<void> {
    if (page.upTo - this.committed < IDLE_COMMIT_DISTANCE) return;
    const { claims } = this.stillOurs(page);
    if (claims.size === 0) return;
    const kept = this.commit(claims, page.upTo);
    this.underWay = kept.catch(() => undefined);
    await kept;
  }

  private async commit(claims: ReadonlyMap<number, Claim>, position: number): Promise<void> {
    if (this.consumer.isStale()) return;
    await this.consumer.options.log.commit(this.topic, [...claims.keys()], position);
    this.committed = position;
  }

  /** Hands a page over until it is taken, without what was given up meanwhile. */
  private async deliver(page: Page): Promise<void> {
    const { signal } = this.consumer;
    for (let milliseconds = REDELIVERY_MIN_MS; ; milliseconds = Math.min(milliseconds * 2, REDELIVERY_MAX_MS)) {
      const ours = this.stillOurs(page);
      if (ours.messages.length === 0) return;
      const attempt = this.attempt(ours);
      this.underWay = attempt.catch(() => undefined);
      if (await attempt) return;
      await pause(milliseconds, signal);
      if (signal.aborted) return;
    }
  }

  private stillOurs({ messages, upTo, claims }: Page): Page {
    const ours = new Map([...claims].filter(([partition, claim]) => this.claims.get(partition) === claim));
    if (ours.size === claims.size) return { messages, upTo, claims };
    return { messages: messages.filter(({ partition }) => ours.has(partition)), upTo, claims: ours };
  }

  private async attempt({ messages, upTo, claims }: Page): Promise<boolean> {
    const { handler, onError } = this.consumer.options;
    try {
      await handler(this.batch(messages));
    } catch (error) {
      onError(error);
      return false;
    }
    await this.commit(claims, upTo);
    return true;
  }

  private batch(messages: readonly ReceivedMessage[]): Batch {
    const { consumer } = this;
    return {
      topic: this.topic,
      messages,
      epoch: consumer.epoch,
      // Whoever holds the partitions is known to live by other means, whatever its handlers do.
      heartbeat: () => Promise.resolve(),
      isStale: () => consumer.isStale(),
      signal: consumer.signal,
    };
  }
}
