import type { Querier, UnitOfWork } from '@vafa/persistence';
import { quantityOf, quantityText, type Goods } from '../domain/returned-goods.js';
import { CLAIM_COLUMNS, claimOf, keyColumns, keyText, type Claim, type ClaimKey, type ClaimRow } from './claims.js';

/** What a return took of a line. `position` is the return's place among those of its purchase, from 1. */
export type ReturnedRow = Goods & {
  readonly source: string;
  readonly purchaseId: string;
  readonly position: number;
  readonly returnClaim: string;
};

export type PurchaseName = { readonly source: string; readonly purchaseId: string };

/** What returns took of purchases. Whoever adds to a purchase holds its claim's lock, so that there is one order and nothing is taken twice. */
export class ReturnedLines {
  /**
   * Locks claims until the transaction ends, always in the same order, so that two transactions never wait for each other, and answers what they
   * are now.
   */
  async lock(work: UnitOfWork, keys: readonly ClaimKey[]): Promise<ReadonlyMap<string, Claim>> {
    if (keys.length === 0) return new Map();
    const rows = await work.query<ClaimRow>(
      `select ${CLAIM_COLUMNS} from points.claims claim
       where (kind, source, natural_id) in (select * from unnest($1::text[], $2::text[], $3::text[]))
       order by kind, source, natural_id for no key update`,
      keyColumns(keys),
    );
    return new Map(rows.map(claimOf).map((claim) => [keyText(claim), claim]));
  }

  /** Everything that was taken of these purchases, in the order of their returns. */
  async of(querier: Querier, purchases: readonly PurchaseName[]): Promise<ReturnedRow[]> {
    if (purchases.length === 0) return [];
    const rows = await querier.query<Row>(
      `select line.source, line.purchase_id, position, line_id, amount, quantity::text as quantity, return_claim
       from unnest($1::text[], $2::text[]) as wanted(source, purchase_id) join points.returned_lines line using (source, purchase_id)
       order by line.source, line.purchase_id, position`,
      [purchases.map(({ source }) => source), purchases.map(({ purchaseId }) => purchaseId)],
    );
    return rows.map((row) => ({
      source: row.source,
      purchaseId: row.purchase_id,
      position: row.position,
      lineId: row.line_id,
      amount: Number(row.amount),
      quantity: quantityOf(row.quantity),
      returnClaim: row.return_claim,
    }));
  }

  /** The purchases that these returns took of. */
  async purchasesOf(querier: Querier, returnClaims: readonly string[]): Promise<PurchaseName[]> {
    if (returnClaims.length === 0) return [];
    const rows = await querier.query<{ source: string; purchase_id: string }>(
      'select distinct source, purchase_id from points.returned_lines where return_claim = any($1)',
      [returnClaims],
    );
    return rows.map((row) => ({ source: row.source, purchaseId: row.purchase_id }));
  }

  async add(work: UnitOfWork, rows: readonly ReturnedRow[]): Promise<void> {
    await work.copy(
      'points.returned_lines',
      ['source', 'purchase_id', 'position', 'line_id', 'amount', 'quantity', 'return_claim'],
      rows.map((row) => [
        row.source,
        row.purchaseId,
        row.position,
        row.lineId,
        row.amount,
        quantityText(row.quantity),
        row.returnClaim,
      ]),
    );
  }
}

type Row = {
  source: string;
  purchase_id: string;
  position: number;
  line_id: string;
  amount: string;
  quantity: string;
  return_claim: string;
};
