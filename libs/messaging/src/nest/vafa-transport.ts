import { type CustomTransportStrategy, type MessageHandler, Server } from '@nestjs/microservices';
import type { Batch, MessageBus, Subscription } from '../message-bus.js';
import { DeadLettersFull, type DeadLetters, type LetterKind, type NewLetter } from '../dead-letters.js';
import type { Replay } from '../replay-header.js';
import { pause } from '@vafa/persistence';
import { callHandlers, type Callback } from './handler-call.js';
import type { Decode } from './inbound.js';
import { PageAbandoned, PageWorker } from './page-worker.js';
import { type Item, runsOf, sortPage } from './sorting.js';
import { inTrace, TRACE_HEADER } from '../trace-context.js';
import { StoppedPartitions } from '../stopped-partitions.js';

export type VafaTransportOptions = {
  readonly bus: MessageBus;
  readonly group: string;
  readonly topics: readonly string[];
  readonly decode: Decode;
  readonly deadLetters: DeadLetters;
  /** Messages a page at most; 2,000 unless told. */
  readonly pageSize?: number;
  /** Attempts at one message before it goes to the dead letters; 5 unless told. */
  readonly attemptsMax?: number;
  /** Pause after the first of them, which doubles; 100 unless told. */
  readonly backoffMs?: number;
  /** A handler that has not ended by then has failed; 30,000 unless told. */
  readonly handlerTimeoutMs?: number;
  /** Keys in flight at once for handlers that take one message at a time; 64 unless told. */
  readonly concurrencyMax?: number;
  /** Types on these topics that this service leaves alone. Any other type without a handler goes to the dead letters. */
  readonly ignoredTypes?: readonly string[];
  /**
   * Asks what handlers work with besides the database of the dead letters, once one of them ran out of time. It rejects, or does not answer
   * within 5 s, while that is away, and the message then keeps its attempts.
   */
  readonly areWell?: () => Promise<unknown>;
  /** Told of what went to the dead letters, for metrics and logs. */
  readonly onDeadLetters?: (letters: readonly { topic: string; kind: LetterKind; reason: string }[]) => void;
  /** Told once when partitions stop, since no further dead letter is kept. */
  readonly onStopped?: (error: DeadLettersFull) => void;
  /** Told of failures of handlers, also of those that are tried again; of the first few of a page. */
  readonly onError?: (error: unknown) => void;
};

const DEFAULTS = { pageSize: 2_000, attemptsMax: 5, backoffMs: 100, handlerTimeoutMs: 30_000, concurrencyMax: 64 };
const HEARTBEAT_INTERVAL_MS = 1_000;
/** What takes longer to answer is as good as away. */
const OTHERS_ANSWER_MS_MAX = 5_000;
/** The unit of everything that is handled one by one; no event type is empty. */
const ONE_BY_ONE = '';

type Listener = { readonly callbacks: Callback[]; readonly page: boolean };
type ParkedCache = { readonly epoch: number; readonly any: boolean };

/**
 * Nest's handlers on our bus. `@EventPattern(type)` gets one event at a time, in the order of its key; `@EventPattern(type, { page: true })`
 * gets an array of events, each key in its order. An offset moves once every handler of its page has ended, whatever form its answer has.
 *
 * A message that is not valid goes to the dead letters at once. One whose handler fails again and again goes there after its attempts, and
 * its key's later messages behind it. While something is merely away (a database, also one that does not answer; see `areWell`), the same page is tried
 * again until it is back.
 */
export class VafaTransport extends Server implements CustomTransportStrategy {
  override readonly propagatesEventHandlerErrors = true;
  private readonly settings: Required<Pick<VafaTransportOptions, keyof typeof DEFAULTS>>;
  private readonly listeners = new Map<string, Listener>();
  private readonly parkedCaches = new Map<string, ParkedCache>();
  private readonly ignored: ReadonlySet<string>;
  private readonly standing = new StoppedPartitions();
  private subscription: Subscription | undefined;
  private connected = false;
  /** How often letters were added: an answer that was on its way meanwhile is not to be remembered. */
  private parkings = 0;

  constructor(private readonly options: VafaTransportOptions) {
    super();
    this.settings = { ...DEFAULTS, ...definedOf(options) };
    this.ignored = new Set(options.ignoredTypes);
  }

