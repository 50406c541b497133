import type { EventStoreDBClient } from '@eventstore/db-client';
import { pause } from '@vafa/persistence';
import type {
  AppendOutcome,
  EventStore,
  LogPage,
  NewEvent,
  Position,
  Revision,
  StoredEvent,
  SubscribeOptions,
} from '../event-store.js';
import { checkAppend, checkLoad, checkRead, checkStreamId, checkSubscribe } from '../limits.js';
import { Appender, QUEUE_BYTES_MAX } from './appender.js';
import type { AppendDone } from './appender.js';
import { connectionStringFault } from './connection-string.js';
import { Deadlines } from './deadlines.js';
import { DeadlineExceededError, SETTING, deletedStream, explained, kindOf } from './failures.js';
import { HIGH_WATER_MARK, LogSubscription } from './log-subscription.js';
import { fromWire, wirePosition } from './wire-form.js';
import type { WireEvent, WirePosition } from './wire-form.js';

type Client = typeof import('@eventstore/db-client');

export type EventStoreDbOptions = {
  /** The connection string, `esdb://…` or `esdb+discover://…`. */
  readonly url: string;
  /** How long one call is waited for, in milliseconds. */
  readonly callDeadlineMs?: number;
  /** How long a call that fails for a passing reason is tried again, in milliseconds. */
  readonly retryForMs?: number;
  /** Appends that are under way at once. */
  readonly inFlightMax?: number;
  /** Bytes of appends that are under way or wait; one beyond it is refused, and may be tried again later. */
  readonly queueBytesMax?: number;
  /** After each append. */
  readonly onAppend?: (done: AppendDone) => void;
  /** Before a call is tried again, and where a subscription that was too slow is taken up again. */
  readonly onRetry?: (error: unknown) => void;
};

const CALL_DEADLINE_MS = 10_000;
const RETRY_FOR_MS = 15_000;
export const IN_FLIGHT_MAX = 256;
/** Streams that one load reads at once: more only make Node's one core queue them. */
const STREAMS_AT_ONCE_MAX = 16;
const BACKOFF_MS_MIN = 50;
const BACKOFF_MS_MAX = 1_000;
/** Events that the server looks through at a time for a filtered subscription: its default of 32 is several times slower. */
const SEARCH_WINDOW = 1_000;
/** The first version that tells a reader when it has caught up. */
const VERSION_MIN = [23, 10] as const;

/**
 * The event store in EventStoreDB. The text of events is kept as bytes, to the letter; the server's time of recording has milliseconds. One
 * client a process: the client's appends under way are known process-wide, and one that is closed fails those of all.
 */
export class EventStoreDbEventStore implements EventStore {
  private readonly closing = new AbortController();
  private readonly appender: Appender;
  /** Whether the client was let go of, which ends its reads as if they had come to their end. */
  private isDisposed = false;

  private constructor(
    private readonly api: Client,
    private readonly client: EventStoreDBClient,
    private readonly options: Required<Pick<EventStoreDbOptions, 'callDeadlineMs' | 'retryForMs'>> &
      EventStoreDbOptions,
    head: WirePosition | null,
  ) {
    this.appender = new Appender({
      client,
      read: (streamId, from, limit) => this.readOnce(streamId, from, limit),
      head,
      callDeadlineMs: options.callDeadlineMs,
      retryForMs: options.retryForMs,
      inFlightMax: options.inFlightMax ?? IN_FLIGHT_MAX,
      queueBytesMax: options.queueBytesMax ?? QUEUE_BYTES_MAX,
      onAppend: options.onAppend,
      onRetry: options.onRetry,
    });
  }

