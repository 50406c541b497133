import { canonicalInstant, currencyExponent, lineKind, type PurchaseData } from '@vafa/contracts';
import {
  NO_STREAM,
  type CommandOutcome,
  type DeciderRunner,
  type Revision,
  type StateCache,
} from '@vafa/event-sourcing';
import type { MessageBus } from '@vafa/messaging';
import type { Database, UnitOfWork } from '@vafa/persistence';
import type { Clock } from '@vafa/service';
import { uuidv7 } from 'uuidv7';
import { streamOf, type PointsAccount, type PointsCommand, type PointsRejection } from '../domain/account.js';
import { evaluate } from '../domain/earning.js';
import { compareInstants } from '../domain/instant.js';
import type { Programme } from '../domain/programme.js';
import type { Purchase } from '../domain/purchase.js';
import type { PointsEvent } from '../events/points-event.js';
import { publishOutcomes, type PublicOutcome } from '../messaging/publisher.js';
import type { Claim, Claims, NewClaim } from './claims.js';
import { fingerprint, naturalKey, type Outcome, type Outcomes } from './outcomes.js';
import type { References } from './references.js';

/** A purchase whose time lies further ahead than this is refused: it would hold back the account's own time. */
export const FUTURE_TOLERANCE_MINUTES = 60;

/** How long a command is decided again after conflicts before it counts as failed. */
export const DECIDE_TIMEOUT_MS = 10_000;

/** A purchase that passed validation at either door. `hash` is that of its content without the member. */
export type IncomingPurchase = { readonly source: string; readonly data: PurchaseData; readonly hash: string };

/** A purchase on its way in, as the claim that it will be unless one stands there. */
type Draft = { readonly incoming: IncomingPurchase; readonly claim: NewClaim };

/**
 * A claim whose event has to be in the ledger. `suspectedAfter` names the revision behind which it stands if anybody has written it.
 * `finish`: the claim is `taking` and becomes `taken`.
 */
type Task = {
  readonly claim: Claim;
  readonly purchase: Purchase;
  readonly accountId: string;
  readonly suspectedAfter: Revision;
  readonly finish: boolean;
};

