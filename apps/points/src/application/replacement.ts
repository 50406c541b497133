import {
  hashOfContent,
  NATURAL_ID_LENGTH_MAX,
  type ActivityData,
  type PurchaseData,
  type ReturnData,
} from '@vafa/contracts';
import { assertNever } from '@vafa/event-sourcing';
import type { Database } from '@vafa/persistence';
import { carriedLine } from '../domain/returned-goods.js';
import type { ActivityIntake, IncomingActivity } from './activities.js';
import type { Claiming } from './claiming.js';
import { keyText, type Claim, type ClaimKey, type Claims } from './claims.js';
import type { InboxItems } from './inbox-items.js';
import type { IncomingPurchase, PurchaseIntake } from './intake.js';
import { BEING_REPLACED, goodsOfPurchase, wholeReturnOf } from './return-decision.js';
import type { ReturnedLines } from './returned-lines.js';
import type { IncomingReturn, ReturnIntake } from './returns.js';
import type { Settlement, Settlements } from './settlements.js';

export type ReplacementParts = {
  readonly database: Database;
  readonly claims: Claims;
  readonly claiming: Claiming;
  readonly purchases: PurchaseIntake;
  readonly returns: ReturnIntake;
  readonly activities: ActivityIntake;
  readonly items: InboxItems;
  readonly lines: ReturnedLines;
  readonly settlements: Settlements;
};

/**
 * Has the other content of a conflict count instead of what stands: that is returned as a whole, the other is taken in under an id of its own, and
 * what had come back of the one comes back of the other. Every id derives from the conflict, so that each step may be repeated.
 */
export class Replacement {
  constructor(private readonly parts: ReplacementParts) {}

  /**
   * Does what follows from the decision to replace. Repeating any part of it changes nothing.
   * @throws while another replacement under the same key is under way; then it has to come again.
   */
  async follow(settlement: Settlement): Promise<void> {
    const other = await this.otherOf(settlement);
    const chain = await this.parts.claims.replacements(settlement);
    const counting = chain.at(-1) ?? settlement;
    const place = chain.findIndex(({ naturalId }) => naturalId === other.naturalId);
    // Where somebody replaced it by the content of another conflict, that is what counts, as soon as everything of it stands there.
    if (place === -1) {
      const current = await this.standing(counting);
      if (current === undefined || (await this.isUnderWay(settlement, counting)))
        throw new Error('What stands there is just being replaced.');
      await this.undo(current, other.naturalId);
    } else if (counting.naturalId !== other.naturalId) return;
    switch (other.kind) {
      case 'purchase':
        await this.parts.purchases.take([other]);
        return this.carryOver(place === -1 ? counting : (chain[place - 1] ?? settlement), other, settlement);
      case 'activity':
        return this.parts.activities.take([other]);
      default:
        return assertNever(other);
    }
  }

  /** Whether what counts replaced something itself and not everything of that is done. */
  private async isUnderWay({ settlementId }: Settlement, counting: ClaimKey): Promise<boolean> {
    const others = await this.parts.settlements.unfinishedReplacements(counting.source);
    return others.some(
      (one) => one.settlementId !== settlementId && replacementId(one.naturalId, one.itemId) === counting.naturalId,
    );
  }

  private async standing(key: ClaimKey): Promise<Claim | undefined> {
    return (await this.parts.claims.find([key])).get(keyText(key));
  }

  /** Makes a claim as if it had never counted: what the ledger has of it is returned, and it points at what counts instead. */
  private async undo(claim: Claim, replacement: string): Promise<void> {
    const { claims, claiming, database, purchases } = this.parts;
    if (claim.status === 'taking') await purchases.resume([claim]);
    const isInLedger = claim.kind === 'purchase' && (claim.status === 'taken' || claim.status === 'taking');
    const seen: Claim = isInLedger ? { ...claim, status: 'taken' } : claim;
    if (isInLedger) {
      // From here on whatever else comes back of it waits for what replaces it.
      const change = { reason: BEING_REPLACED };
      const marked = await database.transaction((work) => claims.settle(work, seen, change));
      if (!marked) throw new Error('What stands there changed before it was replaced.');
      await this.returnWhole(claim);
    }
    const change = { reason: 'replaced', purchaseId: replacement };
    const isTold = !isInLedger && claim.status !== 'refused';
    const done = await database.transaction(async (work) => {
      if (claim.kind === 'purchase') await claims.redirectReturns(work, claim, replacement);
      const changed: Partial<Claim> = isTold ? { ...change, status: 'refused' } : change;
      if (!(await claims.settle(work, seen, changed))) return false;
      if (isTold) await claiming.publish(work, [{ ...seen, ...changed }]);
      return true;
    });
    if (!done) throw new Error('What stands there changed while it was being replaced.');
  }

