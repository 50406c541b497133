import { setTimeout } from 'node:timers/promises';
import { keyText, type Award, type Claim, type ClaimKey, type Claims } from './claims.js';
import { isSame, outcomeOf, referencesOf } from './claiming.js';
import type { Incoming, Outcome } from './outcomes.js';
import { PATIENCE_MS, PATIENCE_STEP_MS, type References } from './references.js';

/** Answers what became of inputs, from what is registered. */
export class Register {
  constructor(
    private readonly claims: Claims,
    private readonly references: References,
  ) {}

  /**
   * What stands under this key, whatever was asked about it since; `undefined` where nothing came in. An award that is still on its way
   * to the read models is waited for a moment, and said to wait where it takes longer: an answer without its points would be wrong.
   */
  async find(key: ClaimKey): Promise<Outcome | undefined> {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const claim = (await this.claims.find([key])).get(keyText(key));
      if (claim === undefined) return undefined;
      const award = (await this.claims.awards([claim.claimId])).get(claim.claimId);
      if (!isOnItsWay(claim, award)) return outcomeOf(claim, award);
      if (performance.now() > until) return outcomeOf({ ...claim, status: 'taking', reason: null });
      await setTimeout(PATIENCE_STEP_MS);
    }
  }

  /**
   * What became of exactly these inputs, in their order: a conflict where the key stands for something else, `null` where nothing
   * is registered yet or an award is still on its way to the read models. Three queries at most.
   */
  async outcomes(awaited: readonly Incoming[]): Promise<(Outcome | null)[]> {
    const claims = await this.claims.find(awaited);
    const awards = await this.claims.awards([...claims.values()].map((claim) => claim.claimId));
    const named = awaited.flatMap(({ data }) => data.member ?? []);
    const members = await this.references.resolve([...named, ...referencesOf(claims.values())]);
    return awaited.map(({ kind, source, naturalId, data, hash }) => {
      const claim = claims.get(keyText({ kind, source, naturalId }));
      if (claim === undefined) return null;
      const again = { hash, reference: data.member, accountId: members.get(data.member ?? '') ?? null };
      if (!isSame(again, claim, members)) return conflict({ kind, source, naturalId }, again.accountId);
      const award = awards.get(claim.claimId);
      return isOnItsWay(claim, award) ? null : outcomeOf(claim, award);
    });
  }
}

/** Whether the ledger has, or will have, a movement that the read models do not show yet. An activity never has one. */
const isOnItsWay = (claim: Claim, award: Award | undefined): boolean =>
  claim.kind !== 'activity' && award === undefined && (claim.status === 'taken' || claim.status === 'taking');

const conflict = (key: ClaimKey, memberId: string | null): Outcome => ({
  ...key,
  status: 'conflict',
  memberId,
  points: 0,
  transactionId: null,
  reason: 'content-conflict',
  explanation: null,
});
