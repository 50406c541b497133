import { quoteName } from '@vafa/persistence';
import type { Querier, UnitOfWork } from '@vafa/persistence';
import type { Position } from './event-store.js';

/** Another reader has applied a page in between: this one is no longer the leader, and nothing of its page may stand. */
export class CheckpointMovedError extends Error {
  override readonly name = 'CheckpointMovedError';
}

/**
 * The table that a service's migration creates for its readers. `as_of` is when the last event applied was recorded, so that a view
 * over it can say how fresh the read models are.
 */
export const createCheckpointTable = (table: string): string => `
  create table ${quoteName(table)} (
    name text primary key,
    position text,
    as_of timestamptz,
    events bigint not null default 0,
    updated_at timestamptz not null default clock_timestamp()
  )`;

/**
 * Adds what a rebuild needs to a table of `createCheckpointTable`: `generation` counts how often other tables took the place of the
 * read models, so that a reader learns that what it keeps in memory of them holds no longer.
 */
export const addCheckpointGeneration = (table: string): string =>
  `alter table ${quoteName(table)} add column generation integer not null default 0`;

/** How far one reader has come; written in the same transaction as what it has read. */
export class Checkpoint {
  constructor(
    private readonly table: string,
    private readonly name: string,
  ) {}

  /** The position to go on behind; `null` is the beginning. Creates the row where it is missing. */
  async read(querier: Querier): Promise<Position | null> {
    const table = quoteName(this.table);
    await querier.query(`insert into ${table} (name) values ($1) on conflict do nothing`, [this.name]);
    const rows = await querier.query<{ position: Position | null }>(`select position from ${table} where name = $1`, [
      this.name,
    ]);
    return rows[0]?.position ?? null;
  }

  /** Moves from one position to the next, holds the row until the transaction ends, and answers with the generation of the tables. @throws CheckpointMovedError where it is not at `from`. */
  async move(
    work: UnitOfWork,
    from: Position | null,
    to: Position,
    applied: { readonly events: number; readonly asOf: string | undefined },
  ): Promise<number> {
    const [moved] = await work.query<{ generation: number }>(
      `update ${quoteName(this.table)}
       set position = $3, events = events + $4, as_of = coalesce($5, as_of), updated_at = clock_timestamp()
       where name = $1 and position is not distinct from $2 returning generation`,
      [this.name, from, to, applied.events, applied.asOf ?? null],
    );
    if (moved === undefined)
      throw new CheckpointMovedError(`the checkpoint ${this.name} is no longer at ${from ?? 'the beginning'}`);
    return moved.generation;
  }
}
