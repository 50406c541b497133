import { canonicalInstant } from '@vafa/contracts';
import {
  AppendOutcomeUnknownError,
  EventCodec,
  type DecodedEvent,
  type EventStore,
  type Position,
} from '@vafa/event-sourcing';
import { pause, type Database } from '@vafa/persistence';
import { isStaff, type Actor, type Audit, type Clock } from '@vafa/service';
import { uuidv7 } from 'uuidv7';
import { ACCOUNT_STREAMS } from '../domain/account.js';
import { closePeriod, type ClosingRejection, type PeriodClosed } from '../domain/closing.js';
import { compareInstants } from '../domain/instant.js';
import type { Period, ProgrammeCalendar } from '../domain/programme-calendar.js';
import type { Closing, Closings } from '../read-models/closings.js';

/** One stream for all of them, beside those of the accounts. */
const STREAM = 'periods';
const codec = new EventCodec<PeriodClosed>({ PeriodClosed: { version: 1 } });

const APPEND_ATTEMPTS_MAX = 10;
/** How long a closing waits for the read models to know everything that was recorded before it. */
const SETTLE_MS_MAX = 15_000;
const SETTLE_POLL_MS = 50;
const PAGE_SIZE = 100;

/** The read models are behind: the closing stands in the log, and asking again finishes it. */
export class ReadModelsBehindError extends Error {
  override readonly name = 'ReadModelsBehindError';
}

export type PeriodsParts = {
  readonly store: EventStore;
  readonly database: Database;
  readonly closings: Closings;
  readonly calendar: ProgrammeCalendar;
  readonly clock: Clock;
  readonly audit: Audit;
};

export type CloseResult =
  | { readonly status: 'closed'; readonly closing: Closing }
  | { readonly status: 'rejected'; readonly rejection: ClosingRejection };

/**
 * Closes periods. What a closed period knows has to be everything in the log before its closing and nothing after it, while purchases go on. So the
 * closing is an event in the same log: the store records times that never go back along it, and `knownAt` is the last moment before the time of that
 * event. Nothing that comes later can bear it. The closing counts once the read models hold everything up to there.
 */
export class Periods {
  constructor(private readonly parts: PeriodsParts) {}

  /**
   * Closes a period with all before it. One that is closed already is answered with its closing, and nothing changes.
   * @throws ReadModelsBehindError where they have not caught up within 15 s.
   */
  async close(period: Period, actor: Actor): Promise<CloseResult> {
    const { closings } = this.parts;
    const end = period.end.toString();
    const known = await closings.covering(end);
    if (known !== undefined) return { status: 'closed', closing: known };
    const events = await this.record(period);
    if ('code' in events) return { status: 'rejected', rejection: events };
    const last = events.at(-1);
    if (last === undefined) throw new Error('a period was closed and nothing was recorded');
    await this.settled(closingOf(last).knownAt);
    // All of them: an earlier closing may have ended between its event and this.
    await this.write(events, actor);
    const closing = await closings.covering(end);
    if (closing === undefined) throw new Error(`the closing of ${period.name} is recorded and not to be found`);
    return { status: 'closed', closing };
  }

  /** Records the closing unless it is, and answers with every closing there is. */
  private async record(period: Period): Promise<DecodedEvent<PeriodClosed>[] | ClosingRejection> {
    const { store, clock, calendar } = this.parts;
    const closing = { period: period.name, end: period.end.toString(), ...calendar };
    for (let attempt = 0; attempt < APPEND_ATTEMPTS_MAX; attempt++) {
      const events = await this.recorded();
      const decision = closePeriod(
        { ...closing, now: canonicalInstant(clock.now()) },
        events.at(-1)?.event.data.end ?? null,
      );
      if (!decision.accepted) return decision.rejection;
      const [event] = decision.events;
      if (event === undefined) return events;
      try {
        await store.append(STREAM, events.length - 1, [codec.encode(event, uuidv7())]);
      } catch (error) {
        // The stream is read again and says whether it stands.
        if (!(error instanceof AppendOutcomeUnknownError)) throw error;
      }
    }
    throw new Error(`${APPEND_ATTEMPTS_MAX} attempts to close ${period.name} met others that closed periods`);
  }

  private async recorded(): Promise<DecodedEvent<PeriodClosed>[]> {
    const streams = await this.parts.store.load([STREAM]);
    return (streams.get(STREAM) ?? []).map((event) => codec.decode(event));
  }

  /** Waits until the read models hold every event that was recorded up to then. */
  private async settled(knownAt: string): Promise<void> {
    const signal = AbortSignal.timeout(SETTLE_MS_MAX);
    while (!signal.aborted) {
      if (await this.isRead(knownAt, signal)) return;
      await pause(SETTLE_POLL_MS, signal);
    }
    throw new ReadModelsBehindError(`the read models have not come as far as ${knownAt} within ${SETTLE_MS_MAX} ms`);
  }

  /** Whether the first event that the read models do not hold yet, if there is one, was recorded later. */
  private async isRead(knownAt: string, signal: AbortSignal): Promise<boolean> {
    const { store, database } = this.parts;
    const [row] = await database.query<{ position: Position | null }>(
      `select position from points.checkpoints where name = 'points'`,
    );
    const log = { prefix: ACCOUNT_STREAMS, after: row?.position ?? null, pageSize: PAGE_SIZE, signal };
    for await (const { events, caughtUp } of store.subscribe(log)) {
      const [next] = events;
      if (next !== undefined) return compareInstants(next.recordedAt, knownAt) > 0;
      if (caughtUp) return true;
    }
    return false;
  }

  private async write(events: readonly DecodedEvent<PeriodClosed>[], actor: Actor): Promise<void> {
    const { database, closings, audit } = this.parts;
    await database.transaction(async (work) => {
      const written = await closings.add(events.map(closingOf), work);
      if (!isStaff(actor.role)) return;
      for (const { period, end, knownAt } of written)
        await audit.record(work, {
          actor,
          action: 'periods.closed',
          subject: `period:${period}`,
          details: { end, knownAt },
        });
    });
  }
}

/** Known is what was recorded before the closing itself: the microsecond before is the last moment that nothing later can bear. */
const closingOf = ({ event: { data }, recordedAt }: DecodedEvent<PeriodClosed>): Closing => ({
  period: data.period,
  end: data.end,
  knownAt: canonicalInstant(Temporal.Instant.from(recordedAt).subtract({ microseconds: 1 })),
  closedAt: recordedAt,
});
