import { acquireSessionLock, pause } from '@vafa/persistence';
import type { Database, UnitOfWork } from '@vafa/persistence';
import type { DecodedEvent, DomainEvent, EventCodec } from './event-codec.js';
import { UnknownEventError } from './event-codec.js';
import type { EventStore, LogPage, Position } from './event-store.js';
import { Checkpoint } from './checkpoint.js';

/** A read model: a fold of the log, written page by page. */
export type Projection<E extends DomainEvent> = {
  readonly name: string;
  /** Writes what the page changes, in bulk, within the transaction that moves the checkpoint. Never refuses a fact. */
  apply(page: readonly DecodedEvent<E>[], work: UnitOfWork): Promise<void>;
  /**
   * Lets go of what it keeps in memory of its tables. Called before the first page of each tenure, since another process may have written in
   * between, and once a rebuild has put other tables in their place.
   */
  forget?(): void;
};

export type PageApplied = {
  readonly events: number;
  /** From the read page to its commit. */
  readonly seconds: number;
  readonly caughtUp: boolean;
  /** How long ago the page's last event was recorded; 0 for a page without events. */
  readonly lagSeconds: number;
};

export type LogReaderOptions<E extends DomainEvent> = {
  /** Names the checkpoint and the leader's lock. A rebuild is a reader with a new name and new tables. */
  readonly name: string;
  readonly store: EventStore;
  /** Of the streams to read. */
  readonly prefix: string;
  readonly codec: EventCodec<E>;
  /** Where checkpoint and read models are. Beside its pool, one connection is held for the leader's lock. */
  readonly database: Database;
  /** The checkpoint table, with its schema (`createCheckpointTable`). */
  readonly checkpoints: string;
  /** In the order in which they are applied. */
  readonly projections: readonly Projection<E>[];
  /** Events a page at most, up to 2,000. */
  readonly pageSize?: number;
  /** After each page. */
  readonly onPage?: (page: PageApplied) => void;
  /** Told of every break; the reader goes on by itself. */
  readonly onError?: (error: unknown) => void;
  /** Told when the reader stops for good: it has met an event it does not know. */
  readonly onStopped?: (error: UnknownEventError) => void;
};

export type LogReaderState =
  /** Not started, or closed. */
  | 'idle'
  /** Another process is the leader; or the connection broke and it is being tried again. */
  | 'standby'
  | 'reading'
  /** Everything in the log has been applied. */
  | 'caught-up'
  /** For good: see `failure`. */
  | 'stopped';

export const READER_PAGE_SIZE_MAX = 2_000;
const BACKOFF_MS_MIN = 50;
const BACKOFF_MS_MAX = 5_000;

type Listener<E extends DomainEvent> = (page: readonly DecodedEvent<E>[]) => void;
type DecodedPage<E extends DomainEvent> = {
  readonly events: readonly DecodedEvent<E>[];
  readonly position: Position;
  readonly caughtUp: boolean;
};

/**
 * Reads the log and folds it into a service's read models: one leader among all processes (a session lock), pages of events, every projection and the
 * checkpoint in one transaction. While a page is being written the next one is fetched and decoded. After any break it goes on from the checkpoint,
 * which only moves from where this reader found it: two that both believe to be the leader cannot both apply a page.
 */
export class LogReader<E extends DomainEvent> {
  private readonly checkpoint: Checkpoint;
  private readonly pageSize: number;
  private readonly listeners = new Set<Listener<E>>();
  private readonly closing = new AbortController();
  private running: Promise<void> | undefined;
  private current: LogReaderState = 'idle';
  private at: Position | null = null;
  /** Of the tables that the projections have in memory; none before the first page of a tenure. */
  private generation: number | undefined;
  private stoppedBy: UnknownEventError | undefined;

  constructor(private readonly options: LogReaderOptions<E>) {
    this.pageSize = options.pageSize ?? READER_PAGE_SIZE_MAX;
    if (this.pageSize < 1 || this.pageSize > READER_PAGE_SIZE_MAX)
      throw new RangeError(`a reader's page has 1 to ${READER_PAGE_SIZE_MAX} events`);
    this.checkpoint = new Checkpoint(options.checkpoints, options.name);
  }

  get state(): LogReaderState {
    return this.current;
  }

  /** Behind the last page that this process has applied or found applied. */
  get position(): Position | null {
    return this.at;
  }

  /** Why the reader stopped for good. */
  get failure(): UnknownEventError | undefined {
    return this.stoppedBy;
  }

