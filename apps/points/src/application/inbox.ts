import { canonicalInstant, SOURCE_LENGTH_MAX, type ActivityData, type PurchaseData } from '@vafa/contracts';
import { assertNever, NO_STREAM } from '@vafa/event-sourcing';
import type { Database, UnitOfWork } from '@vafa/persistence';
import { isStaff, type Actor, type Audit, type Clock } from '@vafa/service';
import { uuidv7 } from 'uuidv7';
import { actionsFor, type InboxAction } from '../domain/inbox.js';
import { NOT_IN_PROGRAMME, type ActivityIntake } from './activities.js';
import { keyText, type Claim, type ClaimKey, type Claims } from './claims.js';
import type { Claiming } from './claiming.js';
import type { InboxItem, InboxItems } from './inbox-items.js';
import type { PurchaseIntake } from './intake.js';
import type { References } from './references.js';
import type { Settlement, Settlements } from './settlements.js';

/** What a person wants done about an item. `member` is a reference: whom an item without a known member is given to. */
export type InboxDecision = {
  readonly action: InboxAction;
  readonly reason: string;
  readonly actor: Actor;
  readonly member: string | null;
};

export type InboxRejection =
  | { readonly code: 'unknown-item' }
  | { readonly code: 'already-settled'; readonly settlement: Settlement | null }
  | { readonly code: 'action-not-possible'; readonly actions: readonly InboxAction[] }
  | { readonly code: 'member-needed' }
  | { readonly code: 'member-unknown' };

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
  readonly activities: ActivityIntake;
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
    const target = decision.member === null ? null : await this.memberOf(decision.member);
    const earlier = item.open ? undefined : await this.parts.settlements.latest(itemId);
    if (!item.open) return again(earlier, decision, target ?? null);
    const actions = actionsFor(item);
    if (!actions.includes(decision.action)) return rejected({ code: 'action-not-possible', actions });
    if (decision.action === 'replace' && (await this.isInLedger(item)))
      return rejected({ code: 'action-not-possible', actions: ['keep'] });
    if (decision.action === 'attach' && target === null) return rejected({ code: 'member-needed' });
    if (target === undefined) return rejected({ code: 'member-unknown' });
    const settlement = this.settlementOf(item, item.status, decision, decision.action === 'attach' ? target : null);
    const noted = settlement.target === null ? NO_STREAM : await this.parts.purchases.revisionOf(settlement.target);
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
      finishedAt: action === 'keep' || action === 'discard' ? decidedAt : null,
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
        return claim.kind === 'activity'
          ? this.become(work, claim, { status: 'taken', reason: NOT_IN_PROGRAMME, accountId: target })
          : this.parts.claims.settle(work, { ...claim, status: 'taking', accountId: target, revision }, claim.status);
      case 'keep':
      case 'replace':
      case 'approve':
      case 'claim':
        throw new Error(`A claim that is ${claim.status} cannot be settled by ${action}.`);
      default:
        return assertNever(action);
    }
  }

  /** Changes a claim for good and tells of it; false where it is no longer what it was. */
  private async become(work: UnitOfWork, claim: Claim, change: Partial<Claim>): Promise<boolean> {
    const changed = { ...claim, ...change };
    const done = await this.parts.claims.settle(work, changed, claim.status);
    if (done) await this.parts.claiming.publish(work, [changed]);
    return done;
  }

  /** What a decision brings about beyond its own transaction. Repeating any part of it changes nothing. */
  private async follow(settlement: Settlement): Promise<void> {
    switch (settlement.action) {
      case 'attach':
      case 'claim':
        if (settlement.kind === 'purchase') await this.parts.purchases.resume(await this.standing(settlement));
        return;
      case 'replace':
        await this.undo(settlement);
        await this.takeOther(settlement);
        return;
      case 'keep':
      case 'discard':
      case 'approve':
        return;
      default:
        assertNever(settlement.action);
    }
  }

  private async standing(key: ClaimKey): Promise<Claim[]> {
    return [...(await this.parts.claims.find([key])).values()];
  }

  private async isInLedger(key: ClaimKey): Promise<boolean> {
    const [claim] = await this.standing(key);
    return claim?.kind === 'purchase' && (claim.status === 'taken' || claim.status === 'taking');
  }

  /** Makes what stands under the key as if it had never counted. */
  private async undo(settlement: Settlement): Promise<void> {
    const [claim] = await this.standing(settlement);
    if (claim === undefined || claim.status === 'refused') return;
    const done = await this.parts.database.transaction((work) =>
      this.become(work, claim, { status: 'refused', reason: 'replaced' }),
    );
    if (!done) throw new Error('What stands there changed while it was being replaced.');
  }

  /** Takes the other content in, under a key of its own that derives from the conflict. */
  private async takeOther({ itemId }: Settlement): Promise<void> {
    const item = await this.parts.items.find(itemId);
    if (item === undefined) throw new Error('A conflict that was settled is gone.');
    const { naturalId, reference: member, hash } = item;
    const source = replacementSource(item.source, itemId);
    switch (item.kind) {
      case 'purchase': {
        const data = { ...(JSON.parse(item.content) as PurchaseData), member };
        return this.parts.purchases.take([{ kind: 'purchase', source, naturalId, data, hash }]);
      }
      case 'activity': {
        const data = { ...(JSON.parse(item.content) as ActivityData), member };
        return this.parts.activities.take([{ kind: 'activity', source, naturalId, data, hash }]);
      }
      case 'return':
        throw new Error('A return cannot be replaced.');
      default:
        return assertNever(item.kind);
    }
  }

  /** `undefined` where nobody is known by it. */
  private async memberOf(reference: string): Promise<string | undefined> {
    return (await this.parts.references.resolvePatiently([reference])).get(reference);
  }

  private now(): string {
    return canonicalInstant(this.parts.clock.now());
  }
}

/** The source under which the other content of a conflict counts once it replaced what stood there; its id stays its own. */
export const replacementSource = (source: string, conflictId: string): string => {
  const suffix = `;replacement=${conflictId}`;
  return source.slice(0, SOURCE_LENGTH_MAX - suffix.length) + suffix;
};

const rejected = (rejection: InboxRejection): InboxOutcome => ({ accepted: false, rejection });

/** The answer to a decision about what is settled: the first answer to whoever took the same one, a refusal to everybody else. */
const again = (
  settlement: Settlement | undefined,
  { action, reason, actor }: InboxDecision,
  target: string | null,
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
