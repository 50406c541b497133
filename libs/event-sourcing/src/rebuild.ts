import {
  acquireSessionLock,
  createTwins,
  dropTwins,
  finishTwins,
  olderReaders,
  pause,
  quoteName,
  SwapBusyError,
  swapTwins,
  whileAlive,
  type Database,
  type Twins,
} from '@vafa/persistence';
import type pg from 'pg';
import type { DecodedEvent, DomainEvent, EventCodec } from './event-codec.js';
import type { EventStore } from './event-store.js';
import { LogTail } from './log-tail.js';
import { READER_PAGE_SIZE_MAX, type Projection } from './log-reader.js';

export type RebuildState =
  /** Never asked for. */
  | 'never'
  /** The log is being folded into the new tables. */
  | 'folding'
  /** Keys and indexes are being made. */
  | 'indexing'
  /** Complete up to the last moments; waiting for a moment in which nobody reads with an older picture. */
  | 'swapping'
  | 'done'
  | 'failed'
  /** Its process ended on the way. The tables that are read are untouched; the next rebuild begins anew. */
  | 'interrupted';

export type RebuildProgress = {
  readonly state: RebuildState;
  readonly events: number;
  /** Events that the tables in use have seen. */
  readonly goal: number;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly failure: string | null;
};

export type RebuildOptions<E extends DomainEvent> = {
  /** That of the reader whose tables are built anew. */
  readonly name: string;
  readonly store: EventStore;
  readonly prefix: string;
  readonly codec: EventCodec<E>;
  readonly database: Database;
  /** The reader's checkpoint table, with its generation (`addCheckpointGeneration`). */
  readonly checkpoints: string;
  /** The table of `createRebuildTable`. */
  readonly rebuilds: string;
  readonly twins: Twins;
  /** Fresh ones, which write into the twins and publish nothing. */
  readonly projections: () => readonly Projection<E>[];
  readonly onError?: (error: unknown) => void;
};

/** The table in which rebuilds tell how far they are, for every process to see. */
export const createRebuildTable = (table: string): string => `
  create table ${quoteName(table)} (
    name text primary key,
    state text not null,
    events bigint not null default 0,
    goal bigint not null default 0,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    failure text
  )`;

/** How long somebody who asks waits to learn whether another process is at it. */
const LOCK_WAIT_MS = 2_000;
/** What may be left to fold while the reader stands still. */
const REMAINDER_EVENTS_MAX = READER_PAGE_SIZE_MAX;
const SNAPSHOT_WAIT_MS = 2_000;
const SNAPSHOT_POLL_MS = 20;
/** The reader works for longer than it stands still between two attempts. */
const ATTEMPT_PAUSE_MS = 3_000;
const SWAP_PATIENCE_MS = 30 * 60_000;

/**
 * Builds the tables of a reader anew beside the ones in use, and swaps them in one short transaction, while events go on coming.
 *
 * The reader counts the events that it has applied; the log has one order. So the new tables stand where the old ones stand when they are made of equally
 * many events, whatever positions look like. For the swap the checkpoint's row is held, which stops the reader; the few events up to its count are
 * folded; then tables and views change places. The checkpoint stays as it is: no event is missed, none comes twice, nothing is published again.
 */
export class Rebuild<E extends DomainEvent> {
  private readonly closing = new AbortController();
  private running: Promise<void> | undefined;
  private applied = 0;

  constructor(private readonly options: RebuildOptions<E>) {}

  /** Begins, unless this or another process is at it already. Answers with how far it is. */
  async start(): Promise<RebuildProgress> {
    const { database, name, rebuilds } = this.options;
    // One that has ended may still be putting its things away.
    if (this.running !== undefined && !isUnderWay((await this.progress()).state)) await this.running;
    if (this.running === undefined && !this.closing.signal.aborted) {
      const lock = await acquireSessionLock(database, lockName(name), AbortSignal.timeout(LOCK_WAIT_MS));
      if (lock !== undefined && this.running === undefined) {
        await database.query(
          `insert into ${quoteName(rebuilds)} (name, state) values ($1, 'folding')
           on conflict (name) do update set state = 'folding', events = 0, goal = 0, started_at = clock_timestamp(), finished_at = null, failure = null`,
          [name],
        );
        this.running = this.run(lock.lost).finally(async () => {
          this.running = undefined;
          await lock.release().catch(() => undefined);
        });
      } else await lock?.release();
    }
    return this.progress();
  }

