import type { Database, UnitOfWork } from '@vafa/persistence';
import { canonical, utc } from './instants.js';

/**
 * A closing of a period, and of every one before it that was open. It fixes what they know: what was recorded up to `knownAt`, inclusive.
 * A later closing has a later end and no earlier `knownAt`.
 */
export type Closing = {
  readonly period: string;
  /** Where it ends; no longer part of it. */
  readonly end: string;
  readonly knownAt: string;
  /** When it was closed, in system time. */
  readonly closedAt: string;
};

/** A closing in a list: from where the one before ended; `null` where it is the first and reaches back to the beginning. */
export type ListedClosing = Closing & { readonly start: string | null };

/** The periods that are closed: a row a closing, a few a year. */
export class Closings {
  constructor(private readonly database: Database) {}

  /** The first closing that ends at an instant or later, which is the one that counts for everything before that instant. */
  async covering(end: string): Promise<Closing | undefined> {
    const rows = await this.database.query<Row>(
      `select ${COLUMNS} from points.period_closings where ends_at >= $1 order by points.period_closings.ends_at limit 1`,
      [end],
    );
    return rows.map(closingOf)[0];
  }

  /** Every closing that ends after an instant, in order. */
  async after(instant: string): Promise<Closing[]> {
    const rows = await this.database.query<Row>(
      `select ${COLUMNS} from points.period_closings where ends_at > $1 order by points.period_closings.ends_at`,
      [instant],
    );
    return rows.map(closingOf);
  }

  /** The latest closings first, `limit` at most, those that ended before an instant (`null`: from the last). */
  async list(limit: number, before: string | null): Promise<ListedClosing[]> {
    const rows = await this.database.query<Row & { starts_at: string | null }>(
      `select ${COLUMNS}, ${utc('starts_at')}
       from (select *, lag(ends_at) over (order by ends_at) as starts_at from points.period_closings) as listed
       where $2::timestamptz is null or ends_at < $2 order by listed.ends_at desc limit $1`,
      [limit, before],
    );
    return rows.map((row) => ({ ...closingOf(row), start: row.starts_at === null ? null : canonical(row.starts_at) }));
  }

  /** Adds those that are not there yet, and answers with them. */
  async add(closings: readonly Closing[], work: UnitOfWork): Promise<Closing[]> {
    const rows = await work.query<Row>(
      `insert into points.period_closings (period, ends_at, known_at, closed_at)
       select * from unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[])
       on conflict do nothing returning ${COLUMNS}`,
      [
        closings.map(({ period }) => period),
        closings.map(({ end }) => end),
        closings.map(({ knownAt }) => knownAt),
        closings.map(({ closedAt }) => closedAt),
      ],
    );
    return rows.map(closingOf);
  }
}

const COLUMNS = `period, ${utc('ends_at')}, ${utc('known_at')}, ${utc('closed_at')}`;

type Row = { period: string; ends_at: string; known_at: string; closed_at: string };

const closingOf = (row: Row): Closing => ({
  period: row.period,
  end: canonical(row.ends_at),
  knownAt: canonical(row.known_at),
  closedAt: canonical(row.closed_at),
});
