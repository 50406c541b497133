import type { Database } from '@vafa/persistence';
import type { ReversalExplanation } from '../domain/explain-reversal.js';
import { pointsOfReversal } from '../domain/reversing.js';

/** Returns of one purchase that are told with it, the first ones. */
export const RETURNS_TOLD_MAX = 100;

/** A return as it is told with its purchase. */
export type PurchaseReturn = {
  readonly source: string;
  readonly returnId: string;
  readonly status: string;
  readonly reason: string | null;
  /** What it gave back for this purchase, in minor units. */
  readonly amount: number;
  /** What it reverses of this purchase's points: negative, or 0. */
  readonly points: number;
  readonly transactionId: string | null;
};

/** What came back of purchases. */
export class PurchaseReturns {
  constructor(private readonly database: Database) {}

  /** Money given back for a purchase, and its returns in the order in which they came, also those that wait or were refused. */
  async of(source: string, purchaseId: string): Promise<{ returned: number; returns: PurchaseReturn[] }> {
    const rows = await this.database.query<Row>(
      // A return that named no purchase stands in the lines it took, and in its movement.
      `with back as (
         select return_claim as id, sum(amount) as amount from points.returned_lines where source = $1 and purchase_id = $2 group by return_claim
       ), named as (
         select claim_id as id, source, natural_id, case status when 'taking' then 'taken' else status end as status, reason
         from points.claims where source = $1 and purchase_id = $2 and kind = 'return'
       )
       select coalesce(named.source, movement.source) as source, coalesce(named.natural_id, movement.return_id) as return_id,
         coalesce(named.status, 'taken') as status, named.reason, coalesce(back.amount, 0) as amount, movement.transaction_id, movement.explanation
       from back full join named using (id) left join points.transactions movement on movement.transaction_id = id
       where named.source is not null or movement.source is not null order by id limit ${RETURNS_TOLD_MAX}`,
      [source, purchaseId],
    );
    const [total] = await this.database.query<{ returned: string }>(
      'select coalesce(sum(amount), 0) as returned from points.returned_lines where source = $1 and purchase_id = $2',
      [source, purchaseId],
    );
    return {
      returned: Number(total?.returned ?? 0),
      returns: rows.map((row) => ({
        source: row.source,
        returnId: row.return_id,
        status: row.status,
        reason: row.reason,
        amount: Number(row.amount),
        points: 0 - pointsOf(row.explanation, source, purchaseId),
        transactionId: row.transaction_id,
      })),
    };
  }
}

type Row = {
  source: string;
  return_id: string;
  status: string;
  reason: string | null;
  amount: string;
  transaction_id: string | null;
  explanation: string | null;
};

const pointsOf = (explanation: string | null, source: string, purchaseId: string): number => {
  if (explanation === null) return 0;
  const { reversals } = JSON.parse(explanation) as ReversalExplanation;
  const own = reversals.filter((reversal) => reversal.source === source && reversal.purchaseId === purchaseId);
  return own.reduce((sum, reversal) => sum + pointsOfReversal(reversal), 0);
};
