import { canonicalInstant } from '@vafa/contracts';
import { assertNever, NO_STREAM } from '@vafa/event-sourcing';
import type { Database, UnitOfWork } from '@vafa/persistence';
import { isStaff, type Actor, type Audit, type Clock } from '@vafa/service';
import { uuidv7 } from 'uuidv7';
import { actionsFor, type InboxAction } from '../domain/inbox.js';
import { NOT_IN_PROGRAMME } from './activities.js';
import { keyText, type Claim, type ClaimKey, type ClaimKind, type Claims } from './claims.js';
import type { Claiming } from './claiming.js';
import type { InboxItem, InboxItems } from './inbox-items.js';
import type { PurchaseIntake } from './intake.js';
import type { References } from './references.js';
import type { Replacement } from './replacement.js';
import { APPROVED } from './return-decision.js';
import type { ReturnIntake } from './returns.js';
import type { Settlement, Settlements } from './settlements.js';

/** What a person wants done about an item, and whom or what it belongs to where that is to be said. */
export type InboxDecision = {
  readonly action: InboxAction;
  readonly reason: string;
  readonly actor: Actor;
  /** A reference. */
  readonly member: string | null;
  /** The purchase that a return is of, by its id within the same source. */
  readonly purchaseId: string | null;
};

export type InboxRejection =
  | { readonly code: 'unknown-item' }
  | { readonly code: 'already-settled'; readonly settlement: Settlement | null }
  | {
      readonly code: 'action-not-possible';
      readonly kind: ClaimKind;
      readonly action: InboxAction;
      /** What is possible. */
      readonly actions: readonly InboxAction[];
    }
  | { readonly code: 'replacement-refused'; readonly reason: string; readonly actions: readonly InboxAction[] }
  | { readonly code: 'target-needed'; readonly field: 'member' | 'purchaseId' }
  | { readonly code: 'target-unknown'; readonly field: 'member' | 'purchaseId' };

export type InboxOutcome =
  | { readonly accepted: true; readonly settlement: Settlement }
  | { readonly accepted: false; readonly rejection: InboxRejection };

export type InboxParts = {
  readonly database: Database;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly claims: Claims;
  readonly claiming: Claiming;
  readonly references: References;
  readonly purchases: PurchaseIntake;
  readonly returns: ReturnIntake;
  readonly replacement: Replacement;
  readonly items: InboxItems;
  readonly settlements: Settlements;
  /** Told of what could not be finished at once; it is tried again. */
  readonly onError: (error: unknown) => void;
};

/** Decisions that are finished in one go. */
export const UNFINISHED_PAGE_SIZE = 100;

/**
 * Settles what only a person can settle. A decision, its entry in the audit and the guard against everybody else are one transaction; what follows
 * from it in the ledger is done afterwards, by whoever decided or, after a crash, by `finishAll`. Every step of it may be repeated: the
 * ids of what it writes derive from the item.
 */
export class Inbox {
  constructor(private readonly parts: InboxParts) {}

  /** Settles an item as decided. The same decision by the same person again is answered with the first. */
  async settle(itemId: string, decision: InboxDecision): Promise<InboxOutcome> {
    const item = await this.parts.items.find(itemId);
    if (item === undefined) return rejected({ code: 'unknown-item' });
    const field = item.kind === 'return' ? 'purchaseId' : 'member';
    const target = decision.action === 'attach' ? await this.targetOf(item, decision[field]) : null;
    const latest = await this.parts.settlements.latest(itemId);
    // A return that is being taken up after its approval looks as if it waited; who approved it was first.
    if (!item.open || latest?.finishedAt === null) return again(latest, decision, target);
    const actions = actionsFor(item);
    const { kind } = item;
    const { action } = decision;
    if (!actions.includes(action)) return rejected({ code: 'action-not-possible', kind, action, actions });
    const refusal = action === 'replace' ? this.refusalOf(item) : null;
    if (refusal !== null)
      return rejected({
        code: 'replacement-refused',
        reason: refusal,
        actions: actions.filter((one) => one !== action),
      });
    if (decision.action === 'attach' && decision[field] === null) return rejected({ code: 'target-needed', field });
    if (target === undefined) return rejected({ code: 'target-unknown', field });
    const settlement = this.settlementOf(item, item.status, decision, target);
    const isMember = target !== null && item.kind !== 'return';
    const noted = isMember ? await this.parts.purchases.revisionOf(target) : NO_STREAM;
    const done = await this.decide(settlement, decision.actor, (work) => this.carryOut(work, item, settlement, noted));
    if (!done) return again(await this.parts.settlements.latest(itemId), decision, target);
    return { accepted: true, settlement: await this.finish(settlement) };
  }

  /** Records a decision with its entry in the audit, if `carryOut` finds that it can still be taken; answers whether it could. */
  async decide(
    settlement: Settlement,
    actor: Actor,
    carryOut: (work: UnitOfWork) => Promise<boolean>,
  ): Promise<boolean> {
    const { kind, source, naturalId, was, action, target, reason } = settlement;
    return this.parts.database.transaction(async (work) => {
      if (!(await carryOut(work))) return false;
      await this.parts.settlements.add(work, settlement);
      // Programs and members act for themselves: their acts stand in the record of settlements alone.
      if (!isStaff(actor.role)) return true;
      await this.parts.audit.record(work, {
        actor,
        action: 'inbox.settled',
        subject: `${kind}:${source}/${naturalId}`,
        reason,
        details: { action, was, item: settlement.itemId, ...(target === null ? {} : { target }) },
      });
      return true;
    });
  }