  /** Connects, and looks whether the server is one to work with. @throws with a sentence that names the setting. */
  static async connect(options: EventStoreDbOptions): Promise<EventStoreDbEventStore> {
    const fault = connectionStringFault(options.url);
    if (fault !== undefined) throw new Error(`${SETTING} is not a connection string of EventStoreDB: ${fault}`);
    // Only who uses it pays for loading it.
    const api = await import('@eventstore/db-client');
    const client = openClient(api, options.url);
    const settings = {
      ...options,
      callDeadlineMs: options.callDeadlineMs ?? CALL_DEADLINE_MS,
      retryForMs: options.retryForMs ?? RETRY_FOR_MS,
    };
    try {
      const retry = { ...settings, signal: new AbortController().signal };
      const head = await trying(() => headOf(api, client, settings.callDeadlineMs), retry);
      await trying(() => learnFeatures(client, settings.callDeadlineMs), retry);
      return new EventStoreDbEventStore(api, client, settings, head);
    } catch (error) {
      await client.dispose();
      throw explained(error);
    }
  }

  /** Appends that have not been answered yet; for metrics. */
  get appendsPending(): number {
    return this.appender.size;
  }

  async append(streamId: string, expected: Revision, events: readonly NewEvent[]): Promise<AppendOutcome> {
    // An invalid append would fail every other one of the process.
    const bytes = checkAppend(streamId, expected, events);
    checkOwn(streamId);
    return this.appender.append(streamId, expected, events, bytes);
  }

  async load(streamIds: readonly string[], after?: ReadonlyMap<string, Revision>): Promise<Map<string, StoredEvent[]>> {
    checkLoad(streamIds);
    const found = new Map<string, StoredEvent[]>();
    const open = new Set(streamIds).values();
    const worker = async (): Promise<void> => {
      for (const streamId of open) {
        const from = (after?.get(streamId) ?? -1) + 1;
        const events = await this.trying(() => this.readOnce(streamId, from, Infinity));
        if (events.length > 0) found.set(streamId, events);
      }
    };
    await Promise.all(Array.from({ length: STREAMS_AT_ONCE_MAX }, worker));
    return found;
  }

  async read(streamId: string, from: Revision, limit: number): Promise<StoredEvent[]> {
    checkStreamId(streamId);
    checkRead(from, limit);
    return this.trying(() => this.readOnce(streamId, from, limit));
  }

  async *subscribe(options: SubscribeOptions): AsyncGenerator<LogPage, void, undefined> {
    checkSubscribe(options);
    const signal = AbortSignal.any([options.signal, this.closing.signal]);
    let after = options.after;
    while (!signal.aborted) {
      const log = await this.follow(options, after, signal);
      try {
        yield* log.pages();
        return;
      } catch (error) {
        if (!isTooSlow(error)) throw explained(error);
        // What was given is what was read: from there it is taken up again, now as one that catches up.
        after = log.position;
        this.options.onRetry?.(error);
      }
    }
  }

  async ping(): Promise<void> {
    try {
      await headOf(this.api, this.client, this.options.callDeadlineMs);
    } catch (error) {
      throw explained(error);
    }
  }

  async close(): Promise<void> {
    this.closing.abort();
    await this.appender.close();
    this.isDisposed = true;
    await this.client.dispose();
  }

  private async follow(
    options: SubscribeOptions,
    after: Position | null,
    signal: AbortSignal,
  ): Promise<LogSubscription> {
    const { streamNameFilter, START } = this.api;
    const from = after === null ? null : wirePosition(after);
    const head = await this.trying(() => headOf(this.api, this.client, this.options.callDeadlineMs));
    if (from !== null && from.commit > (head?.commit ?? 0n))
      throw new Error(
        `the log of EventStoreDB ends before the position ${after} up to which it was read: ` +
          `${SETTING} names another server than before, or one that an older backup was restored to`,
      );
    // The handler is given before there is anything to hand over to.
    const late: { log?: LogSubscription } = {};
    const searching = {
      maxSearchWindow: SEARCH_WINDOW,
      checkpointReached: async (_subscription: unknown, position: WirePosition) => late.log?.checkpoint(position),
    };
    const { prefix } = options;
    const filter =
      prefix === ''
        ? streamNameFilter({ regex: NOT_SYSTEM, ...searching })
        : streamNameFilter({ prefixes: [prefix], ...searching });
    const subscription = this.client.subscribeToAll(
      { fromPosition: from ?? START, filter, requiresLeader: true },
      { highWaterMark: Math.max(HIGH_WATER_MARK, options.pageSize) },
    );
    const until = options.until === undefined ? null : wirePosition(options.until);
    const ownOnly = prefix === '';
    const { pageSize } = options;
    const confirmWithinMs = this.options.callDeadlineMs;
    const shape = { after: from, until, head, pageSize, confirmWithinMs, ownOnly };
    late.log = new LogSubscription({ subscription, ...shape, signal });
    return late.log;
  }