  /** Calls back after each page that this process has committed. Answers with a function that ends it. */
  onApplied(listener: Listener<E>): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Begins to read in the background. Calling it again does nothing. */
  start(): void {
    if (!this.closing.signal.aborted) this.running ??= this.run();
  }

  /** Finishes the page that is being written, and gives the lock away. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.running;
    if (this.current !== 'stopped') this.current = 'idle';
  }

  private async run(): Promise<void> {
    const { signal } = this.closing;
    let backoffMs = BACKOFF_MS_MIN;
    while (!signal.aborted) {
      const before = this.at;
      try {
        this.current = 'standby';
        await this.lead();
      } catch (error) {
        if (error instanceof UnknownEventError) return this.stop(error);
        this.options.onError?.(error);
      }
      // Whoever got further is not broken: the pauses grow only while nothing moves.
      backoffMs = this.at === before ? Math.min(backoffMs * 2, BACKOFF_MS_MAX) : BACKOFF_MS_MIN;
      if (!signal.aborted) await pause(backoffMs, signal);
    }
  }

  private stop(error: UnknownEventError): void {
    this.stoppedBy = error;
    this.current = 'stopped';
    this.options.onStopped?.(error);
  }

  /** Waits for the lock and reads until it is lost, something breaks, or the reader is closed. */
  private async lead(): Promise<void> {
    const { database, name } = this.options;
    const lock = await acquireSessionLock(database, `reader ${name}`, this.closing.signal);
    if (lock === undefined) return;
    try {
      await this.read(AbortSignal.any([this.closing.signal, lock.lost]));
    } finally {
      await lock.release().catch(() => undefined);
    }
  }

  private async read(held: AbortSignal): Promise<void> {
    // Ends the subscription whichever way this tenure ends: a fetch under way would otherwise wait for the next event.
    const ended = new AbortController();
    const signal = AbortSignal.any([held, ended.signal]);
    this.at = await this.checkpoint.read(this.options.database);
    this.generation = undefined;
    this.current = 'reading';
    const { prefix, store } = this.options;
    const pages = store.subscribe({ prefix, after: this.at, pageSize: this.pageSize, signal })[Symbol.asyncIterator]();
    const fetch = (): Promise<DecodedPage<E> | undefined> => {
      const page = pages.next().then(({ done, value }) => (done === true ? undefined : this.decode(value)));
      // Awaited below unless the page before it fails first, which is then what is told.
      page.catch(() => undefined);
      return page;
    };
    try {
      let ahead: Promise<DecodedPage<E> | undefined> | undefined;
      while (!signal.aborted) {
        const page = await (ahead ?? fetch());
        if (page === undefined || signal.aborted) return;
        // At the end of the log, what is written while this page is applied is better taken together than in crumbs.
        ahead = page.caughtUp ? undefined : fetch();
        await this.apply(page);
      }
    } finally {
      ended.abort();
    }
  }

  private decode(page: LogPage): DecodedPage<E> {
    const { codec } = this.options;
    return { ...page, events: page.events.map((event) => codec.decode(event)) };
  }

  private async apply(page: DecodedPage<E>): Promise<void> {
    const { events, position, caughtUp } = page;
    const started = performance.now();
    if (position !== this.at) {
      await this.write(events, position);
      this.at = position;
    }
    this.current = caughtUp ? 'caught-up' : 'reading';
    const asOf = events.at(-1)?.recordedAt;
    const lagSeconds = asOf === undefined ? 0 : Temporal.Now.instant().since(asOf).total('seconds');
    this.options.onPage?.({
      events: events.length,
      seconds: (performance.now() - started) / 1000,
      caughtUp,
      lagSeconds: Math.max(0, lagSeconds),
    });
    if (events.length > 0) for (const listener of this.listeners) this.tell(listener, events);
  }

  private async write(events: readonly DecodedEvent<E>[], position: Position): Promise<void> {
    const { database, projections } = this.options;
    const from = this.at;
    await database.transaction(async (work) => {
      const asOf = events.at(-1)?.recordedAt;
      // First, so that a second leader waits for this row and then finds it moved, before it has written anything.
      const generation = await this.checkpoint.move(work, from, position, { events: events.length, asOf });
      if (generation !== this.generation) for (const projection of projections) projection.forget?.();
      this.generation = generation;
      if (events.length === 0) return;
      for (const projection of projections) await projection.apply(events, work);
    });
  }

  private tell(listener: Listener<E>, events: readonly DecodedEvent<E>[]): void {
    try {
      listener(events);
    } catch (error) {
      this.options.onError?.(error);
    }
  }
}
