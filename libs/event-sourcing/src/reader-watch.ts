import { pause, quoteName, type Database } from '@vafa/persistence';
import { PAGE_SIZE_MAX, type EventStore, type Position } from './event-store.js';

/** How far a reader's tables are, as any process can see it. */
export type ReaderLag = {
  /** Events of the log that the tables have seen. */
  readonly events: number;
  /** Events that they have not; `PAGE_SIZE_MAX` stands for that many or more. */
  readonly eventsBehind: number;
  /** When the last event applied was recorded, in seconds before now; 0 before the first. */
  readonly lastEventAgeSeconds: number;
  /** Grows when a rebuild has put other tables in place. */
  readonly generation: number;
};

export type ReaderWatchOptions = {
  readonly name: string;
  readonly store: EventStore;
  readonly prefix: string;
  readonly database: Database;
  readonly checkpoints: string;
  /** The table (`name`, `events_behind`, `measured_at`) in which the last look is kept for those who ask with SQL. */
  readonly lags: string;
  readonly onLag: (lag: ReaderLag) => void;
  readonly onError: (error: unknown) => void;
};

const INTERVAL_MS = 5_000;

type Row = { events: number; position: Position | null; generation: number; age: number };

/** Looks every few seconds how far a reader is behind, whichever process it runs in, for as long as it is open. */
export class ReaderWatch {
  private readonly closing = new AbortController();
  private running: Promise<void> | undefined;

  constructor(private readonly options: ReaderWatchOptions) {}

  start(): void {
    if (!this.closing.signal.aborted) this.running ??= this.run();
  }

  async close(): Promise<void> {
    this.closing.abort();
    await this.running;
  }

  /** Looks now. */
  async look(): Promise<ReaderLag> {
    const { database, checkpoints, name } = this.options;
    const [row] = await database.query<Row>(
      `select events, position, generation, coalesce(extract(epoch from clock_timestamp() - as_of), 0)::float8 as age
       from ${quoteName(checkpoints)} where name = $1`,
      [name],
    );
    const { events, position, generation, age } = row ?? { events: 0, position: null, generation: 0, age: 0 };
    const eventsBehind = await this.countAfter(position);
    return { events, eventsBehind, generation, lastEventAgeSeconds: Math.max(0, age) };
  }

  /** What the store would give a reader that is there, up to one page with matches. */
  private async countAfter(after: Position | null): Promise<number> {
    const { store, prefix } = this.options;
    const ended = new AbortController();
    const signal = AbortSignal.any([this.closing.signal, ended.signal]);
    try {
      for await (const page of store.subscribe({ prefix, after, pageSize: PAGE_SIZE_MAX, signal }))
        if (page.caughtUp || page.events.length > 0) return page.events.length;
      return 0;
    } finally {
      ended.abort();
    }
  }

  private async run(): Promise<void> {
    const { signal } = this.closing;
    while (!signal.aborted) {
      try {
        const lag = await this.look();
        this.options.onLag(lag);
        await this.keep(lag);
      } catch (error) {
        if (!signal.aborted) this.options.onError(error);
      }
      await pause(INTERVAL_MS, signal);
    }
  }

  /** Of many processes the first one writes. */
  private async keep({ eventsBehind }: ReaderLag): Promise<void> {
    const { database, lags, name } = this.options;
    await database.query(
      `insert into ${quoteName(lags)} as lag (name, events_behind, measured_at) values ($1, $2, clock_timestamp())
       on conflict (name) do update set events_behind = excluded.events_behind, measured_at = excluded.measured_at
       where lag.measured_at < excluded.measured_at - interval '4 seconds'`,
      [name, eventsBehind],
    );
  }
}