  private async readOnce(streamId: string, from: Revision, limit: number): Promise<StoredEvent[]> {
    const stream = this.client.readStream(streamId, {
      fromRevision: BigInt(from),
      requiresLeader: true,
      ...(limit !== Infinity && { maxCount: limit }),
    });
    try {
      const events = (await collect(stream, this.options.callDeadlineMs)).map(fromWire);
      if (this.isDisposed) throw new Error('the event store was closed while it read');
      const first = events[0]?.revision ?? from;
      if (first !== from) throw deletedStream(streamId);
      return events;
    } catch (error) {
      const kind = kindOf(error);
      if (kind === 'not-found') return [];
      throw kind === 'deleted' ? deletedStream(streamId, error) : error;
    }
  }

  private trying<T>(work: () => Promise<T>): Promise<T> {
    if (this.closing.signal.aborted) return Promise.reject(new Error('the event store is closed'));
    return trying(work, { ...this.options, signal: this.closing.signal });
  }
}

const openClient = (api: Client, url: string): EventStoreDBClient => {
  try {
    return guarded(api.EventStoreDBClient.connectionString(url));
  } catch (error) {
    // The client's own words quote the string. Its files and options are named by what it expected.
    const words = error instanceof Error && !('connectionString' in error) ? error.message : 'it cannot be read';
    throw new Error(`${SETTING} is not a connection string of EventStoreDB: ${words}`);
  }
};

type ClientStream = NodeJS.EventEmitter & { write?: (message: unknown) => boolean };
type StreamCreator = (...call: readonly unknown[]) => () => Promise<ClientStream>;

/**
 * Guards the client (6.2.1) against two ways in which it ends the process. Where its connection is full it lets appends wait in a queue of its own,
 * and where the connection then breaks their failures are rejections that nobody handles: so its streams never ask it to wait, and what is under
 * way is bounded by the appender instead. And an error of one batch stream makes it forget the appends of every other one, of any client in the
 * process: an answer to one of those throws where it is taken in. It is let go; the appender has been told of a failure and finds out.
 */
const guarded = (client: EventStoreDBClient): EventStoreDBClient => {
  const inner = client as unknown as { GRPCStreamCreator: StreamCreator };
  const create = inner.GRPCStreamCreator;
  const patched = new WeakSet<object>();
  inner.GRPCStreamCreator = (...call) => {
    const open = create(...call);
    return async () => {
      const stream = await open();
      const write = stream.write?.bind(stream);
      if (write === undefined || patched.has(stream)) return stream;
      patched.add(stream);
      stream.write = (message) => {
        write(message);
        return true;
      };
      letGoOfUnknownAnswers(stream);
      return stream;
    };
  };
  return client;
};

const letGoOfUnknownAnswers = (stream: ClientStream): void => {
  for (const listener of stream.listeners('data')) {
    const lenient = (answer: unknown): void => {
      try {
        listener.call(stream, answer);
      } catch {
        // Whoever waits for this append has been told already, or is by its deadline.
      }
    };
    // In this order: a stream that loses its last listener stops flowing.
    stream.on('data', lenient);
    stream.off('data', listener as (answer: unknown) => void);
  }
};

/** The server's own streams begin with it; nothing of ours may stand among them. */
const SYSTEM = '$';
const NOT_SYSTEM = '^[^$]';