  /** Called by `connectTransport`. */
  markConnected(): void {
    this.connected = true;
  }

  /** Several handlers of one type are kept beside each other: Nest's chain of them ends early where one gives no value. */
  override addHandler(
    pattern: string,
    callback: MessageHandler,
    isEventHandler = false,
    extras: { readonly page?: boolean } = {},
  ): void {
    const type = this.normalizePattern(pattern);
    if (!isEventHandler) throw new Error(`@MessagePattern('${type}'): the bus has no replies, use @EventPattern`);
    const page = extras.page === true;
    const listener = this.listeners.get(type);
    if (listener !== undefined && listener.page !== page)
      throw new Error(`the handlers of ${type} must all take pages, or none of them`);
    if (listener === undefined) this.listeners.set(type, { page, callbacks: [callback] });
    else listener.callbacks.push(callback);
    callback.isEventHandler = true;
    callback.extras = extras;
    this.messageHandlers.set(type, callback);
  }

  listen(callback: (error?: unknown) => void): void {
    this.open().then(
      () => callback(),
      (error: unknown) => callback(error),
    );
  }

  async close(): Promise<void> {
    await this.subscription?.close();
  }

  /** Partitions of this consumer that stand still, since no further dead letter is kept. */
  get stoppedPartitions(): number {
    return this.standing.size;
  }

  /** Messages not yet taken, per topic. */
  lag(): Promise<Map<string, number>> {
    return this.unwrap<Subscription>().lag();
  }

  override on(): never {
    throw new Error('this transport has no events of its own: see onError and onDeadLetters');
  }

  /** The subscription. @throws before the transport listens. */
  override unwrap<T>(): T {
    if (this.subscription === undefined) throw new Error('the transport does not listen yet');
    return this.subscription as T;
  }

  private async open(): Promise<void> {
    if (!this.connected) throw new Error('connect the transport with connectTransport(app, transport)');
    const { bus, group, topics } = this.options;
    const { pageSize } = this.settings;
    this.subscription = await bus.subscribe({ group, topics, pageSize, handler: (batch) => this.handle(batch) });
  }

  private async handle(batch: Batch): Promise<void> {
    const beat = setInterval(
      () => void batch.heartbeat().catch((error: unknown) => this.report(error)),
      HEARTBEAT_INTERVAL_MS,
    );
    try {
      await this.work(batch);
      this.standing.go(batch);
    } catch (error) {
      if (error instanceof DeadLettersFull && this.standing.stop(batch)) this.options.onStopped?.(error);
      throw error;
    } finally {
      clearInterval(beat);
    }
  }

  /** Every step may be the last before a crash: the page then comes again from its beginning, and finds what was kept. */
  private async work(batch: Batch): Promise<void> {
    const { items, letters, leftAlone } = sortPage(batch.messages, {
      group: this.options.group,
      decode: this.options.decode,
      replayOf: (message) => this.options.deadLetters.replayOf(message),
      isHandled: (type) => this.listeners.has(type),
      isIgnored: (type) => this.ignored.has(type),
    });
    await this.addLetters(batch, letters);
    const { live, behind } = await this.withoutParked(batch, await this.withoutVoid(items));
    // Before the others are worked off: where there is no room for what waits, they would be worked off again and again.
    await this.addLetters(batch, behind);
    const { letters: failed, replayed } = await this.workOff(batch, live);
    await this.addLetters(batch, failed);
    await this.options.deadLetters.settle([...leftAlone, ...replayed]);
  }

  private async workOff(batch: Batch, items: readonly Item[]): Promise<PageWorker> {
    const worker = new PageWorker({
      ...this.settings,
      batch,
      call: (called) => this.call(batch, called),
      areOthersWell: () => this.areOthersWell(batch),
      onError: (error) => this.report(error),
    });
    const unitOf = (type: string): string => (this.listeners.get(type)?.page === true ? type : ONE_BY_ONE);
    for (const run of runsOf(items, unitOf))
      await (run.unit === ONE_BY_ONE ? worker.handleEach(run.items) : worker.handlePages(run.items));
    if (batch.isStale()) throw new PageAbandoned('the partitions belong to someone else');
    return worker;
  }

