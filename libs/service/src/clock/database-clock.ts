import type { Database } from '@vafa/persistence';
import type { Logger } from '../logger.js';
import { ClockRefusal, stepMs, type Clock } from './clock.js';

const POLL_MS = 1_000;

export type DatabaseClockOptions = {
  readonly database: Pick<Database, 'query'>;
  /** Whether the clock refuses to be moved. */
  readonly production: boolean;
  readonly logger: Logger;
};

/**
 * System time plus an offset that all processes share: one row in PostgreSQL, looked at each second. Whoever moves it sees
 * that at once, the others within a second.
 */
export class DatabaseClock implements Clock {
  private offsetMs = 0;
  private lastMs = 0;
  private isAway = false;
  private timer: NodeJS.Timeout | null = null;

  private constructor(private readonly options: DatabaseClockOptions) {}

  /** Reads the offset and goes on looking at it. @throws where the database cannot be asked. */
  static async open(options: DatabaseClockOptions): Promise<DatabaseClock> {
    const clock = new DatabaseClock(options);
    await clock.refresh();
    clock.schedule();
    return clock;
  }

  now(): Temporal.Instant {
    // System time may be set back; business time may not.
    this.lastMs = Math.max(this.lastMs, Date.now() + this.offsetMs);
    return Temporal.Instant.fromEpochMilliseconds(this.lastMs);
  }

  offset(): Temporal.Duration {
    return Temporal.Duration.from({ milliseconds: this.offsetMs });
  }

  async set(instant: Temporal.Instant): Promise<Temporal.Instant> {
    const step = stepMs(this.now().until(instant));
    return this.move('greatest(offset_ms, $1)', this.offsetMs + step);
  }

  async advance(by: Temporal.Duration): Promise<Temporal.Instant> {
    return this.move('offset_ms + $1', stepMs(by));
  }

  /** Stops looking. */
  close(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
  }

  private async move(expression: string, ms: number): Promise<Temporal.Instant> {
    const { database, production, logger } = this.options;
    if (production) throw new ClockRefusal('production', 'Business time cannot be moved in production');
    const rows = await database.query<{ offset_ms: number }>(
      `update service.clock set offset_ms = ${expression}, changed_at = now() returning offset_ms`,
      [ms],
    );
    this.take(rows);
    logger.info({ offset: this.offset().toString() }, 'the business clock was moved');
    return this.now();
  }

  private async refresh(): Promise<void> {
    this.take(await this.options.database.query<{ offset_ms: number }>('select offset_ms from service.clock'));
  }

  private take(rows: readonly { offset_ms: number }[]): void {
    const [row] = rows;
    if (!row) throw new Error('The table service.clock has lost its row');
    // A reading that overtook a move must not set time back.
    this.offsetMs = Math.max(this.offsetMs, row.offset_ms);
  }

  // Until it can be read again the last offset holds. One line an outage, not one a second.
  private missed(err: unknown): void {
    if (!this.isAway) this.options.logger.warn({ err }, 'the business clock could not be read');
    this.isAway = true;
  }

  private schedule(): void {
    this.timer = setTimeout(() => {
      this.refresh()
        .then(() => (this.isAway = false))
        .catch((err: unknown) => this.missed(err))
        .finally(() => this.timer && this.schedule());
    }, POLL_MS).unref();
  }
}
