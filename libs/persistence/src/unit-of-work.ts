import type { EntityManager } from 'typeorm';
import type { PoolClient } from 'pg';

/** A PostgreSQL column to copy into: its name and, where the text form needs it, nothing else (COPY parses by the column's own type). */
export type CopyColumns = readonly string[];

/** A cell as `COPY … FROM STDIN` takes it; `null` is SQL NULL, a Buffer becomes bytea. */
export type CopyCell = string | number | bigint | boolean | Buffer | null;

/**
 * One transaction on one connection, handed down to everything that must happen together.
 * Whoever holds one never takes a second connection: a service whose requests each need two hangs as soon as more
 * requests run than the pool has connections.
 */
export interface UnitOfWork {
  /** TypeORM's manager of this transaction, for tables with entities. */
  readonly manager: EntityManager;
  /** The connection itself, for bulk statements. */
  readonly client: PoolClient;
  /** Runs one statement with parameters. */
  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
  /** Bulk insert by `COPY`, for rows that cannot conflict. */
  copy(table: string, columns: CopyColumns, rows: readonly (readonly CopyCell[])[]): Promise<void>;
  /** Runs after a successful commit, in the order given; an exception there is logged and changes nothing. */
  afterCommit(effect: () => void): void;
}
