import { canonicalInstant, type PurchaseData } from '@vafa/contracts';
import { isStaff, type Actor, type Clock } from '@vafa/service';
import type { Database, UnitOfWork } from '@vafa/persistence';
import { keyText, type Claim, type Claims } from './claims.js';
import type { Inbox } from './inbox.js';
import type { PurchaseIntake } from './intake.js';
import type { Settlements } from './settlements.js';

/** What a member may claim alone; staff may claim any purchase for anybody. */
export const OWN_CLAIM_AGE_DAYS_MAX = 90;
export const OWN_CLAIMS_PER_DAY_MAX = 5;

/** What stands on a receipt. `total` in minor units of `currency`; `date` as on the receipt, in whatever zone it was printed. */
export type Receipt = { readonly total: number; readonly currency: string; readonly date: string };

export type PurchaseClaim = {
  readonly memberId: string;
  readonly source: string;
  readonly purchaseId: string;
  readonly receipt: Receipt | null;
  readonly actor: Actor;
  readonly reason: string;
};

export type PurchaseClaimRejection =
  | { readonly code: 'unknown-purchase' }
  | { readonly code: 'already-claimed' }
  | { readonly code: 'purchase-too-old'; readonly days: number }
  | { readonly code: 'too-many-claims'; readonly limit: number };

type Parts = {
  readonly database: Database;
  readonly clock: Clock;
  readonly claims: Claims;
  readonly purchases: PurchaseIntake;
  readonly inbox: Inbox;
  readonly settlements: Settlements;
};

/** Gives purchases that were nobody's to the members who have their receipts: the first claim wins. */
export class PurchaseClaims {
  constructor(private readonly parts: Parts) {}

  /** Claims one purchase; `null` once it is the member's, now or since an earlier claim. */
  async claim(wish: PurchaseClaim): Promise<PurchaseClaimRejection | null> {
    const key = { kind: 'purchase', source: wish.source, naturalId: wish.purchaseId } as const;
    const claim = (await this.parts.claims.find([key])).get(keyText(key));
    // Whoever has the wrong receipt learns as much as whoever made one up.
    if (claim === undefined || !isReceiptOf(claim, wish.receipt)) return { code: 'unknown-purchase' };
    if (claim.status !== 'anonymous') return this.settled(claim, wish);
    const alone = wish.actor.role === 'member';
    if (alone && this.isOld(claim)) return { code: 'purchase-too-old', days: OWN_CLAIM_AGE_DAYS_MAX };
    const revision = await this.parts.purchases.revisionOf(wish.memberId);
    const settlement = this.parts.inbox.settlementOf(
      { ...key, itemId: claim.claimId },
      'anonymous',
      { action: 'claim', actor: wish.actor, reason: wish.reason },
      wish.memberId,
    );
    let tooMany = false;
    const won = await this.parts.inbox.decide(settlement, wish.actor, async (work) => {
      tooMany = alone && (await this.hasClaimedEnough(work, wish.memberId));
      return (
        !tooMany && this.parts.claims.settle(work, claim, { status: 'taking', accountId: wish.memberId, revision })
      );
    });
    if (tooMany) return { code: 'too-many-claims', limit: OWN_CLAIMS_PER_DAY_MAX };
    if (won) await this.parts.inbox.finish(settlement);
    return won ? null : this.claim(wish);
  }

  private async settled(claim: Claim, { memberId }: PurchaseClaim): Promise<PurchaseClaimRejection | null> {
    if (claim.status === 'refused' || claim.accountId === null) return { code: 'unknown-purchase' };
    const earlier = await this.parts.settlements.latest(claim.claimId);
    const isOwn = earlier?.action === 'claim' && claim.accountId === memberId;
    return isOwn ? null : { code: 'already-claimed' };
  }

  private isOld(claim: Claim): boolean {
    const earliest = this.parts.clock.now().subtract({ hours: 24 * OWN_CLAIM_AGE_DAYS_MAX });
    return Temporal.Instant.compare(Temporal.Instant.from(contentOf(claim).occurredAt), earliest) < 0;
  }

  /** Counts under a lock of the member: two claims at once are not both the last one. */
  private async hasClaimedEnough(work: UnitOfWork, memberId: string): Promise<boolean> {
    await work.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`claims of ${memberId}`]);
    const dayAgo = canonicalInstant(this.parts.clock.now().subtract({ hours: 24 }));
    return (await this.parts.settlements.claimedSince(work, memberId, dayAgo)) >= OWN_CLAIMS_PER_DAY_MAX;
  }
}

/** Who claims for themselves proves it with the receipt; staff have seen it. */
export const needsReceipt = ({ role }: Actor): boolean => !isStaff(role) && role !== 'service';

const contentOf = (claim: Claim): PurchaseData => JSON.parse(claim.content) as PurchaseData;

/** A receipt bears the date of the shop, which is that in UTC or a day beside it. */
const isReceiptOf = (claim: Claim, receipt: Receipt | null): boolean => {
  if (receipt === null) return true;
  const { total, currency, occurredAt } = contentOf(claim);
  const date = Temporal.Instant.from(occurredAt).toZonedDateTimeISO('UTC').toPlainDate();
  const daysApart = Math.abs(date.until(receipt.date).days);
  return total === receipt.total && currency === receipt.currency && daysApart <= 1;
};
