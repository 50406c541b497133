import type { Database } from '@vafa/persistence';
import { canonical, utc } from './instants.js';
import type { MovementKind } from '../domain/movement-kind.js';
import type { MovementExplanation } from './movements.js';

export const PAGE_SIZE_MAX = 500;
export const PAGE_SIZE_DEFAULT = 50;

/** Points of a member; `balance` = available + held − debt, pending stands apart. All in whole points. */
export type Balance = {
  readonly balance: number;
  readonly available: number;
  readonly pending: number;
  readonly held: number;
  readonly debt: number;
};

export type Movement = {
  readonly transactionId: string;
  readonly kind: MovementKind;
  /** What the balance moves by. */
  readonly amount: number;
  /** What the shop bears of a return; it moves no balance. */
  readonly writtenOff: number;
  readonly occurredAt: string;
  readonly effectiveAt: string;
  readonly recordedAt: string;
  readonly ruleVersion: number | null;
  readonly source: string | null;
  readonly purchaseId: string | null;
  readonly returnId: string | null;
};

/** A movement with the place it has in its account: the cursor of a list. */
export type MovementRow = Movement & { readonly revision: number };

export type LotRow = {
  readonly lotId: string;
  readonly amount: number;
  readonly remaining: number;
  readonly earnedAt: string;
  readonly availableAt: string;
  readonly expiresAt: string | null;
};

/** Where a page of lots ended. */
export type LotPlace = Pick<LotRow, 'lotId' | 'availableAt' | 'expiresAt'>;

/** Lapsing points are told for so many dates at most. */
export const EXPIRING_MAX = 20;

/** What is read of the ledger, one query each. */
export class LedgerQueries {
  constructor(private readonly database: Database) {}

  /** An account without movements has none of anything. */
  async balance(accountId: string): Promise<Balance> {
    const [row] = await this.database.query<Record<keyof Balance, string>>(
      'select available + held - debt as balance, available, pending, held, debt from points.accounts where account_id = $1',
      [accountId],
    );
    return {
      balance: Number(row?.balance ?? 0),
      available: Number(row?.available ?? 0),
      pending: Number(row?.pending ?? 0),
      held: Number(row?.held ?? 0),
      debt: Number(row?.debt ?? 0),
    };
  }

  /** Movements, the latest of the account first, `limit` at most, before the revision given (`null`: from the latest). */
  async movements(accountId: string, limit: number, before: number | null): Promise<MovementRow[]> {
    const rows = await this.database.query<MovementColumns>(
      `select ${MOVEMENT_COLUMNS} from points.transactions where account_id = $1 and revision < $2 order by revision desc limit $3`,
      [accountId, before ?? REVISION_MAX, limit],
    );
    return rows.map(movementOf);
  }

  /** One movement of this account with its explanation. */
  async movement(
    accountId: string,
    transactionId: string,
  ): Promise<{ movement: MovementRow; explanation: MovementExplanation } | undefined> {
    const [row] = await this.database.query<MovementColumns & { explanation: string }>(
      `select ${MOVEMENT_COLUMNS}, explanation from points.transactions where transaction_id = $1 and account_id = $2`,
      [transactionId, accountId],
    );
    if (row === undefined) return undefined;
    return { movement: movementOf(row), explanation: JSON.parse(row.explanation) as MovementExplanation };
  }

  /** Points that lapse, by the moment at which they do: the soonest `EXPIRING_MAX`. */
  async expiring(accountId: string): Promise<{ amount: number; at: string }[]> {
    const rows = await this.database.query<{ amount: string; expires_at: string }>(
      `select sum(remaining) as amount, ${utc('expires_at')} from points.lots
       where account_id = $1 and remaining > 0 and expires_at is not null
       group by points.lots.expires_at order by points.lots.expires_at limit ${EXPIRING_MAX}`,
      [accountId],
    );
    return rows.map((row) => ({ amount: Number(row.amount), at: canonical(row.expires_at) }));
  }

  /** Lots with points left, in the order in which they are spent: soonest expiry, then oldest, then id; never-expiring last. */
  async lots(accountId: string, limit: number, after: LotPlace | null): Promise<LotRow[]> {
    const rows = await this.database.query<LotColumns>(
      `select ${LOT_COLUMNS} from points.lots
       where account_id = $1 and remaining > 0 and ($2::uuid is null
         or (coalesce(expires_at, 'infinity'), available_at, lot_id) > (coalesce($3::timestamptz, 'infinity'), $4::timestamptz, $2::uuid))
       order by coalesce(points.lots.expires_at, 'infinity'), points.lots.available_at, lot_id limit $5`,
      [accountId, after?.lotId ?? null, after?.expiresAt ?? null, after?.availableAt ?? null, limit],
    );
    return rows.map(lotOf);
  }
}

const REVISION_MAX = 2_147_483_647;

export type MovementColumns = {
  transaction_id: string;
  kind: MovementKind;
  amount: string;
  written_off: string;
  occurred_at: string;
  effective_at: string;
  recorded_at: string;
  rule_version: number | null;
  source: string | null;
  purchase_id: string | null;
  return_id: string | null;
  revision: number;
};

export type LotColumns = {
  lot_id: string;
  amount: string;
  remaining: string;
  earned_at: string;
  available_at: string;
  expires_at: string | null;
};

/** The columns of a lot, as `lotOf` reads them. */
export const LOT_COLUMNS = `lot_id, amount, remaining, ${utc('earned_at')}, ${utc('available_at')}, ${utc('expires_at')}`;

export const lotOf = (row: LotColumns): LotRow => ({
  lotId: row.lot_id,
  amount: Number(row.amount),
  remaining: Number(row.remaining),
  earnedAt: canonical(row.earned_at),
  availableAt: canonical(row.available_at),
  expiresAt: row.expires_at === null ? null : canonical(row.expires_at),
});

/** The columns of a movement, as `movementOf` reads them. */
export const MOVEMENT_COLUMNS = `transaction_id, kind, amount, written_off, ${utc('occurred_at')}, ${utc('effective_at')}, ${utc('recorded_at')},
  rule_version, source, purchase_id, return_id, revision`;

export const movementOf = (row: MovementColumns): MovementRow => ({
  transactionId: row.transaction_id,
  kind: row.kind,
  amount: Number(row.amount),
  writtenOff: Number(row.written_off),
  occurredAt: canonical(row.occurred_at),
  effectiveAt: canonical(row.effective_at),
  recordedAt: canonical(row.recorded_at),
  ruleVersion: row.rule_version,
  source: row.source,
  purchaseId: row.purchase_id,
  returnId: row.return_id,
  revision: row.revision,
});
