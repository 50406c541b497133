import { canonicalInstant } from '@vafa/contracts';
import type { MessageBus } from '@vafa/messaging';
import type { Database, UnitOfWork } from '@vafa/persistence';
import { NO_STREAM } from '@vafa/event-sourcing';
import type { Clock } from '@vafa/service';
import { uuidv7 } from 'uuidv7';
import { compareInstants } from '../domain/instant.js';
import { publishOutcomes, type PublicOutcome } from '../messaging/publisher.js';
import { keyText, type Award, type Claim, type ClaimKey, type Claims, type NewClaim } from './claims.js';
import { fingerprint, type Incoming, type Outcome, type Outcomes } from './outcomes.js';
import type { References } from './references.js';

/** A time that lies further ahead than this is refused: it would hold back the account's own time. */
export const FUTURE_TOLERANCE_MINUTES = 60;
/** Why an input is refused whose time lies further ahead. */
export const OCCURRED_IN_THE_FUTURE = 'occurred-in-the-future';
/** Why an input waits: its member is not known, or not known yet. */
export const UNKNOWN_MEMBER = 'unknown-member';

type Arriving = Incoming<{ readonly member: string | null; readonly occurredAt: string }>;

/** An input on its way in, as the claim that it will be unless one stands there. */
export type Draft<Input extends Incoming = Incoming> = { readonly incoming: Input; readonly claim: NewClaim };

/** What becomes of an input at first; what it leaves out does not apply to its kind. */
export type Beginning = Pick<NewClaim, 'status' | 'reason' | 'accountId'> &
  Partial<Pick<NewClaim, 'revision' | 'purchaseId' | 'currency' | 'total'>>;

/** A repeat beside the claim that stands under its key and its award, if the read models know one. */
export type Repeat<Input extends Incoming = Incoming> = {
  readonly draft: Draft<Input>;
  readonly claim: Claim;
  readonly award: Award | undefined;
};

export type ClaimingParts = {
  readonly database: Database;
  readonly bus: MessageBus;
  readonly claims: Claims;
  readonly references: References;
  readonly outcomes: Outcomes;
  readonly clock: Clock;
};

/** What every kind of input has in common on its way in: claims are registered, compared with what stands there, and told of. */
export class Claiming {
  constructor(private readonly parts: ClaimingParts) {}

  /** Why an input of this time would be refused now, whoever sends it; null where it would not. */
  refusalOf(occurredAt: string): string | null {
    return refusal(canonicalInstant(occurredAt), this.latest());
  }

  /** What each input would be claimed as if it came now. One whose time lies too far ahead is refused, whatever `begin` says of it. */
  draft<Input extends Arriving>(inputs: readonly Input[], begin: (input: Input) => Beginning): Draft<Input>[] {
    const receivedAt = canonicalInstant(this.parts.clock.now());
    const latest = this.latest();
    return inputs.map((incoming) => {
      const { kind, source, naturalId, data, hash } = incoming;
      const occurredAt = canonicalInstant(data.occurredAt);
      const reason = refusal(occurredAt, latest);
      const claim: NewClaim = {
        kind,
        source,
        naturalId,
        claimId: uuidv7(),
        hash,
        reference: data.member,
        revision: NO_STREAM,
        purchaseId: null,
        occurredAt,
        receivedAt,
        currency: null,
        total: null,
        content: contentOf(data, occurredAt),
        ...begin(incoming),
        ...(reason !== null && { status: 'refused', reason }),
      };
      return { incoming, claim };
    });
  }

  /**
   * Claims what is free, drafts of one kind, and says in the same transaction what became of those that `isTold` picks: the ledger's
   * publisher tells of the others. Answers the claim ids that were registered.
   */
  register(drafts: readonly Draft[], isTold: (claim: Claim) => boolean): Promise<ReadonlySet<string>> {
    return this.parts.database.transaction(async (work) => {
      const claims = drafts.map((draft) => draft.claim);
      const [first] = claims;
      if (first === undefined) return new Set<string>();
      const registered = await this.parts.claims.register(work, first.kind, claims);
      const told = drafts.filter(({ claim }) => registered.has(claim.claimId) && isTold(claim));
      await publishOutcomes(
        this.parts.bus,
        work,
        told.map(({ claim, incoming }) => this.told(claim, outcomeOf(claim), incoming.traceparent)),
      );
      return registered;
    });
  }

  /**
   * Compares drafts whose keys were taken with what stands there. Conflicts are kept, told of and settled; the same inputs come back with their
   * claims, for the caller to go on with.
   */
  async repeats<Input extends Incoming>(drafts: readonly Draft<Input>[]): Promise<Repeat<Input>[]> {
    if (drafts.length === 0) return [];
    const standing = await this.parts.claims.find(drafts.map(({ claim }) => claim));
    const awards = await this.parts.claims.awards([...standing.values()].map((claim) => claim.claimId));
    const members = await this.parts.references.resolve(referencesOf(standing.values()));
    const conflicts: Draft<Input>[] = [];
    const same: Repeat<Input>[] = [];
    for (const draft of drafts) {
      const claim = standing.get(keyText(draft.claim));
      if (claim === undefined) throw new Error('A claim that was found taken is gone.');
      if (isSame(draft.claim, claim, members)) same.push({ draft, claim, award: awards.get(claim.claimId) });
      else conflicts.push(draft);
    }
    await this.keepConflicts(conflicts);
    return same;
  }