const checkOwn = (streamId: string): void => {
  if (streamId.startsWith(SYSTEM)) throw new RangeError(`a stream id does not begin with ${SYSTEM}`);
};

type Retry = {
  readonly retryForMs: number;
  readonly onRetry?: ((error: unknown) => void) | undefined;
  readonly signal: AbortSignal;
};

/** Reads again while the reason is a passing one. @throws what stands for it in the port, with a sentence. */
const trying = async <T>(work: () => Promise<T>, { retryForMs, onRetry, signal }: Retry): Promise<T> => {
  const started = performance.now();
  for (let backoffMs = BACKOFF_MS_MIN; ; backoffMs = Math.min(backoffMs * 2, BACKOFF_MS_MAX)) {
    try {
      return await work();
    } catch (error) {
      const isLate = performance.now() - started + backoffMs > retryForMs;
      if (kindOf(error) !== 'passing' || isLate || signal.aborted) throw explained(error);
      onRetry?.(error);
    }
    await pause(backoffMs * (0.5 + Math.random() / 2), signal);
  }
};

type EventReader = AsyncIterable<unknown> & { cancel(): Promise<void> };

/** Everything that a read answers with. The client has no deadline for it: silence of that length is taken for one. */
const collect = async (reader: EventReader & NodeJS.EventEmitter, silenceMs: number): Promise<WireEvent[]> => {
  const events: WireEvent[] = [];
  const timer = setTimeout(() => {
    reader.emit('error', new DeadlineExceededError(`no answer within ${silenceMs} ms`));
    reader.cancel().catch(() => undefined);
  }, silenceMs);
  try {
    for await (const resolved of reader) {
      const { event } = resolved as { event?: WireEvent };
      if (event !== undefined) events.push(event);
      timer.refresh();
    }
    return events;
  } finally {
    clearTimeout(timer);
  }
};

const headOf = async (api: Client, client: EventStoreDBClient, deadlineMs: number): Promise<WirePosition | null> => {
  const { BACKWARDS, END } = api;
  const last = client.readAll({ direction: BACKWARDS, fromPosition: END, maxCount: 1, requiresLeader: true });
  const [event] = await collect(last, deadlineMs);
  return event?.position ?? null;
};

type Features = { readonly serverVersion: string };
type FeaturesModule = { readonly ServerFeatures: { readonly createServerFeatures: readonly unknown[] } };

/**
 * Asks the server what it can do, which decides how appends go. The client (6.2.1) asks without a deadline, again with each new connection, and
 * keeps a failure for as long as that lasts: every append would fail with it. So it is asked here, and the client is told for good.
 * @throws where the server is too old
 */
const learnFeatures = async (client: EventStoreDBClient, deadlineMs: number): Promise<void> => {
  const { ServerFeatures } = (await import(FEATURES_MODULE)) as FeaturesModule;
  const inner = client as unknown as { execute(...call: readonly unknown[]): Promise<Features> };
  const deadlines = new Deadlines(deadlineMs);
  const asked = deadlines.within(inner.execute(...ServerFeatures.createServerFeatures));
  const features = await asked.finally(() => deadlines.close());
  checkVersion(features.serverVersion);
  Object.defineProperty(client, 'capabilities', { value: Promise.resolve(features) });
};

/** Among the files of the client; not part of what it exports. */
const FEATURES_MODULE = '@eventstore/db-client/dist/Client/ServerFeatures.js';

const checkVersion = (serverVersion: string): void => {
  const [major = 0, minor = 0] = serverVersion.split('.').map(Number);
  const [wantedMajor, wantedMinor] = VERSION_MIN;
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  throw new Error(
    `The EventStoreDB of ${SETTING} has version ${serverVersion}: ${VERSION_MIN.join('.')} or later is needed, ` +
      'which tells a reader when it has caught up',
  );
};

const isTooSlow = (error: unknown): boolean =>
  error instanceof Error && 'type' in error && error.type === 'timeout' && /too slow/i.test(error.message);