  /** How far the last rebuild is, in whichever process. */
  async progress(): Promise<RebuildProgress> {
    const { database, name, rebuilds } = this.options;
    const utc = (column: string): string => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`;
    const [row] = await database.query<RebuildProgress & { held: boolean }>(
      `select state, events, goal, ${utc('started_at')} as "startedAt", ${utc('finished_at')} as "finishedAt", failure,
         exists (select from pg_locks where locktype = 'advisory' and objsubid = 1 and granted
           and database = (select oid from pg_database where datname = current_database())
           and (classid::bigint << 32 | objid::bigint) = hashtextextended($2, 0)) as held
       from ${quoteName(rebuilds)} where name = $1`,
      [name, lockName(name)],
    );
    if (row === undefined)
      return { state: 'never', events: 0, goal: 0, startedAt: null, finishedAt: null, failure: null };
    const { held, ...progress } = row;
    return held || !isUnderWay(row.state) ? progress : { ...progress, state: 'interrupted' };
  }

  /** Gives up what is under way and removes its tables. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.running;
  }

  private async run(lost: AbortSignal): Promise<void> {
    const { database, twins, projections } = this.options;
    const signal = AbortSignal.any([this.closing.signal, lost]);
    this.applied = 0;
    const { store, prefix, codec } = this.options;
    await using tail = new LogTail(store, codec, prefix, READER_PAGE_SIZE_MAX, signal);
    try {
      await database.transaction((work) => createTwins(work, twins));
      const fresh = projections();
      await this.catchUp(tail, fresh, signal);
      await this.note('indexing');
      await database.transaction((work) => finishTwins(work, twins));
      await this.note('folding');
      await this.catchUp(tail, fresh, signal);
      await this.note('swapping');
      await this.swap(tail, fresh, signal);
    } catch (error) {
      await this.giveUp(error, lost);
    }
  }

  /** Folds until what is left is little, or grows faster than it is folded. */
  private async catchUp(tail: LogTail<E>, fresh: readonly Projection<E>[], signal: AbortSignal): Promise<void> {
    for (let left = Infinity; ;) {
      signal.throwIfAborted();
      const goal = await this.goal();
      if (goal - this.applied <= REMAINDER_EVENTS_MAX || goal - this.applied >= left) return;
      left = goal - this.applied;
      await this.fold(tail, fresh, goal, signal);
    }
  }

  /** Applies events until so many have been applied in all. They stand in the log: the tables in use have seen them. */
  private async fold(
    tail: LogTail<E>,
    fresh: readonly Projection<E>[],
    goal: number,
    signal: AbortSignal,
  ): Promise<void> {
    while (this.applied < goal) {
      const events = await tail.take(Math.min(READER_PAGE_SIZE_MAX, goal - this.applied));
      signal.throwIfAborted();
      if (events.length === 0) throw new Error(`the log has ended before ${goal} events`);
      await this.write(events, fresh, goal);
      this.applied += events.length;
    }
  }

  private async write(
    events: readonly DecodedEvent<E>[],
    fresh: readonly Projection<E>[],
    goal: number,
  ): Promise<void> {
    const { database, name, rebuilds } = this.options;
    await database.transaction(async (work) => {
      // What a crash of the server takes with it is thrown away anyway.
      await work.query('set local synchronous_commit = off');
      for (const projection of fresh) await projection.apply(events, work);
      await work.query(`update ${quoteName(rebuilds)} set events = $2, goal = $3 where name = $1`, [
        name,
        this.applied + events.length,
        goal,
      ]);
    });
  }

  private async swap(tail: LogTail<E>, fresh: readonly Projection<E>[], signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + SWAP_PATIENCE_MS;
    for (;;) {
      await this.catchUp(tail, fresh, signal);
      const client = await this.options.database.dedicated();
      try {
        return await this.attempt(client, tail, fresh, signal);
      } catch (error) {
        if (!(error instanceof SwapBusyError) || performance.now() > deadline) throw error;
      } finally {
        await client.end().catch(() => undefined);
      }
      await pause(ATTEMPT_PAUSE_MS, signal);
      signal.throwIfAborted();
    }
  }

  /** One transaction on a connection of its own: ended by whatever ends it, it leaves the old tables or the new ones. */
  private async attempt(
    client: pg.Client,
    tail: LogTail<E>,
    fresh: readonly Projection<E>[],
    signal: AbortSignal,
  ): Promise<void> {
    const { name, twins, checkpoints, rebuilds } = this.options;
    // Looked at first, so that the reader does not stand still for an attempt that cannot succeed.
    await client.query('begin');
    await client.query('set local role none');
    await this.awaitOlder(client, await now(client), signal);
    await client.query(`select from ${quoteName(checkpoints)} where name = $1 for update`, [name]);
    const goal = await this.goal(client);
    await whileAlive(client, () => this.fold(tail, fresh, goal, signal));
    await this.awaitOlder(client, await now(client), signal);
    await client.query(`update ${quoteName(checkpoints)} set generation = generation + 1 where name = $1`, [name]);
    await client.query(
      `update ${quoteName(rebuilds)} set state = 'done', events = $2, goal = $2, finished_at = clock_timestamp() where name = $1`,
      [name, this.applied],
    );
    // Without the lock these may be the half-built tables of another process.
    signal.throwIfAborted();
    await swapTwins(client, twins);
    await client.query('commit');
  }

  /** Waits until nobody looks at the database as it was before `since`. @throws SwapBusyError where that takes too long. */
  private async awaitOlder(client: pg.Client, since: string, signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + SNAPSHOT_WAIT_MS;
    for (;;) {
      const [oldest] = await olderReaders(client, since);
      if (oldest === undefined) return;
      signal.throwIfAborted();
      if (performance.now() > deadline)
        throw new SwapBusyError(
          `session ${oldest.pid} of ${oldest.user} has been reading for ${oldest.seconds} s in one transaction: let it end, and start again`,
        );
      await pause(SNAPSHOT_POLL_MS, signal);
    }
  }

  /** How many events the tables in use are made of. */
  private async goal(client?: pg.Client): Promise<number> {
    const { checkpoints, database, name } = this.options;
    const sql = `select events from ${quoteName(checkpoints)} where name = $1`;
    const rows =
      client === undefined
        ? await database.query<{ events: number }>(sql, [name])
        : (await client.query<{ events: number }>(sql, [name])).rows;
    return Number(rows[0]?.events ?? 0);
  }

  private async note(state: RebuildState, failure: string | null = null): Promise<void> {
    const { database, name, rebuilds } = this.options;
    await database.query(
      `update ${quoteName(rebuilds)} set state = $2, failure = $3, finished_at = case when $2 = 'failed' then clock_timestamp() end where name = $1`,
      [name, state, failure],
    );
  }

  private async giveUp(error: unknown, lost: AbortSignal): Promise<void> {
    const { database, twins, onError } = this.options;
    const isStopped = this.closing.signal.aborted;
    const message = error instanceof Error ? error.message : String(error);
    try {
      assertHeld(lost);
      await this.note('failed', isStopped ? 'the service was stopped' : message);
      await database.transaction((work) => {
        assertHeld(lost);
        return dropTwins(work, twins);
      });
    } catch (left) {
      // Whatever stays is removed by the next rebuild.
      onError?.(left);
    }
    if (!isStopped && !lost.aborted) onError?.(error);
  }
}

const isUnderWay = (state: RebuildState): boolean =>
  state === 'folding' || state === 'indexing' || state === 'swapping';

/** Row and tables may be those of another process by now. @throws where the lock is lost. */
const assertHeld = (lost: AbortSignal): void => {
  if (lost.aborted) throw new Error('the rebuild was interrupted: the connection that held its lock broke');
};

const lockName = (name: string): string => `rebuild ${name}`;

const now = async (client: pg.Client): Promise<string> =>
  (await client.query<{ now: string }>('select clock_timestamp()::text as now')).rows[0]?.now ?? '';
