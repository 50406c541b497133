import type { ActivityData } from '@vafa/contracts';
import type { Database } from '@vafa/persistence';
import { inRounds, isOpen, outcomeOf, UNKNOWN_MEMBER, type Claiming, type Draft } from './claiming.js';
import { keyText, type Claim, type Claims } from './claims.js';
import type { Incoming } from './outcomes.js';
import type { References } from './references.js';

/** An activity that passed validation at either door. */
export type IncomingActivity = Incoming<ActivityData> & { readonly kind: 'activity' };
type ActivityDraft = Draft<IncomingActivity>;

/** Why an activity that was taken earned nothing: no rule of the programme rewards it. */
export const NOT_IN_PROGRAMME = 'activity-not-in-programme';

export type ActivityParts = {
  readonly database: Database;
  readonly claiming: Claiming;
  readonly claims: Claims;
  readonly references: References;
};

/**
 * Takes activities in, a page at a time. They are claimed as purchases are, and leave nothing in the ledger: the programme rewards none. Returns
 * once everything is durable; throws where that is not known, and the same page has to come again.
 */
export class ActivityIntake {
  constructor(private readonly parts: ActivityParts) {}

  /** Takes a page of activities in their order. */
  async take(activities: readonly IncomingActivity[]): Promise<void> {
    for (const round of inRounds(activities)) await this.takeRound(round);
  }

  /** Takes up what waited for these references, now that their members are known. */
  async takeUp(references: readonly string[]): Promise<void> {
    for (;;) {
      const open = await this.parts.claims.open('activity', references);
      const members = await this.parts.references.resolve(open.flatMap(({ reference }) => reference ?? []));
      const known = open.flatMap((claim) => {
        const accountId = members.get(claim.reference ?? '');
        return accountId === undefined ? [] : [{ ...claim, accountId, reason: NOT_IN_PROGRAMME }];
      });
      if (known.length === 0) return;
      await this.parts.database.transaction(async (work) => {
        await this.parts.claiming.publish(work, await this.parts.claims.takeWaiting(work, known));
      });
    }
  }

  private async takeRound(round: readonly IncomingActivity[]): Promise<void> {
    const drafts = await this.draft(round);
    const registered = await this.parts.claiming.register(drafts, () => true);
    const fresh = drafts.filter(({ claim }) => registered.has(claim.claimId));
    const repeats = await this.parts.claiming.repeats(drafts.filter(({ claim }) => !registered.has(claim.claimId)));
    // A member who enrolled while their activity was being parked may have found nothing to take up; nobody else would come back for it.
    const waiting = [...fresh.map(({ claim }) => claim), ...repeats.map(({ claim }) => claim)].filter(isOpen);
    const references = waiting.flatMap(({ reference }) => reference ?? []);
    if (references.length > 0) await this.takeUp(references);
    const taken = references.length === 0 ? new Map<string, Claim>() : await this.parts.claims.find(waiting);
    for (const { draft, claim } of [...fresh.map((draft) => ({ draft, claim: draft.claim })), ...repeats])
      this.parts.claiming.settle(draft, outcomeOf(taken.get(keyText(claim)) ?? claim));
  }

  /** What each activity would be claimed as. */
  private async draft(round: readonly IncomingActivity[]): Promise<ActivityDraft[]> {
    const members = await this.parts.references.resolve(round.flatMap(({ data }) => data.member ?? []));
    return this.parts.claiming.draft(round, ({ data }) => {
      const accountId = members.get(data.member ?? '') ?? null;
      return accountId === null
        ? { status: 'waiting', reason: UNKNOWN_MEMBER, accountId }
        : { status: 'taken', reason: NOT_IN_PROGRAMME, accountId };
    });
  }
}