  /** Does what follows from a decision. What cannot be done now is left for `finishAll`; the answer says which it is. */
  async finish(settlement: Settlement): Promise<Settlement> {
    if (settlement.finishedAt !== null) return settlement;
    try {
      await this.follow(settlement);
      const finishedAt = this.now();
      await this.parts.settlements.finish(settlement.settlementId, finishedAt);
      return { ...settlement, finishedAt };
    } catch (error) {
      this.parts.onError(error);
      return settlement;
    }
  }

  /** Goes on with decisions of which something is still to be done: those that a crash or an outage cut off. */
  async finishAll(): Promise<void> {
    for (const settlement of await this.parts.settlements.unfinished(UNFINISHED_PAGE_SIZE))
      await this.finish(settlement);
  }

  /** Why what would replace something would not count itself: then what stands there is not undone for it. */
  private refusalOf({ content }: InboxItem): string | null {
    const { occurredAt } = JSON.parse(content) as { readonly occurredAt: string };
    return this.parts.claiming.refusalOf(occurredAt);
  }

  settlementOf(
    item: ClaimKey & { readonly itemId: string },
    was: Settlement['was'],
    { action, actor, reason }: { action: Settlement['action']; actor: Actor; reason: string },
    target: string | null,
  ): Settlement {
    const { itemId, kind, source, naturalId } = item;
    const decidedAt = this.now();
    const { subject, role, clientId } = actor;
    return {
      settlementId: uuidv7(),
      ...{ itemId, kind, source, naturalId, was, action, target, reason, decidedAt },
      actor: { subject, role, clientId },
      // What is done by the decision itself leaves nothing to follow.
      finishedAt: action === 'keep' ? decidedAt : null,
    };
  }

  /** The part of a decision that stands in its own transaction; false where somebody was quicker. */
  private async carryOut(
    work: UnitOfWork,
    item: InboxItem,
    { action, target, decidedAt }: Settlement,
    revision: number,
  ): Promise<boolean> {
    if (item.status === 'conflict') return this.parts.claims.closeConflict(work, item.itemId, decidedAt);
    const claim = (await this.parts.claims.find([item])).get(keyText(item));
    if (claim?.status !== item.status) return false;
    switch (action) {
      case 'discard':
        return this.become(work, claim, { status: 'refused', reason: 'discarded' });
      case 'attach':
        if (claim.kind === 'return') return this.release(work, claim, target);
        return claim.kind === 'activity'
          ? this.become(work, claim, { status: 'taken', reason: NOT_IN_PROGRAMME, accountId: target })
          : this.parts.claims.settle(work, claim, { status: 'taking', reason: null, accountId: target, revision });
      case 'approve':
        return this.release(work, claim, claim.purchaseId);
      case 'keep':
      case 'replace':
      case 'claim':
        throw new Error(`A claim that is ${claim.status} cannot be settled by ${action}.`);
      default:
        return assertNever(action);
    }
  }

  /** Lets a return go on, past what held it up. */
  private release(work: UnitOfWork, claim: Claim, purchaseId: string | null): Promise<boolean> {
    return this.parts.claims.settle(work, claim, { status: 'waiting', reason: APPROVED, purchaseId });
  }

  /** Changes a claim for good and tells of it; false where it is no longer what it was. */
  private async become(work: UnitOfWork, claim: Claim, change: Partial<Claim>): Promise<boolean> {
    const done = await this.parts.claims.settle(work, claim, change);
    if (done) await this.parts.claiming.publish(work, [{ ...claim, ...change }]);
    return done;
  }

  /** What a decision brings about beyond its own transaction. Repeating any part of it changes nothing. */
  private async follow(settlement: Settlement): Promise<void> {
    switch (settlement.action) {
      case 'attach':
      case 'claim':
      case 'approve':
        return this.resume(await this.standing(settlement));
      case 'discard':
        // What came back of it learns that it was refused.
        return settlement.kind === 'purchase' ? this.parts.returns.follow([settlement]) : undefined;
      case 'replace':
        return this.parts.replacement.follow(settlement);
      case 'keep':
        return;
      default:
        assertNever(settlement.action);
    }
  }

  private async standing(key: ClaimKey): Promise<Claim | undefined> {
    return (await this.parts.claims.find([key])).get(keyText(key));
  }

  private async resume(claim: Claim | undefined): Promise<void> {
    if (claim?.kind === 'purchase') await this.parts.purchases.resume([claim]);
    if (claim?.kind === 'return') await this.parts.returns.resume([claim]);
  }

  /** The member of a reference, or the purchase that counts under an id; `undefined` where there is none. */
  private async targetOf({ kind, source }: ClaimKey, given: string | null): Promise<string | null | undefined> {
    if (given === null) return null;
    if (kind !== 'return') return this.memberOf(given);
    const purchase = { kind: 'purchase', source, naturalId: given } as const;
    const [counting = purchase] = await this.parts.claims.counting([purchase]);
    return (await this.standing(counting))?.naturalId;
  }

  /** `undefined` where nobody is known by it. */
  private async memberOf(reference: string): Promise<string | undefined> {
    return (await this.parts.references.resolvePatiently([reference])).get(reference);
  }

  private now(): string {
    return canonicalInstant(this.parts.clock.now());
  }
}

const rejected = (rejection: InboxRejection): InboxOutcome => ({ accepted: false, rejection });

/** The answer to a decision about what is settled: the first answer to whoever took the same one, a refusal to everybody else. */
const again = (
  settlement: Settlement | undefined,
  { action, reason, actor }: InboxDecision,
  target: string | null | undefined,
): InboxOutcome => {
  const isSame =
    settlement !== undefined &&
    settlement.action === action &&
    settlement.reason === reason &&
    settlement.actor.subject === actor.subject &&
    (action !== 'attach' || settlement.target === target);
  return isSame
    ? { accepted: true, settlement }
    : rejected({ code: 'already-settled', settlement: settlement ?? null });
};
