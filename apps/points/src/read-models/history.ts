import type { Revision } from '@vafa/event-sourcing';
import type { Database } from '@vafa/persistence';
import type { MovementExplanation } from './movements.js';
import {
  MOVEMENT_COLUMNS,
  movementOf,
  type MovementColumns,
  type MovementRow,
  lotOf,
  type LotColumns,
  EXPIRING_MAX,
  LOT_COLUMNS,
  type Balance,
  type LotPlace,
  type LotRow,
} from './queries.js';
import { canonical, utc } from './instants.js';

/** A moment to look at the ledger from: `asOf` is effective time, `knownAt` recorded time. Both canonical, both inclusive. */
export type Moment = { readonly asOf: string; readonly knownAt: string };

/**
 * What an account was: `revision` is its last event that counts, and `at` the time by which pending and lapsing points are judged.
 * Neither of an account's two times ever goes back along its log, so that what counted at a moment is always a beginning of it.
 */
export type PastState = { readonly accountId: string; readonly revision: Revision; readonly at: string };

/** A movement, its place in the account, and why it has its points. */
export type ExplainedMovement = MovementRow & { readonly explanation: MovementExplanation };

/** The ledger as it was, each a fold of a beginning of the account's log. What it answers does not change. */
export class LedgerHistory {
  constructor(private readonly database: Database) {}

  /** The account as of a moment. */
  async stateAt(accountId: string, { asOf, knownAt }: Moment): Promise<PastState> {
    const revision = await this.lastRevision(accountId, 'effective_at <= $2 and recorded_at <= $3', [asOf, knownAt]);
    return { accountId, revision, at: asOf };
  }

  /** The balance then: every movement counts, and what of the lots is neither left nor pending was spent or is owed. */
  async balance({ accountId, revision, at }: PastState): Promise<Balance> {
    const [row] = await this.database.query<Record<'total' | 'available' | 'pending', string>>(
      `with ${LOTS_THEN}
       select (select coalesce(sum(amount), 0) from points.transactions where account_id = $1 and revision <= $2) as total,
         coalesce(sum(remaining) filter (where available_at <= $3), 0) as available,
         coalesce(sum(remaining) filter (where available_at > $3), 0) as pending
       from lots_then`,
      [accountId, revision, at],
    );
    const [total, available, pending] = [Number(row?.total), Number(row?.available), Number(row?.pending)];
    const balance = total - pending;
    const held = 0;
    return { balance, available, pending, held, debt: available + held - balance };
  }

  /** Points that were to lapse after that moment, the soonest `EXPIRING_MAX` dates. */
  async expiring({ accountId, revision, at }: PastState): Promise<{ amount: number; at: string }[]> {
    const rows = await this.database.query<{ amount: string; expires_at: string }>(
      `with ${LOTS_THEN}
       select sum(remaining) as amount, ${utc('expires_at')} from lots_then where expires_at is not null
       group by lots_then.expires_at order by lots_then.expires_at limit ${EXPIRING_MAX}`,
      [accountId, revision, at],
    );
    return rows.map((row) => ({ amount: Number(row.amount), at: canonical(row.expires_at) }));
  }

  /** Lots that had points left then, in the order in which they are spent. */
  async lots({ accountId, revision, at }: PastState, limit: number, after: LotPlace | null): Promise<LotRow[]> {
    const rows = await this.database.query<LotColumns>(
      `with ${LOTS_THEN}
       select ${LOT_COLUMNS} from lots_then
       where $4::uuid is null
         or (coalesce(expires_at, 'infinity'), available_at, lot_id) > (coalesce($5::timestamptz, 'infinity'), $6::timestamptz, $4::uuid)
       order by coalesce(lots_then.expires_at, 'infinity'), lots_then.available_at, lot_id limit $7`,
      [accountId, revision, at, after?.lotId ?? null, after?.expiresAt ?? null, after?.availableAt ?? null, limit],
    );
    return rows.map(lotOf);
  }

  /** The account right before an instant of effective time, by what was recorded until `knownAt`, inclusive. */
  async stateBefore(accountId: string, instant: string, knownAt: string): Promise<PastState> {
    const revision = await this.lastRevision(accountId, 'effective_at < $2 and recorded_at <= $3', [instant, knownAt]);
    return { accountId, revision, at: instant };
  }

  /** The movements that lead from one state to a later one, in the account's order, `limit` at most. */
  async between(from: PastState, to: PastState, limit: number): Promise<ExplainedMovement[]> {
    const rows = await this.database.query<MovementColumns & { explanation: string }>(
      `select ${MOVEMENT_COLUMNS}, explanation from points.transactions
       where account_id = $1 and revision > $2 and revision <= $3 order by revision limit $4`,
      [to.accountId, from.revision, to.revision, limit],
    );
    return rows.map((row) => ({
      ...movementOf(row),
      explanation: JSON.parse(row.explanation) as MovementExplanation,
    }));
  }

  /** What of the points earned between two states paid debts at once. */
  async debtsPaid(from: PastState, to: PastState): Promise<number> {
    const [row] = await this.database.query<{ paid: string }>(
      `select coalesce(sum(draw.amount), 0) as paid
       from points.lot_draws draw join points.transactions movement using (account_id, revision)
       where account_id = $1 and revision > $2 and revision <= $3 and movement.kind = 'earned'`,
      [to.accountId, from.revision, to.revision],
    );
    return Number(row?.paid ?? 0);
  }

  /** Points that lapse up to each of these instants, all counted from the state's own time. */
  async lapsingUntil({ accountId, revision, at }: PastState, instants: readonly string[]): Promise<number[]> {
    const rows = await this.database.query<{ amount: string }>(
      `with ${LOTS_THEN}
       select (select coalesce(sum(remaining), 0) from lots_then where expires_at <= wanted.instant) as amount
       from unnest($4::timestamptz[]) with ordinality as wanted(instant, nr) order by nr`,
      [accountId, revision, at, instants],
    );
    return rows.map(({ amount }) => Number(amount));
  }

  private async lastRevision(accountId: string, where: string, parameters: readonly unknown[]): Promise<Revision> {
    const [row] = await this.database.query<{ revision: number }>(
      `select revision from points.transactions where account_id = $1 and ${where} order by revision desc limit 1`,
      [accountId, ...parameters],
    );
    return row?.revision ?? NOTHING_YET;
  }
}

/** Before the account's first event. */
const NOTHING_YET = -1;

/**
 * What was left of the lots of account $1 after revision $2, without those that had lapsed by $3. A draw has the revision of the movement that it
 * belongs to: it is found by the key of its table, which holds the draws of every account.
 */
const LOTS_THEN = `drawn as (
  select lot_id, sum(amount) as amount from points.lot_draws where account_id = $1 and revision <= $2 group by lot_id
), lots_then as materialized (
  select lot_id, lot.amount, lot.amount - coalesce(drawn.amount, 0) as remaining, earned_at, available_at, expires_at
  from points.lots lot left join drawn using (lot_id)
  where lot.account_id = $1 and lot.revision <= $2 and (expires_at is null or expires_at > $3)
    and lot.amount > coalesce(drawn.amount, 0)
)`;
