import { currencyExponent, lineKind, type PurchaseData } from '@vafa/contracts';
import type { CommandOutcome, DeciderRunner, Revision, StateCache } from '@vafa/event-sourcing';
import { NO_STREAM } from '@vafa/event-sourcing';
import { streamOf, type PointsAccount, type PointsCommand, type PointsRejection } from '../domain/account.js';
import { evaluate, type Explanation } from '../domain/earning.js';
import type { Programme } from '../domain/programme.js';
import type { Purchase } from '../domain/purchase.js';
import type { PointsEvent } from '../events/points-event.js';
import type { Claiming } from './claiming.js';
import type { Claim, Claims } from './claims.js';
import { setTimeout as pause } from 'node:timers/promises';

/** How long a command is decided again after conflicts before it counts as failed. */
export const DECIDE_TIMEOUT_MS = 10_000;

/** How often awards on their way are looked for. */
const LOOK_INTERVAL_MS = 25;

/** A purchase whose event has to be in the ledger; `suspectedAfter` names the revision behind which it stands if anybody has written it. */
export type AwardTask = {
  readonly claim: Claim;
  readonly purchase: Purchase;
  readonly accountId: string;
  readonly suspectedAfter: Revision;
  /** W3C trace context of the message that the purchase came by, where it is at hand. */
  readonly traceparent?: string | undefined;
};

export type AwardParts = {
  readonly claiming: Claiming;
  readonly claims: Claims;
  readonly accounts: DeciderRunner<PointsCommand, PointsAccount, PointsEvent, PointsRejection>;
  readonly states: StateCache<PointsAccount>;
  readonly programme: Programme;
};

/** The awards of purchases: has accounts decide on them, and finds what they decided. */
export class Awards {
  constructor(private readonly parts: AwardParts) {}

  /**
   * Has the accounts decide, and sees every task through to its end. Answers the explanations that stand in the ledger, by claim id; one that
   * its account refused is refused, and missing.
   * @throws where it is not known of one of them whether it is in the ledger.
   */
  async award(tasks: readonly AwardTask[]): Promise<ReadonlyMap<string, Explanation>> {
    const awarded = new Map<string, Explanation>();
    if (tasks.length === 0) return awarded;
    const commands = tasks.map((task) => ({
      streamId: streamOf(task.accountId),
      id: task.claim.claimId,
      command: this.command(task),
      suspectedAfter: task.suspectedAfter,
      // Stands in the event's metadata, since whoever tells of the event knows the ledger only.
      ...(task.traceparent !== undefined && { metadata: { traceparent: task.traceparent } }),
    }));
    const outcomes = await this.parts.accounts.run(commands, { timeoutMs: DECIDE_TIMEOUT_MS });
    let failure: unknown;
    for (const [index, { claim }] of tasks.entries()) {
      const outcome = outcomes[index] as CommandOutcome<PointsEvent, PointsRejection>;
      if (outcome.status === 'accepted') awarded.set(claim.claimId, explanationIn(outcome.events));
      else if (outcome.status === 'rejected') await this.parts.claiming.refuse(claim, outcome.rejection.code);
      else failure ??= outcome.error;
    }
    if (failure !== undefined) throw new Error('A page of purchases could not be settled.', { cause: failure });
    return awarded;
  }

  /**
   * The stored awards of purchases that are taken, or being taken, by claim id: what the read models do not show after `patienceMs` is made sure of.
   * Whoever did not award them himself is patient: an award that is on its way has others of its key before it, and must not overtake them.
   */
  async of(claims: readonly Claim[], patienceMs: number): Promise<ReadonlyMap<string, Explanation>> {
    const found = new Map<string, Explanation>();
    const until = performance.now() + patienceMs;
    for (let open = claims; ; await pause(LOOK_INTERVAL_MS)) {
      const known = await this.parts.claims.awards(open.map(({ claimId }) => claimId));
      for (const [id, { explanation }] of known) found.set(id, JSON.parse(explanation) as Explanation);
      open = open.filter(({ claimId, accountId }) => accountId !== null && !found.has(claimId));
      if (open.length === 0) return found;
      if (performance.now() >= until) break;
    }
    const missing = claims.flatMap((claim) =>
      claim.accountId === null || found.has(claim.claimId) ? [] : [awardTaskOf(claim, claim.accountId)],
    );
    for (const [id, explanation] of await this.award(missing)) found.set(id, explanation);
    return found;
  }

  /** A revision that the account's stream had before now, as far as it is in memory: it only says where to look from. */
  knownRevision(accountId: string): Revision {
    return this.parts.states.get(streamOf(accountId))?.revision ?? NO_STREAM;
  }

  private command({ claim, purchase, accountId }: AwardTask): PointsCommand {
    const { source, naturalId: purchaseId, claimId } = claim;
    const explanation = evaluate(purchase, this.parts.programme, exponentOf(purchase.currency));
    const { occurredAt } = purchase;
    return {
      type: 'RewardPurchase',
      transactionId: claimId,
      memberId: accountId,
      source,
      purchaseId,
      occurredAt,
      explanation,
    };
  }
}

const explanationIn = (events: readonly { readonly event: PointsEvent }[]): Explanation => {
  const event = events[0]?.event;
  if (event?.type !== 'PointsEarned') throw new Error('The event of a purchase is not that of an award.');
  return event.data.explanation;
};

/** A claim that stood there before, to be settled. */
export const awardTaskOf = (claim: Claim, accountId: string): AwardTask => {
  const content = JSON.parse(claim.content) as PurchaseData;
  const purchase = purchaseOf(claim.source, content, content.occurredAt);
  return { claim, purchase, accountId, suspectedAfter: claim.revision };
};

/** Validation let no currency through that has no exponent. */
export const exponentOf = (currency: string): number => {
  const exponent = currencyExponent(currency);
  if (exponent === undefined) throw new Error(`No exponent is known for the currency ${currency}.`);
  return exponent;
};

/** A purchase as the rules see it; a line that does not say what it is is goods. */
export const purchaseOf = (source: string, content: Omit<PurchaseData, 'member'>, occurredAt: string): Purchase => ({
  source,
  purchaseId: content.purchaseId,
  occurredAt,
  currency: content.currency,
  lines: content.lines.map((line) => ({ lineId: line.lineId, amount: line.amount, kind: lineKind(line) })),
});