  /** Tells what became of these claims, as part of the transaction that decided it. */
  publish(work: UnitOfWork, claims: readonly Claim[]): Promise<void> {
    const told = claims.map((claim) => this.told(claim, outcomeOf(claim)));
    return publishOutcomes(this.parts.bus, work, told);
  }

  /** Answers those who wait for this very input. */
  settle({ incoming }: Draft, outcome: Outcome): void {
    this.parts.outcomes.settle(fingerprint(incoming), outcome);
  }

  /** Refuses for good a claim that was taken and that its account does not take. */
  async refuse(claim: Claim, reason: string): Promise<void> {
    const refused: Claim = { ...claim, status: 'refused', reason };
    await this.parts.database.transaction(async (work) => {
      if (await this.parts.claims.refuse(work, claim, reason)) await this.publish(work, [refused]);
    });
    this.parts.outcomes.settleExpected(claim.claimId, outcomeOf(refused));
  }

  private latest(): string {
    return canonicalInstant(this.parts.clock.now().add({ minutes: FUTURE_TOLERANCE_MINUTES }));
  }

  private async keepConflicts(conflicts: readonly Draft[]): Promise<void> {
    if (conflicts.length === 0) return;
    const refusals = conflicts.map(({ claim, incoming }) => {
      const outcome: Outcome = { ...outcomeOf(claim), status: 'conflict', reason: 'content-conflict' };
      return this.told(claim, outcome, incoming.traceparent);
    });
    await this.parts.database.transaction(async (work) => {
      const kept = await this.parts.claims.keepConflicts(
        work,
        conflicts.map(({ claim }) => claim),
      );
      await publishOutcomes(
        this.parts.bus,
        work,
        refusals.filter(({ id }) => kept.has(id)),
      );
    });
    for (const [index, draft] of conflicts.entries()) this.settle(draft, (refusals[index] as PublicOutcome).outcome);
  }

  private told(claim: Claim, outcome: Outcome, traceparent?: string): PublicOutcome {
    const time = canonicalInstant(this.parts.clock.now());
    // A conflict is told under its own id: the claim's is that of whatever stands there.
    return { id: claim.claimId, key: keyOf(claim), time, outcome, traceparent };
  }
}

/** The outcome that a claim stands for, with its award where there is one. */
export const outcomeOf = (
  claim: Claim,
  award?: { readonly points: number; readonly explanation: string },
): Outcome => ({
  kind: claim.kind,
  source: claim.source,
  naturalId: claim.naturalId,
  // Being taken up: it waits until its award is there.
  status: claim.status !== 'taking' ? claim.status : award === undefined ? 'waiting' : 'taken',
  memberId: claim.accountId,
  points: award?.points ?? 0,
  transactionId: award === undefined ? null : claim.claimId,
  reason: claim.reason,
  explanation: award === undefined ? null : (JSON.parse(award.explanation) as Outcome['explanation']),
});

/** Both in the canonical form. */
const refusal = (occurredAt: string, latest: string): string | null =>
  compareInstants(occurredAt, latest) > 0 ? OCCURRED_IN_THE_FUTURE : null;

/** What is kept: everything but the member, whom the claim names, and attributes, of which the programme declares none. */
const contentOf = (data: Arriving['data'], occurredAt: string): string =>
  JSON.stringify({ ...data, occurredAt, member: undefined, attributes: undefined });

/** Messages about an input bear the member as key, or the reference, or the input itself where nobody stands behind it. */
const keyOf = (claim: Claim): string =>
  claim.accountId ?? claim.reference ?? `${claim.kind}:${claim.source}:${claim.naturalId}`;

/**
 * The same input again: same content, and the same member by whatever reference. `members` knows the references of claims, too: one that was
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

export const isOpen = (claim: Claim): boolean => claim.status === 'waiting' || claim.status === 'taking';

/** Splits a page so that no round has a key twice: the second has to see what the first left. Nearly always there is one round. */
export const inRounds = <Input extends ClaimKey>(inputs: readonly Input[]): Input[][] => {
  const rounds: Input[][] = [];
  const seen = new Map<string, number>();
  for (const input of inputs) {
    const key = keyText(input);
    const round = seen.get(key) ?? 0;
    seen.set(key, round + 1);
    (rounds[round] ??= []).push(input);
  }
  return rounds;
};

/**
 * What is to be settled, in the order in which it came: a page that comes again after a crash has inputs that were claimed before and others
 * that were not, and an account must see them as the bus has them.
 */
export const inOrderOf = <Task extends { readonly claim: ClaimKey }>(
  round: readonly ClaimKey[],
  tasks: readonly Task[],
): Task[] => {
  const places = new Map(round.map((input, place) => [keyText(input), place]));
  const placeOf = ({ claim }: Task): number => places.get(keyText(claim)) ?? 0;
  return tasks.toSorted((one, other) => placeOf(one) - placeOf(other));
};
