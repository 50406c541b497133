import { createHash } from 'node:crypto';
import { canonicalInstant } from '@vafa/contracts';
import type { EventStore, Revision, StoredEvent } from '@vafa/event-sourcing';
import { streamOf } from '../domain/account.js';
import { compareInstants } from '../domain/instant.js';
import { dateAt, dateName, periodAt, type ProgrammeCalendar, type Span } from '../domain/programme-calendar.js';
import { figuresOf, type Figures } from '../domain/statement.js';
import type { Closing, Closings } from '../read-models/closings.js';
import type { ExplainedMovement, LedgerHistory, PastState } from '../read-models/history.js';
import type { Balance } from '../read-models/queries.js';

/** The horizons, in days, that lapsing points are told for. */
const EXPIRING_DAYS = [30, 60, 90];

/** A day, as the programme's calendar and as the Gregorian one count it. */
export type DayNames = { readonly date: string; readonly gregorian: string };

export type StatementMovement = ExplainedMovement & {
  /** The day that it counts for. */
  readonly day: DayNames;
  /** The balance after it. */
  readonly balance: number;
  /** The period that it would have been in and that was closed before it came; else null. */
  readonly correctionOf: string | null;
  /** The transactions that it takes back or could not take back. */
  readonly corrects: readonly string[];
};

/** What the last event of a statement was: its hash proves that the ledger still says what it said. */
export type Receipt = { readonly transactionId: string; readonly revision: Revision; readonly sha256: string };

export type Statement = Figures & {
  readonly memberId: string;
  /** The period, where the statement is of one. */
  readonly period: string | null;
  readonly from: DayNames;
  readonly to: DayNames;
  readonly start: string;
  readonly end: string;
  /** Whether its figures never change any more. */
  readonly closed: boolean;
  /** Of the points earned, those that went to what was owed. */
  readonly debtsPaid: number;
  readonly atEnd: Balance & { readonly expiring: readonly { readonly days: number; readonly amount: number }[] };
  readonly movements: readonly StatementMovement[];
  readonly receipt: Receipt | null;
  readonly asOf: string;
  readonly knownAt: string;
};

export type StatementRequest = {
  readonly memberId: string;
  readonly period: string | null;
  readonly span: Span;
  /** Effective time, inclusive, within the span; what counts later is left out. */
  readonly asOf: Temporal.Instant;
  readonly knownAt: string;
  /** Movements at most: beyond it, a shorter range is to be asked for. */
  readonly limit: number;
};

export type StatementResult =
  { readonly status: 'made'; readonly statement: Statement } | { readonly status: 'too-long' };

/**
 * Statements of an account, each a stretch of its log. A movement stands in the first period that was not closed when it was recorded: where the
 * log is cut is decided by effective time, and by what was known when a period that ends there or later was closed. So the statement of a closed
 * period is the same for ever, what comes late stands in the open one, and the statements of all periods add up to the balance.
 */
export class Statements {
  constructor(
    private readonly history: LedgerHistory,
    private readonly closings: Closings,
    private readonly store: EventStore,
    private readonly calendar: ProgrammeCalendar,
  ) {}

