import { setTimeout } from 'node:timers/promises';
import { naturalKey, type Awaited, type Outcome } from './outcomes.js';
import type { Claims } from './claims.js';
import { isSame, outcomeOf, referencesOf } from './intake.js';
import { PATIENCE_MS, PATIENCE_STEP_MS, type References } from './references.js';

/** Answers what became of purchases, from what is registered. */
export class PurchaseRegister {
  constructor(
    private readonly claims: Claims,
    private readonly references: References,
  ) {}

  /**
   * The purchase under this key, whatever was asked about it since; `undefined` where nothing came in. An award that is still on its way
   * to the read models is waited for a moment: an answer without its points would be wrong.
   */
  async find(source: string, purchaseId: string): Promise<Outcome | undefined> {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const claim = (await this.claims.find([{ source, purchaseId }])).get(naturalKey(source, purchaseId));
      if (claim === undefined) return undefined;
      const award = (await this.claims.awards([claim.claimId])).get(claim.claimId);
      const isOnItsWay = award === undefined && (claim.status === 'taken' || claim.status === 'taking');
      if (!isOnItsWay || performance.now() > until) return outcomeOf(claim, award);
      await setTimeout(PATIENCE_STEP_MS);
    }
  }

  /**
   * What became of exactly these purchases, in their order: a conflict where the key stands for something else, `null` where nothing
   * is registered yet or an award is still on its way to the read models. Three queries at most.
   */
  async outcomes(awaited: readonly Awaited[]): Promise<(Outcome | null)[]> {
    const keys = awaited.map(({ source, data }) => ({ source, purchaseId: data.purchaseId }));
    const claims = await this.claims.find(keys);
    const awards = await this.claims.awards([...claims.values()].map((claim) => claim.claimId));
    const named = awaited.flatMap(({ data }) => data.member ?? []);
    const members = await this.references.resolve([...named, ...referencesOf(claims.values())]);
    return awaited.map(({ source, data, hash }) => {
      const claim = claims.get(naturalKey(source, data.purchaseId));
      if (claim === undefined) return null;
      const again = { hash, reference: data.member, accountId: members.get(data.member ?? '') ?? null };
      if (!isSame(again, claim, members)) return conflict(source, data.purchaseId, again.accountId);
      const award = awards.get(claim.claimId);
      if (award === undefined && (claim.status === 'taken' || claim.status === 'taking')) return null;
      return outcomeOf(claim, award);
    });
  }
}

const conflict = (source: string, purchaseId: string, memberId: string | null): Outcome => ({
  source,
  purchaseId,
  status: 'conflict',
  memberId,
  points: 0,
  transactionId: null,
  reason: 'content-conflict',
  explanation: null,
});
