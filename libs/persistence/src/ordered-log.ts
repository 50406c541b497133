import { crc32 } from 'node:zlib';
import pg from 'pg';
import { copyStatement, quoteName } from './copy.js';
import type { Querier } from './database.js';
import type { CopyCell, UnitOfWork } from './unit-of-work.js';

export type OrderedLogOptions = {
  /** With its schema. It has a column `position bigint` that takes its value from a sequence with cache 1. */
  readonly table: string;
  /** Columns written, without `position`. */
  readonly columns: readonly string[];
};

export type ReadLog = {
  /** Exclusive; 0 is the beginning. */
  readonly after: number;
  /** Rows at most. */
  readonly limit: number;
  /** A further condition over the table's columns, with parameters from `$3` on. */
  readonly where?: string;
  readonly parameters?: readonly unknown[];
  /** Columns to read beside `position`; those written unless told. */
  readonly columns?: readonly string[];
  /** Ends with the row that reaches so many bytes of one column, so that a page of large rows stays as small as one of many small rows. */
  readonly bytes?: { readonly column: string; readonly max: number };
};

/**
 * A log in a PostgreSQL table whose order of positions is the order of commits, so that `position > cursor` never skips a row.
 *
 * A position is taken from a sequence when a row is written but seen when its transaction commits; of two writers at once the later
 * position may be seen first, and a reader would step over the earlier one for good. So a writer takes the lock of its shard before it writes
 * and holds it to the end of its transaction: within a shard there is one writer at a time. Gaps (rolled back, crashed) are harmless;
 * never wait for one. Call `append` last in a transaction: every other writer of the shard waits from there to the commit.
 */
export class OrderedLog {
  readonly table: string;
  private readonly columns: readonly string[];
  private readonly lockClass: number;

  constructor(options: OrderedLogOptions) {
    this.table = options.table;
    this.columns = options.columns;
    this.lockClass = crc32(options.table) | 0;
  }

  /** The statement that takes a shard's lock until the transaction ends. */
  lockStatement(shard = 0): string {
    return `select pg_advisory_xact_lock(${this.lockClass}, ${shard | 0})`;
  }

  /** The statement that copies rows in, in the order of `columns`. */
  copyStatement(): string {
    return copyStatement(this.table, this.columns);
  }

  /** Takes the locks of several shards in one order, so that two transactions cannot wait for each other. */
  async lock(work: UnitOfWork, shards: Iterable<number> = [0]): Promise<void> {
    const sorted = [...new Set(shards)].sort((a, b) => a - b);
    await work.query(
      'select pg_advisory_xact_lock($1::int, shard) from unnest($2::int[]) with ordinality as wanted(shard, nr) order by nr',
      [this.lockClass, sorted],
    );
  }

  /** Takes the lock of one shard and writes the rows in their order. */
  async append(work: UnitOfWork, rows: readonly (readonly CopyCell[])[], shard = 0): Promise<void> {
    if (rows.length === 0) return;
    await work.query(this.lockStatement(shard));
    await work.copy(this.table, this.columns, rows);
  }

  /** Rows after a position in order. Over several shards the order is not that of commits: read one shard at a time (`where`). */
  read<Row>(querier: Querier, options: ReadLog): Promise<(Row & { position: number })[]> {
    const columns = ['position', ...(options.columns ?? this.columns)].map((column) => pg.escapeIdentifier(column));
    const condition = options.where === undefined ? '' : ` and (${options.where})`;
    const from = `from ${quoteName(this.table)} where position > $1${condition} order by position limit $2`;
    return querier.query(
      options.bytes === undefined ? `select ${columns.join(', ')} ${from}` : withinBytes(columns, from, options.bytes),
      [options.after, options.limit, ...(options.parameters ?? [])],
    );
  }

  /** The position of the last row that is seen, 0 where there is none. */
  async head(querier: Querier): Promise<number> {
    const rows = await querier.query<{ position: number }>(
      `select coalesce(max(position), 0)::bigint as position from ${quoteName(this.table)}`,
    );
    return rows[0]?.position ?? 0;
  }
}

/** The running sum costs what counting costs: of a value that is kept elsewhere, its length stands in the row. */
const withinBytes = (
  columns: readonly string[],
  from: string,
  { column, max }: NonNullable<ReadLog['bytes']>,
): string => {
  const length = `octet_length(${pg.escapeIdentifier(column)})`;
  const before = `sum(${length}) over (order by position rows unbounded preceding) - ${length} as bytes_before`;
  const page = `select ${columns.join(', ')}, ${before} ${from}`;
  return `select ${columns.join(', ')} from (${page}) as page where bytes_before < ${Math.trunc(max)} order by position`;
};