  async make(request: StatementRequest): Promise<StatementResult> {
    const { memberId, span, asOf, knownAt, limit } = request;
    const start = span.start.toString();
    const until = canonicalInstant(asOf.add({ microseconds: 1 }));
    const [before, closing] = await Promise.all([this.closings.covering(start), this.closings.covering(until)]);
    const [from, atEnd] = await Promise.all([
      this.history.stateBefore(memberId, start, known(before, knownAt)),
      this.history.stateBefore(memberId, until, known(closing, knownAt)),
    ]);
    // What is left and what lapses is judged at the end, or now where the end is yet to come.
    const to = { ...atEnd, at: canonicalInstant(asOf) };
    const movements = await this.history.between(from, to, limit + 1);
    if (movements.length > limit) return { status: 'too-long' };
    const [opening, balance, debtsPaid, expiring, receipt, corrections] = await Promise.all([
      this.history.balance(from),
      this.history.balance(to),
      this.history.debtsPaid(from, to),
      this.expiring(to, asOf),
      this.receipt(to),
      this.corrections(movements),
    ]);
    const figured = movements.map((movement) => ({ ...movement, components: componentsOf(movement) }));
    const statement: Statement = {
      memberId,
      period: request.period,
      from: this.day(span.start),
      to: this.day(span.end.subtract({ nanoseconds: 1 })),
      start,
      end: span.end.toString(),
      closed: closing !== undefined,
      ...figuresOf(figured, opening.balance, balance.balance),
      debtsPaid,
      atEnd: { ...balance, expiring },
      movements: this.lines(movements, opening.balance, corrections),
      receipt,
      asOf: canonicalInstant(asOf),
      knownAt: known(closing, knownAt),
    };
    return { status: 'made', statement };
  }

  private lines(
    movements: readonly ExplainedMovement[],
    opening: number,
    corrections: readonly (string | null)[],
  ): StatementMovement[] {
    let balance = opening;
    return movements.map((movement, index) => {
      balance += movement.amount;
      const day = this.day(Temporal.Instant.from(movement.effectiveAt));
      return { ...movement, day, balance, correctionOf: corrections[index] ?? null, corrects: correctedBy(movement) };
    });
  }

  /** For each movement the closed period that it came too late for, if it did. */
  private async corrections(movements: readonly ExplainedMovement[]): Promise<(string | null)[]> {
    const [first] = movements;
    if (first === undefined) return [];
    const closings = await this.closings.after(first.effectiveAt);
    return movements.map(({ effectiveAt, recordedAt }) => {
      const missed = closings.some(
        ({ end, knownAt }) => compareInstants(effectiveAt, end) < 0 && compareInstants(knownAt, recordedAt) < 0,
      );
      return missed ? periodAt(Temporal.Instant.from(effectiveAt), this.calendar).name : null;
    });
  }

  private async expiring(state: PastState, asOf: Temporal.Instant): Promise<{ days: number; amount: number }[]> {
    const now = asOf.toZonedDateTimeISO(this.calendar.zone);
    const until = EXPIRING_DAYS.map((days) => canonicalInstant(now.add({ days }).toInstant()));
    const amounts = await this.history.lapsingUntil(state, until);
    return EXPIRING_DAYS.map((days, index) => ({ days, amount: amounts[index] ?? 0 }));
  }

  private async receipt({ accountId, revision }: PastState): Promise<Receipt | null> {
    if (revision < 0) return null;
    const [event] = await this.store.read(streamOf(accountId), revision, 1);
    if (event === undefined) throw new Error(`the ledger has no revision ${revision} of account ${accountId}`);
    return { transactionId: event.id, revision, sha256: hashOf(event) };
  }

  private day(instant: Temporal.Instant): DayNames {
    const date = dateAt(instant, this.calendar);
    return { date: dateName(date), gregorian: date.withCalendar('iso8601').toString() };
  }
}

/** What a closed period knows does not grow; what is asked for may be less. */
const known = (closing: Closing | undefined, knownAt: string): string =>
  closing !== undefined && compareInstants(closing.knownAt, knownAt) < 0 ? closing.knownAt : knownAt;

/** SHA-256 in hex over id, type, data and metadata as they are stored, each followed by a line feed, in UTF-8. */
const hashOf = ({ id, type, data, metadata }: StoredEvent): string =>
  createHash('sha256').update(`${id}\n${type}\n${data}\n${metadata}\n`).digest('hex');

const componentsOf = ({ explanation }: ExplainedMovement): readonly { rule: string; points: number }[] =>
  'components' in explanation ? explanation.components : [];

const correctedBy = ({ explanation }: ExplainedMovement): string[] => {
  if ('reversalId' in explanation) return [explanation.reversalId];
  return 'reversals' in explanation ? explanation.reversals.map(({ awardId }) => awardId) : [];
};