export type IntakeParts = {
  readonly database: Database;
  readonly bus: MessageBus;
  readonly claims: Claims;
  readonly references: References;
  readonly accounts: DeciderRunner<PointsCommand, PointsAccount, PointsEvent, PointsRejection>;
  readonly states: StateCache<PointsAccount>;
  readonly outcomes: Outcomes;
  readonly clock: Clock;
  readonly programme: Programme;
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
    // A key that comes twice in a page is worked off in two rounds: the second has to see what the first left.
    for (const round of inRounds(purchases)) await this.takeRound(round);
  }

  /** Takes up what waited for these references, now that their members are known. */
  async takeUp(references: readonly string[]): Promise<void> {
    for (;;) {
      const open = await this.parts.claims.open(references);
      if (open.length === 0) return;
      await this.award(await this.beginTaking(open));
    }
  }

  private async takeRound(round: readonly IncomingPurchase[]): Promise<void> {
    const drafts = await this.draft(round);
    const registered = await this.register(drafts);
    const fresh = drafts.filter((draft) => registered.has(draft.claim.claimId));
    const repeated = drafts.filter((draft) => !registered.has(draft.claim.claimId));
    for (const draft of fresh)
      if (draft.claim.status === 'anonymous' || draft.claim.status === 'refused')
        this.settle(draft, outcomeOf(draft.claim));
    const tasks: Task[] = fresh.flatMap((draft) => this.taskOfFresh(draft));
    tasks.push(...(await this.lookAgain(fresh.filter((draft) => draft.claim.status === 'waiting'))));
    tasks.push(...(await this.compare(repeated)));
    await this.award(inOrderOf(round, tasks));
  }

  /** What each purchase would be claimed as, its account's revision noted before anything is written. */
  private async draft(round: readonly IncomingPurchase[]): Promise<Draft[]> {
    const members = await this.parts.references.resolve(round.flatMap(({ data }) => data.member ?? []));
    // So that the revisions noted are real ones: from them on a purchase's event is looked for.
    await this.parts.accounts.prepare([...members.values()].map(streamOf));
    const now = this.parts.clock.now();
    const latest = canonicalInstant(now.add({ minutes: FUTURE_TOLERANCE_MINUTES }));
    const receivedAt = canonicalInstant(now);
    return round.map((incoming) => {
      const { source, data, hash } = incoming;
      const reference = data.member;
      const accountId = reference === null ? null : (members.get(reference) ?? null);
      const occurredAt = canonicalInstant(data.occurredAt);
      const early = compareInstants(occurredAt, latest) > 0;
      const claim: NewClaim = {
        source,
        purchaseId: data.purchaseId,
        claimId: uuidv7(),
        hash,
        status: early ? 'refused' : reference === null ? 'anonymous' : accountId === null ? 'waiting' : 'taken',
        reason: early ? 'occurred-in-the-future' : null,
        reference,
        accountId,
        revision: accountId === null ? NO_STREAM : this.knownRevision(accountId),
        occurredAt,
        receivedAt,
        currency: data.currency,
        total: data.total,
        content: contentOf(data, occurredAt),
      };
      return { incoming, claim };
    });
  }

  /** Claims what is free, and says in the same transaction what is not going to reach the ledger. */
  private register(drafts: readonly Draft[]): Promise<ReadonlySet<string>> {
    return this.parts.database.transaction(async (work) => {
      const registered = await this.parts.claims.register(
        work,
        drafts.map((draft) => draft.claim),
      );
      const told = drafts.filter(({ claim }) => claim.status !== 'taken' && registered.has(claim.claimId));
      await this.publish(
        work,
        told.map(({ claim }) => claim),
      );
      return registered;
    });
  }

  private taskOfFresh({ incoming, claim }: Draft): Task[] {
    if (claim.status !== 'taken' || claim.accountId === null) return [];
    this.parts.outcomes.expect(claim.claimId, fingerprint(incoming));
    const purchase = purchaseOf(claim.source, incoming.data, claim.occurredAt);
    // Once registered, a repeat on another partition may be quicker to have it awarded.
    return [{ claim, purchase, accountId: claim.accountId, suspectedAfter: claim.revision, finish: false }];
  }

  /**
   * Looks for members of purchases just parked once more: one that enrolled in between may have found nothing to take up yet,
   * and nobody else would come back for it.
   */
  private async lookAgain(parked: readonly Draft[]): Promise<Task[]> {
    if (parked.length === 0) return [];
    const members = await this.parts.references.resolve(parked.flatMap(({ claim }) => claim.reference ?? []));
    const found = parked.filter(({ claim }) => members.has(claim.reference ?? ''));
    for (const draft of parked) {
      if (members.has(draft.claim.reference ?? ''))
        this.parts.outcomes.expect(draft.claim.claimId, fingerprint(draft.incoming));
      else this.settle(draft, outcomeOf(draft.claim));
    }
    return this.beginTaking(found.map(({ claim }) => claim));
  }

  /** Compares purchases whose keys were taken with what stands there; answers those whose event is still to be confirmed. */
  private async compare(repeated: readonly Draft[]): Promise<Task[]> {
    if (repeated.length === 0) return [];
    const standing = await this.parts.claims.find(repeated.map(({ claim }) => claim));
    const awards = await this.parts.claims.awards([...standing.values()].map((claim) => claim.claimId));
    const members = await this.parts.references.resolve(referencesOf(standing.values()));
    const unclear: Claim[] = [];
    const conflicts: Draft[] = [];
    const tasks: Task[] = [];
    for (const draft of repeated) {
      const claim = standing.get(naturalKey(draft.claim.source, draft.claim.purchaseId));
      if (claim === undefined) throw new Error('A claim that was found taken is gone.');
      const award = awards.get(claim.claimId);
      if (!isSame(draft.claim, claim, members)) conflicts.push(draft);
      else if (award !== undefined) this.settle(draft, outcomeOf(claim, award));
      else if (claim.status === 'taken' && claim.accountId !== null) {
        this.parts.outcomes.expect(claim.claimId, fingerprint(draft.incoming));
        tasks.push(taskOf(claim, claim.accountId));
      } else if (isOpen(claim) && draft.claim.accountId !== null) {
        this.parts.outcomes.expect(claim.claimId, fingerprint(draft.incoming));
        unclear.push(claim);
      } else this.settle(draft, outcomeOf(claim));
    }
    await this.keepConflicts(conflicts);
    tasks.push(...(await this.beginTaking(unclear)));
    return tasks;
  }

  /** Marks open claims as being taken and notes from where to look; members that are still unknown are left to wait. */
  private async beginTaking(open: readonly Claim[]): Promise<Task[]> {
    if (open.length === 0) return [];
    const members = await this.parts.references.resolve(open.flatMap((claim) => claim.reference ?? []));
    const marked = open.flatMap((claim) => {
      const accountId = members.get(claim.reference ?? '');
      return accountId === undefined ? [] : [{ ...claim, accountId, revision: this.knownRevision(accountId) }];
    });
    await this.parts.claims.beginTaking(marked);
    // Somebody else may have begun before: what they noted is what counts, since their event may lie before our revision.
    const noted = await this.parts.claims.find(marked);
    return marked.flatMap(({ source, purchaseId }) => {
      const claim = noted.get(naturalKey(source, purchaseId));
      if (claim === undefined || claim.accountId === null || claim.status === 'refused') return [];
      return [taskOf(claim, claim.accountId)];
    });
  }

  /** A revision that the account's stream had before now, as far as it is in memory: it only says where to look from. */
  private knownRevision(accountId: string): Revision {
    return this.parts.states.get(streamOf(accountId))?.revision ?? NO_STREAM;
  }

  /** Has the accounts decide, and sees every task through to its end. */
  private async award(tasks: readonly Task[]): Promise<void> {
    if (tasks.length === 0) return;
    const commands = tasks.map((task) => ({
      streamId: streamOf(task.accountId),
      id: task.claim.claimId,
      command: this.command(task),
      suspectedAfter: task.suspectedAfter,
    }));
    const outcomes = await this.parts.accounts.run(commands, { timeoutMs: DECIDE_TIMEOUT_MS });
    const finished: Claim[] = [];
    let failure: unknown;
    for (const [index, task] of tasks.entries()) {
      const outcome = outcomes[index] as CommandOutcome<PointsEvent, PointsRejection>;
      if (outcome.status === 'accepted' && task.finish) finished.push(task.claim);
      else if (outcome.status === 'rejected') await this.refuse(task, outcome.rejection);
      else if (outcome.status === 'failed') failure ??= outcome.error;
    }
    if (finished.length > 0) await this.parts.claims.finishTaking(finished);
    if (failure !== undefined) throw new Error('A page of purchases could not be settled.', { cause: failure });
  }

  private command({ claim, purchase, accountId }: Task): PointsCommand {
    const { source, purchaseId, claimId } = claim;
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

  private async refuse({ claim }: Task, rejection: PointsRejection): Promise<void> {
    const refused: Claim = { ...claim, status: 'refused', reason: rejection.code };
    await this.parts.database.transaction(async (work) => {
      if (await this.parts.claims.refuse(work, claim, rejection.code)) await this.publish(work, [refused]);
    });
    this.parts.outcomes.settleExpected(claim.claimId, outcomeOf(refused));
  }

  private async keepConflicts(conflicts: readonly Draft[]): Promise<void> {
    if (conflicts.length === 0) return;
    const refusals = conflicts.map(({ claim }) =>
      this.told(claim, { ...outcomeOf(claim), status: 'conflict', reason: 'content-conflict' }),
    );
    await this.parts.database.transaction(async (work) => {
      const kept = await this.parts.claims.keepConflicts(
        work,
        conflicts.map(({ claim }) => claim),
      );
      const told = refusals.filter(({ outcome }) => kept.has(naturalKey(outcome.source, outcome.purchaseId)));
      await publishOutcomes(this.parts.bus, work, told);
    });
    for (const [index, draft] of conflicts.entries()) this.settle(draft, (refusals[index] as PublicOutcome).outcome);
  }

  private publish(work: UnitOfWork, claims: readonly Claim[]): Promise<void> {
    const told = claims.map((claim) => this.told(claim, outcomeOf(claim)));
    return publishOutcomes(this.parts.bus, work, told);
  }

  private told(claim: Claim, outcome: Outcome): PublicOutcome {
    // A conflict is told under its own id: the claim's is that of whatever stands there.
    return { id: claim.claimId, key: keyOf(claim), time: canonicalInstant(this.parts.clock.now()), outcome };
  }

  private settle({ incoming }: Draft, outcome: Outcome): void {
    this.parts.outcomes.settle(fingerprint(incoming), outcome);
  }
}

