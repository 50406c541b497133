import type { PurchaseData } from '@vafa/contracts';
import { NO_STREAM, type DeciderRunner, type Revision } from '@vafa/event-sourcing';
import { streamOf, type PointsAccount, type PointsCommand, type PointsRejection } from '../domain/account.js';
import type { PointsEvent } from '../events/points-event.js';
import { awardTaskOf, purchaseOf, type Awards, type AwardTask } from './awards.js';
import { inOrderOf, inRounds, isOpen, outcomeOf, UNKNOWN_MEMBER, type Claiming, type Draft } from './claiming.js';
import { keyText, type Claim, type ClaimKey, type Claims } from './claims.js';
import { fingerprint, type Incoming, type Outcomes } from './outcomes.js';
import type { References } from './references.js';
import type { ReturnIntake } from './returns.js';

/** A purchase that passed validation at either door. */
export type IncomingPurchase = Incoming<PurchaseData> & { readonly kind: 'purchase' };
type PurchaseDraft = Draft<IncomingPurchase>;

/** `finish`: the claim is `taking` and becomes `taken`. */
type Task = AwardTask & { readonly finish: boolean };

export type IntakeParts = {
  readonly claiming: Claiming;
  readonly claims: Claims;
  readonly references: References;
  readonly accounts: Pick<DeciderRunner<PointsCommand, PointsAccount, PointsEvent, PointsRejection>, 'prepare'>;
  readonly awards: Awards;
  readonly returns: ReturnIntake;
  readonly outcomes: Outcomes;
};

/**
 * Takes purchases in, a page at a time: claim, then ledger. Every step may be repeated: what stands already is compared, and a claim
 * whose event was not confirmed is settled by looking for it. Returns once everything is durable; throws where that is not known,
 * and the same page has to come again.
 */
export class PurchaseIntake {
  constructor(private readonly parts: IntakeParts) {}

  /** Takes a page of purchases in their order. */
  async take(purchases: readonly IncomingPurchase[]): Promise<void> {
    for (const round of inRounds(purchases)) await this.takeRound(round);
  }

  /** Takes up what waited for these references, now that their members are known. */
  async takeUp(references: readonly string[]): Promise<void> {
    for (;;) {
      const open = await this.parts.claims.open('purchase', references);
      if (open.length === 0) return;
      await this.award(await this.beginTaking(open), open);
    }
  }

  /** Sees claims through to the ledger that a person gave to a member: those that are still being taken. */
  async resume(claims: readonly Claim[]): Promise<void> {
    await this.award(
      claims.flatMap((claim) =>
        claim.status === 'taking' && claim.accountId !== null ? [taskOf(claim, claim.accountId)] : [],
      ),
      claims,
    );
  }

  /** A revision that the account's stream has now or had before: from there on an event that is written later is looked for. */
  async revisionOf(accountId: string): Promise<Revision> {
    await this.parts.accounts.prepare([streamOf(accountId)]);
    return this.parts.awards.knownRevision(accountId);
  }

  private async takeRound(round: readonly IncomingPurchase[]): Promise<void> {
    const drafts = await this.draft(round);
    const registered = await this.parts.claiming.register(drafts, (claim) => claim.status !== 'taken');
    const fresh = drafts.filter((draft) => registered.has(draft.claim.claimId));
    const repeated = drafts.filter((draft) => !registered.has(draft.claim.claimId));
    for (const draft of fresh)
      if (draft.claim.status === 'anonymous' || draft.claim.status === 'refused')
        this.parts.claiming.settle(draft, outcomeOf(draft.claim));
    const tasks: Task[] = fresh.flatMap((draft) => this.taskOfFresh(draft));
    tasks.push(...(await this.lookAgain(fresh.filter((draft) => draft.claim.status === 'waiting'))));
    tasks.push(...(await this.compare(repeated)));
    await this.award(inOrderOf(round, tasks), round);
  }

  /** What each purchase would be claimed as, its account's revision noted before anything is written. */
  private async draft(round: readonly IncomingPurchase[]): Promise<PurchaseDraft[]> {
    const members = await this.parts.references.resolve(round.flatMap(({ data }) => data.member ?? []));
    // So that the revisions noted are real ones: from them on a purchase's event is looked for.
    await this.parts.accounts.prepare([...members.values()].map(streamOf));
    return this.parts.claiming.draft(round, ({ data }) => {
      const { member, currency, total } = data;
      const accountId = member === null ? null : (members.get(member) ?? null);
      const status = member === null ? 'anonymous' : accountId === null ? 'waiting' : 'taken';
      return {
        status,
        reason: status === 'waiting' ? UNKNOWN_MEMBER : null,
        accountId,
        revision: accountId === null ? NO_STREAM : this.parts.awards.knownRevision(accountId),
        currency,
        total,
      };
    });
  }

