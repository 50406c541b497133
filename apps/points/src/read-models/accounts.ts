import type { DecodedEvent, EventCodec, EventStore, Revision, StreamState } from '@vafa/event-sourcing';
import { whileAlive, type Querier, type UnitOfWork } from '@vafa/persistence';
import { accountOf, pointsAccount, streamOf, type PointsAccount } from '../domain/account.js';
import type { Lot } from '../domain/lots.js';
import type { PointsEvent } from '../events/points-event.js';
import type { LedgerSchema } from './tables.js';

/** An account as the read models hold it after a page. */
export type AccountRow = {
  readonly memberId: string;
  readonly revision: Revision;
  readonly account: PointsAccount;
  /** Whether the state is written as well, for commands to start from. */
  readonly snapshot: boolean;
};

/** An account, and the revision that its stored snapshot stands at. */
export type Snapshotted = { readonly account: PointsAccount; readonly snapshotRevision: Revision };
export type Folded = StreamState<Snapshotted>;

/**
 * An account with many open lots has a large state: writing it with every event would cost the square of their number. So its snapshot may
 * lag by a number of events that grows with it, and whoever reads it folds that many on top.
 */
const LOTS_PER_LAGGING_EVENT = 16;

export const snapshotDue = (account: PointsAccount, revision: Revision, snapshotRevision: Revision): boolean =>
  revision - snapshotRevision > account.lots.length / LOTS_PER_LAGGING_EVENT;

/** Reads accounts in bulk: one query, and one read of the store for all whose snapshot lags. */
export class AccountSnapshots {
  constructor(
    private readonly store: EventStore,
    private readonly codec: EventCodec<PointsEvent>,
    private readonly schema: LedgerSchema = 'points',
  ) {}

  /** The accounts as the read models hold them: what the store has beyond is not in. Accounts without a row are absent. */
  async read(streamIds: readonly string[], from: Querier): Promise<Map<string, Folded>> {
    if (streamIds.length === 0) return new Map();
    const rows = await from.query<SnapshotRow>(
      `select account_id, revision, state_revision, state from ${this.schema}.accounts where account_id = any($1)`,
      [streamIds.map(accountOf)],
    );
    const lagging = rows.filter((row) => row.state_revision < row.revision);
    const tails = await this.tails(lagging, from);
    return new Map(
      rows.map((row) => {
        const streamId = streamOf(row.account_id);
        const tail = (tails.get(streamId) ?? []).filter((event) => event.revision <= row.revision);
        const account = tail.reduce((folded, { event }) => pointsAccount.evolve(folded, event), accountOfRow(row));
        return [streamId, { revision: row.revision, state: { account, snapshotRevision: row.state_revision } }];
      }),
    );
  }

  /** The same as commands need them. */
  async states(streamIds: readonly string[], from: Querier): Promise<Map<string, StreamState<PointsAccount>>> {
    const accounts = await this.read(streamIds, from);
    return new Map(
      [...accounts].map(([streamId, { revision, state }]) => [streamId, { revision, state: state.account }]),
    );
  }

  private async tails(
    lagging: readonly SnapshotRow[],
    from: Querier,
  ): Promise<Map<string, DecodedEvent<PointsEvent>[]>> {
    if (lagging.length === 0) return new Map();
    const after = new Map(lagging.map((row) => [streamOf(row.account_id), row.state_revision]));
    // A projection reads within its transaction, and a store that is slow or away for a while would outlast it.
    const stored = await whileAlive(from, () => this.store.load([...after.keys()], after));
    return new Map(
      [...stored].map(([streamId, events]) => [streamId, events.map((event) => this.codec.decode(event))]),
    );
  }
}

/** Writes accounts in one statement; a snapshot that is not due stays as it is. */
export const writeAccounts = async (
  rows: readonly AccountRow[],
  work: UnitOfWork,
  schema: LedgerSchema,
): Promise<void> => {
  await work.query(
    `insert into ${schema}.accounts as account (account_id, member_id, revision, available, debt, earned_total, reversed_total, last_effective_at, state_revision, state)
     select account_id, member_id, revision, available, debt, earned_total, reversed_total, last_effective_at, case when state is null then -1 else revision end, coalesce(state, '')
     from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::timestamptz[], $9::text[])
       as page(account_id, member_id, revision, available, debt, earned_total, reversed_total, last_effective_at, state)
     on conflict (account_id) do update set revision = excluded.revision, available = excluded.available, debt = excluded.debt,
       earned_total = excluded.earned_total, reversed_total = excluded.reversed_total, last_effective_at = excluded.last_effective_at,
       state_revision = case when excluded.state = '' then account.state_revision else excluded.state_revision end,
       state = case when excluded.state = '' then account.state else excluded.state end`,
    [
      rows.map((row) => row.account.accountId),
      rows.map((row) => row.memberId),
      rows.map((row) => row.revision),
      rows.map((row) => row.account.available),
      rows.map((row) => row.account.debt),
      rows.map((row) => row.account.earnedTotal),
      rows.map((row) => row.account.reversedTotal),
      rows.map((row) => row.account.lastEffectiveAt),
      rows.map((row) => (row.snapshot ? textOf(row.account) : null)),
    ],
  );
};

type SnapshotRow = { account_id: string; revision: number; state_revision: number; state: string };

/** The stored form names no fields of lots: an account may have thousands of them. */
type SnapshotText = {
  readonly at: string | null;
  readonly available: number;
  readonly earned: number;
  /** Left out where there is none, as in snapshots from before there were returns. */
  readonly debt?: number;
  readonly reversed?: number;
  readonly lots: readonly (readonly [
    lotId: string,
    remaining: number,
    availableAt: string,
    expiresAt: string | null,
  ])[];
};

const textOf = (state: PointsAccount): string => {
  const lots = state.lots.map((lot) => [lot.lotId, lot.remaining, lot.availableAt, lot.expiresAt] as const);
  const { lastEffectiveAt: at, available, earnedTotal: earned, debt, reversedTotal: reversed } = state;
  const text: SnapshotText = {
    at,
    available,
    earned,
    ...(debt === 0 ? {} : { debt }),
    ...(reversed === 0 ? {} : { reversed }),
    lots,
  };
  return JSON.stringify(text);
};

const accountOfRow = (row: SnapshotRow): PointsAccount => {
  const { at, available, earned, debt = 0, reversed = 0, lots } = JSON.parse(row.state) as SnapshotText;
  return {
    accountId: row.account_id,
    lastEffectiveAt: at,
    available,
    debt,
    earnedTotal: earned,
    reversedTotal: reversed,
    lots: lots.map(([lotId, remaining, availableAt, expiresAt]): Lot => ({ lotId, remaining, availableAt, expiresAt })),
  };
};