  private async returnWhole(claim: Claim): Promise<void> {
    const { source, naturalId: purchaseId, content } = claim;
    const returnId = wholeReturnOf(claim);
    // Of the moment of the purchase itself, so that no window closes before it.
    const { occurredAt } = JSON.parse(content) as PurchaseData;
    const given = incoming(source, { returnId, purchaseId, member: null, occurredAt, whole: true });
    await this.parts.returns.take([given]);
    const standing = await this.standing(given);
    // Refused: everything had come back before.
    if (standing?.status !== 'taken' && standing?.status !== 'refused')
      throw new Error('What stands there could not be returned.');
  }

  /**
   * What had come back of the purchase that stood there comes back of the other. Where the other has not as much of a line, a person has to look
   * at that return.
   */
  private async carryOver(replaced: ClaimKey, other: IncomingPurchase, { itemId }: Settlement): Promise<void> {
    const { source } = replaced;
    const before = await this.standing(replaced);
    const now = await this.standing(other);
    if (before === undefined || now === undefined) throw new Error('What was replaced is gone.');
    const whole = await this.standing({ kind: 'return', source, naturalId: wholeReturnOf(before) });
    const taken = await this.parts.lines.of(this.parts.database, [{ source, purchaseId: replaced.naturalId }]);
    const bought = new Map(goodsOfPurchase(before).map((line) => [line.lineId, line]));
    const offered = new Map(goodsOfPurchase(now).map((line) => [line.lineId, line]));
    const returns = [...Map.groupBy(taken, ({ returnClaim }) => returnClaim)]
      .filter(([returnClaim]) => returnClaim !== whole?.claimId)
      .map(([returnClaim, rows]) =>
        incoming(source, {
          returnId: `carried-${returnClaim};replacement=${itemId}`,
          purchaseId: other.naturalId,
          member: null,
          occurredAt: other.data.occurredAt,
          lines: rows.map((row) => carriedLine(row, bought.get(row.lineId), offered.get(row.lineId))),
        }),
      );
    await this.parts.returns.take(returns.map((one) => ({ ...one, carriedOver: true })));
  }

  /** The other content of a conflict as an input of its own. */
  private async otherOf({ itemId }: Settlement): Promise<IncomingPurchase | IncomingActivity> {
    const item = await this.parts.items.find(itemId);
    if (item === undefined) throw new Error('A conflict that was settled is gone.');
    const { source, reference: member, hash } = item;
    const naturalId = replacementId(item.naturalId, itemId);
    const content = JSON.parse(item.content) as object;
    if (item.kind === 'return') throw new Error('A return cannot be replaced.');
    return item.kind === 'purchase'
      ? {
          kind: 'purchase',
          source,
          naturalId,
          data: { ...(content as PurchaseData), purchaseId: naturalId, member },
          hash,
        }
      : {
          kind: 'activity',
          source,
          naturalId,
          data: { ...(content as ActivityData), activityId: naturalId, member },
          hash,
        };
  }
}

/** The id under which the other content of a conflict counts, within the same source, once it replaced what stood there. */
export const replacementId = (naturalId: string, conflictId: string): string => {
  const suffix = `;replacement=${conflictId}`;
  return naturalId.slice(0, NATURAL_ID_LENGTH_MAX - suffix.length) + suffix;
};

const incoming = (source: string, data: ReturnData): IncomingReturn => ({
  kind: 'return',
  source,
  naturalId: data.returnId,
  data,
  hash: hashOfContent(data),
});
