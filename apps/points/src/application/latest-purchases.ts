import type { EventCodec, EventStore } from '@vafa/event-sourcing';
import type { Database } from '@vafa/persistence';
import { streamOf } from '../domain/account.js';
import type { Explanation } from '../domain/earning.js';
import { compareInstants } from '../domain/instant.js';
import type { PointsEvent } from '../events/points-event.js';
import { canonical, utc } from '../read-models/instants.js';

/** A return that names no purchase goes back over so many purchases at most; what is left then has no purchase. */
export const LATEST_PURCHASES_MAX = 200;

/** A purchase of an account, with its award as it was stored. */
export type AwardedPurchase = {
  readonly source: string;
  readonly purchaseId: string;
  readonly awardId: string;
  readonly occurredAt: string;
  readonly explanation: Explanation;
};

/** Which purchases, and whose. `before` is inclusive. */
export type WantedPurchases = { readonly accountId: string; readonly before: string; readonly currency: string };

/** The purchases of accounts from the latest back, as the ledger has them: what the read models do not show yet is read from the streams. */
export class LatestPurchases {
  constructor(
    private readonly database: Database,
    private readonly store: EventStore,
    private readonly codec: EventCodec<PointsEvent>,
  ) {}

  /** For each wish, in its order: purchases in that currency that are not wholly returned, the latest first, `LATEST_PURCHASES_MAX` at most. */
  async before(wanted: readonly WantedPurchases[]): Promise<AwardedPurchase[][]> {
    if (wanted.length === 0) return [];
    const accounts = [...new Set(wanted.map(({ accountId }) => accountId))];
    // First how far the read models have come: whatever they show beyond it is found twice, and nothing is missed.
    const newer = await this.newer(accounts);
    const shown = await this.shown(wanted);
    return wanted.map(({ accountId, before, currency }, index) => {
      const found = new Map<string, AwardedPurchase>();
      const late = (newer.get(accountId) ?? []).filter(
        (one) => one.explanation.currency === currency && compareInstants(one.occurredAt, before) <= 0,
      );
      for (const one of [...(shown[index] ?? []), ...late]) found.set(one.awardId, one);
      return [...found.values()].toSorted(latestFirst).slice(0, LATEST_PURCHASES_MAX);
    });
  }

  private async newer(accounts: readonly string[]): Promise<Map<string, AwardedPurchase[]>> {
    const rows = await this.database.query<{ account_id: string; revision: number }>(
      'select account_id, revision from points.accounts where account_id = any($1)',
      [accounts],
    );
    const shown = new Map(rows.map((row) => [streamOf(row.account_id), row.revision]));
    const tails = await this.store.load(accounts.map(streamOf), shown);
    return new Map(
      accounts.map((accountId) => [
        accountId,
        (tails.get(streamOf(accountId)) ?? []).flatMap((stored) => awardedIn(this.codec.decode(stored).event)),
      ]),
    );
  }

  private async shown(wanted: readonly WantedPurchases[]): Promise<AwardedPurchase[][]> {
    const rows = await this.database.query<Row>(
      `select wanted.place::integer as place, award.* from unnest($1::uuid[], $2::timestamptz[], $3::text[])
         with ordinality as wanted(account_id, before, currency, place)
       cross join lateral (
         select movement.transaction_id, movement.source, movement.purchase_id, ${utc('movement.occurred_at')}, movement.explanation
         from points.transactions movement
         join points.claims claim on claim.kind = 'purchase' and claim.source = movement.source and claim.natural_id = movement.purchase_id
         where movement.account_id = wanted.account_id and movement.kind = 'earned' and movement.occurred_at <= wanted.before
           and claim.currency = wanted.currency and claim.total > (
             select coalesce(sum(line.amount), 0) from points.returned_lines line
             where line.source = movement.source and line.purchase_id = movement.purchase_id)
         order by movement.occurred_at desc, movement.source collate "C" desc, movement.purchase_id collate "C" desc
         limit ${LATEST_PURCHASES_MAX}
       ) award`,
      [
        wanted.map(({ accountId }) => accountId),
        wanted.map(({ before }) => before),
        wanted.map(({ currency }) => currency),
      ],
    );
    const found: AwardedPurchase[][] = wanted.map(() => []);
    for (const row of rows)
      found[row.place - 1]?.push({
        source: row.source,
        purchaseId: row.purchase_id,
        awardId: row.transaction_id,
        occurredAt: canonical(row.occurred_at),
        explanation: JSON.parse(row.explanation) as Explanation,
      });
    return found;
  }
}

type Row = {
  place: number;
  transaction_id: string;
  source: string;
  purchase_id: string;
  occurred_at: string;
  explanation: string;
};

const awardedIn = (event: PointsEvent): AwardedPurchase[] => {
  if (event.type !== 'PointsEarned') return [];
  const { source, purchaseId, transactionId: awardId, occurredAt, explanation } = event.data;
  return [{ source, purchaseId, awardId, occurredAt, explanation }];
};

/** One order for everybody, also where two purchases bear the same time. */
const latestFirst = (one: AwardedPurchase, other: AwardedPurchase): number =>
  compareInstants(other.occurredAt, one.occurredAt) ||
  compareText(other.source, one.source) ||
  compareText(other.purchaseId, one.purchaseId);

const compareText = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);
