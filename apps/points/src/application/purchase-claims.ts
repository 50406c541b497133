import { canonicalInstant, type PurchaseData } from '@vafa/contracts';
import { allows, type Actor, type Clock } from '@vafa/service';
import type { Database, UnitOfWork } from '@vafa/persistence';
import { keyText, type Claim, type Claims } from './claims.js';
import type { Inbox } from './inbox.js';
import type { PurchaseIntake } from './intake.js';
import type { Settlements } from './settlements.js';

/** What a member may claim alone; staff may claim any purchase for anybody. */
export const OWN_CLAIM_AGE_DAYS_MAX = 90;
export const OWN_CLAIMS_PER_DAY_MAX = 5;
/** Tries of a member in 24 hours that no purchase fits: receipt numbers follow one another, and a total can be guessed. */
export const OWN_MISSES_PER_DAY_MAX = 10;
/** Whoever loses a claim finds it settled when he looks again; one who does not has met a fault. */
const ATTEMPTS_MAX = 3;

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

  /**
   * Claims one purchase; `null` once it is the member's, now or since an earlier claim. Beyond the limits of a member everything is answered alike,
   * a right receipt too.
   * @throws when the purchase can be neither claimed nor found claimed.
   */
  async claim(wish: PurchaseClaim): Promise<PurchaseClaimRejection | null> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const result = await this.tryToClaim(wish);
      if (result !== 'lost') return result;
    }
    throw new Error(`the claim of purchase ${wish.purchaseId} of ${wish.source} was lost ${ATTEMPTS_MAX} times`);
  }

  private async tryToClaim(wish: PurchaseClaim): Promise<PurchaseClaimRejection | 'lost' | null> {
    const key = { kind: 'purchase', source: wish.source, naturalId: wish.purchaseId } as const;
    const claim = (await this.parts.claims.find([key])).get(keyText(key));
    const fits = claim !== undefined && isReceiptOf(claim, wish.receipt);
    const alone = wish.actor.role === 'member';
    if (alone && !(fits && claim.accountId === wish.memberId) && (await this.hasMissedEnough(wish.memberId, !fits)))
      return { code: 'too-many-claims', limit: OWN_CLAIMS_PER_DAY_MAX };
    // Whoever has the wrong receipt learns as much as whoever made one up.
    if (!fits) return { code: 'unknown-purchase' };
    if (claim.status !== 'anonymous') return this.settled(claim, wish);
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
    if (!won) return 'lost';
    await this.parts.inbox.finish(settlement);
    return null;
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
    await lock(work, memberId);
    return (await this.parts.settlements.claimedSince(work, memberId, this.dayAgo())) >= OWN_CLAIMS_PER_DAY_MAX;
  }

  /** Counts likewise, and counts this try if it is a miss and one more is allowed. */
  private async hasMissedEnough(memberId: string, isMiss: boolean): Promise<boolean> {
    return this.parts.database.transaction(async (work) => {
      await lock(work, memberId);
      const misses = await this.parts.settlements.missedSince(work, memberId, this.dayAgo());
      if (misses >= OWN_MISSES_PER_DAY_MAX) return true;
      if (isMiss) await this.parts.settlements.addMiss(work, memberId, canonicalInstant(this.parts.clock.now()));
      return false;
    });
  }

  private dayAgo(): string {
    return canonicalInstant(this.parts.clock.now().subtract({ hours: 24 }));
  }
}

const lock = async (work: UnitOfWork, memberId: string): Promise<void> => {
  await work.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`claims of ${memberId}`]);
};

/** Whoever may settle the inbox has the say over what is nobody's; everybody else proves a claim with the receipt, for others as well. */
export const needsReceipt = ({ role }: Actor): boolean => role !== 'operator' && !allows(role, 'inbox:settle');

const contentOf = (claim: Claim): PurchaseData => JSON.parse(claim.content) as PurchaseData;

/** A receipt bears the date of the shop, which is that in UTC or a day beside it. */
const isReceiptOf = (claim: Claim, receipt: Receipt | null): boolean => {
  if (receipt === null) return true;
  const { total, currency, occurredAt } = contentOf(claim);
  const date = Temporal.Instant.from(occurredAt).toZonedDateTimeISO('UTC').toPlainDate();
  const daysApart = Math.abs(date.until(receipt.date).days);
  return total === receipt.total && currency === receipt.currency && daysApart <= 1;
};