/** Validation let no currency through that has no exponent. */
export const exponentOf = (currency: string): number => {
  const exponent = currencyExponent(currency);
  if (exponent === undefined) throw new Error(`No exponent is known for the currency ${currency}.`);
  return exponent;
};

/** The outcome that a claim stands for, with its award where there is one. */
export const outcomeOf = (
  claim: Claim,
  award?: { readonly points: number; readonly explanation: string },
): Outcome => ({
  source: claim.source,
  purchaseId: claim.purchaseId,
  // Being taken up: it waits until its award is there.
  status: claim.status !== 'taking' ? claim.status : award === undefined ? 'waiting' : 'taken',
  memberId: claim.accountId,
  points: award?.points ?? 0,
  transactionId: award === undefined ? null : claim.claimId,
  reason: claim.reason,
  explanation: award === undefined ? null : (JSON.parse(award.explanation) as Outcome['explanation']),
});

/**
 * What is to be settled, in the order in which it came: a page that comes again after a crash has purchases that were claimed before and others
 * that were not, and an account must see them as the bus has them.
 */
const inOrderOf = (round: readonly IncomingPurchase[], tasks: readonly Task[]): Task[] => {
  const places = new Map(round.map(({ source, data }, place) => [naturalKey(source, data.purchaseId), place]));
  const placeOf = ({ claim }: Task): number => places.get(naturalKey(claim.source, claim.purchaseId)) ?? 0;
  return tasks.toSorted((one, other) => placeOf(one) - placeOf(other));
};