  /** Whether the dead letters, whose database is mostly that of the handlers, and what else these work with answer. */
  private async areOthersWell({ topic }: Batch): Promise<boolean> {
    const { areWell, deadLetters, group } = this.options;
    const waiting = new AbortController();
    const answered = Promise.all([deadLetters.anyParked(group, topic), areWell?.()]).then(
      () => true,
      () => false,
    );
    const silent = pause(OTHERS_ANSWER_MS_MAX, waiting.signal).then(() => false);
    return Promise.race([answered, silent]).finally(() => waiting.abort());
  }

  private async call(batch: Batch, items: readonly Item[]): Promise<void> {
    const [first] = items;
    const listener = first && this.listeners.get(first.event.type);
    if (first === undefined || listener === undefined) return;
    const payload = listener.page ? items.map(({ event }) => event) : first.event;
    const { handlerTimeoutMs } = this.settings;
    const call = (): Promise<void> => callHandlers(listener.callbacks, payload, items, batch, handlerTimeoutMs);
    // A page belongs to as many traces as it has messages, and so to none: its events name theirs.
    await (items.length === 1 ? inTrace(first.message.headers[TRACE_HEADER], call) : call());
  }

  private async addLetters(batch: Batch, letters: readonly NewLetter[]): Promise<void> {
    if (letters.length === 0) return;
    await this.options.deadLetters.add(this.options.group, letters);
    this.parkings++;
    this.parkedCaches.delete(batch.topic);
    this.options.onDeadLetters?.(letters.map(({ message: { topic }, kind, reason }) => ({ topic, kind, reason })));
  }

  /** Without copies of letters that are settled by now, and without second copies. */
  private async withoutVoid(items: readonly Item[]): Promise<readonly Item[]> {
    const replays = items.flatMap(({ replay }) => replay ?? []);
    if (replays.length === 0) return items;
    const awaited = await this.options.deadLetters.awaited(replays);
    const seen = new Set<string>();
    return items.filter(({ replay }) => {
      if (replay === undefined) return true;
      const place = `${replay.letterId} ${replay.round}`;
      const isFirst = !seen.has(place);
      seen.add(place);
      return isFirst && awaited.has(replay.letterId);
    });
  }

  /** Takes out what has to wait behind a parked key, and copies of replays that are void. */
  private async withoutParked(batch: Batch, items: readonly Item[]): Promise<{ live: Item[]; behind: NewLetter[] }> {
    const { group, deadLetters } = this.options;
    const keyed = (await this.anyParked(batch))
      ? await deadLetters.parkedKeys(group, batch.topic, [
          ...new Set(items.flatMap(({ message: { key } }) => key ?? [])),
        ])
      : new Map<string, never>();
    const live: Item[] = [];
    const behind: NewLetter[] = [];
    for (const item of items) {
      const { message, replay } = item;
      const parked = message.key === null ? undefined : keyed.get(message.key);
      const inRound = replay !== undefined && replay.round > 0;
      if (parked === undefined ? !inRound : parked.state === 'replaying' && replay?.round === parked.round)
        live.push(item);
      else if (parked !== undefined && !isVoid(replay, parked))
        behind.push({ message, replay, kind: 'behind', reason: 'an earlier message of its key failed' });
    }
    return { live, behind };
  }

  /** Within an epoch nobody else parks keys of these partitions, so that none found once holds until we park one. */
  private async anyParked(batch: Batch): Promise<boolean> {
    const cached = this.parkedCaches.get(batch.topic);
    if (cached?.epoch === batch.epoch && !cached.any) return false;
    const { parkings } = this;
    const any = await this.options.deadLetters.anyParked(this.options.group, batch.topic);
    if (parkings === this.parkings) this.parkedCaches.set(batch.topic, { epoch: batch.epoch, any });
    return any;
  }

  private report(error: unknown): void {
    this.options.onError?.(error);
  }
}

/** A copy of an earlier round while a later one is under way: that one has it again. */
const isVoid = (replay: Replay | undefined, parked: { readonly state: string; readonly round: number }): boolean =>
  replay !== undefined && replay.round > 0 && parked.state === 'replaying' && replay.round !== parked.round;

const definedOf = (options: VafaTransportOptions): Partial<typeof DEFAULTS> => {
  const names = Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[];
  return Object.fromEntries(names.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])));
};