  private taskOfFresh({ incoming, claim }: PurchaseDraft): Task[] {
    if (claim.status !== 'taken' || claim.accountId === null) return [];
    this.parts.outcomes.expect(claim.claimId, fingerprint(incoming));
    const purchase = purchaseOf(claim.source, incoming.data, claim.occurredAt);
    // Once registered, a repeat on another partition may be quicker to have it awarded.
    const { accountId, revision: suspectedAfter } = claim;
    return [{ claim, purchase, accountId, suspectedAfter, finish: false, traceparent: incoming.traceparent }];
  }

  /**
   * Looks for members of purchases just parked once more: one that enrolled in between may have found nothing to take up yet,
   * and nobody else would come back for it.
   */
  private async lookAgain(parked: readonly PurchaseDraft[]): Promise<Task[]> {
    if (parked.length === 0) return [];
    const members = await this.parts.references.resolve(parked.flatMap(({ claim }) => claim.reference ?? []));
    const found = parked.filter(({ claim }) => members.has(claim.reference ?? ''));
    for (const draft of parked) {
      if (members.has(draft.claim.reference ?? ''))
        this.parts.outcomes.expect(draft.claim.claimId, fingerprint(draft.incoming));
      else this.parts.claiming.settle(draft, outcomeOf(draft.claim));
    }
    return this.beginTaking(found.map(({ claim }) => claim));
  }

  /** Compares purchases whose keys were taken with what stands there; answers those whose event is still to be confirmed. */
  private async compare(repeated: readonly PurchaseDraft[]): Promise<Task[]> {
    const unclear: Claim[] = [];
    const tasks: Task[] = [];
    for (const { draft, claim, award } of await this.parts.claiming.repeats(repeated)) {
      if (award !== undefined) this.parts.claiming.settle(draft, outcomeOf(claim, award));
      else if (claim.status === 'taken' && claim.accountId !== null) {
        this.parts.outcomes.expect(claim.claimId, fingerprint(draft.incoming));
        tasks.push(taskOf(claim, claim.accountId));
      } else if (isOpen(claim) && draft.claim.accountId !== null) {
        this.parts.outcomes.expect(claim.claimId, fingerprint(draft.incoming));
        unclear.push(claim);
      } else this.parts.claiming.settle(draft, outcomeOf(claim));
    }
    tasks.push(...(await this.beginTaking(unclear)));
    return tasks;
  }

  /** Marks open claims as being taken and notes from where to look; members that are still unknown are left to wait. */
  private async beginTaking(open: readonly Claim[]): Promise<Task[]> {
    if (open.length === 0) return [];
    const members = await this.parts.references.resolve(open.flatMap((claim) => claim.reference ?? []));
    const marked = open.flatMap((claim) => {
      const accountId = members.get(claim.reference ?? '');
      return accountId === undefined
        ? []
        : [{ ...claim, accountId, revision: this.parts.awards.knownRevision(accountId) }];
    });
    await this.parts.claims.beginTaking(marked);
    // Somebody else may have begun before: what they noted is what counts, since their event may lie before our revision.
    const noted = await this.parts.claims.find(marked);
    return marked.flatMap((key) => {
      const claim = noted.get(keyText(key));
      if (claim === undefined || claim.accountId === null || claim.status === 'refused') return [];
      return [taskOf(claim, claim.accountId)];
    });
  }

  /**
   * Sees every task through to the ledger, and then the returns of these purchases: what waited for them is taken up before anything says that
   * they are done, so that whoever comes again after a crash finds it.
   */
  private async award(tasks: readonly Task[], purchases: readonly ClaimKey[]): Promise<void> {
    const awarded = await this.parts.awards.award(tasks);
    await this.parts.returns.follow(purchases);
    const finished = tasks.filter((task) => task.finish && awarded.has(task.claim.claimId));
    if (finished.length > 0) await this.parts.claims.finishTaking(finished.map(({ claim }) => claim));
  }
}

/** A claim that stood there before, to be settled. */
const taskOf = (claim: Claim, accountId: string): Task => ({
  ...awardTaskOf(claim, accountId),
  finish: claim.status === 'taking',
});