/** A claim that stood there before, to be settled. */
const taskOf = (claim: Claim, accountId: string): Task => {
  const content = JSON.parse(claim.content) as PurchaseData;
  const purchase = purchaseOf(claim.source, content, content.occurredAt);
  return { claim, purchase, accountId, suspectedAfter: claim.revision, finish: claim.status === 'taking' };
};

/** Messages about a purchase bear the member as key, or the reference, or the purchase itself where nobody stands behind it. */
const keyOf = (claim: Claim): string =>
  claim.accountId ?? claim.reference ?? `purchase:${claim.source}:${claim.purchaseId}`;

const isOpen = (claim: Claim): boolean => claim.status === 'waiting' || claim.status === 'taking';

/**
 * The same purchase again: same content, and the same member by whatever reference. `members` knows the references of claims, too: one that was
 * refused or waits has no account of its own, and its member may have enrolled since.
 */
export const isSame = (
  again: Pick<Claim, 'hash' | 'reference' | 'accountId'>,
  claim: Claim,
  members: ReadonlyMap<string, string>,
): boolean => {
  if (again.hash !== claim.hash) return false;
  if (again.reference === claim.reference) return true;
  return again.accountId !== null && again.accountId === (claim.accountId ?? members.get(claim.reference ?? ''));
};

/** The references that `isSame` has to know of these claims. */
export const referencesOf = (claims: Iterable<Claim>): string[] =>
  [...claims].flatMap(({ accountId, reference }) => (accountId === null && reference !== null ? [reference] : []));

/** What is kept: everything but the member, whom the claim names, and attributes, of which the programme declares none. */
const contentOf = (data: PurchaseData, occurredAt: string): string =>
  JSON.stringify({ ...data, occurredAt, member: undefined, attributes: undefined });

/** A purchase as the rules see it; a line that does not say what it is is goods. */
export const purchaseOf = (source: string, content: Omit<PurchaseData, 'member'>, occurredAt: string): Purchase => ({
  source,
  purchaseId: content.purchaseId,
  occurredAt,
  currency: content.currency,
  lines: content.lines.map((line) => ({ lineId: line.lineId, amount: line.amount, kind: lineKind(line) })),
});

/** Splits a page so that no round has a natural key twice; nearly always there is one round. */
const inRounds = (purchases: readonly IncomingPurchase[]): IncomingPurchase[][] => {
  const rounds: IncomingPurchase[][] = [];
  const seen = new Map<string, number>();
  for (const purchase of purchases) {
    const key = naturalKey(purchase.source, purchase.data.purchaseId);
    const round = seen.get(key) ?? 0;
    seen.set(key, round + 1);
    (rounds[round] ??= []).push(purchase);
  }
  return rounds;
};
