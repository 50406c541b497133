import type { ReturnData } from '@vafa/contracts';
import type { ReturnPolicy } from '../domain/return-policy.js';
import { inRounds, isOpen, outcomeOf, UNKNOWN_MEMBER, type Claiming, type Draft, type Repeat } from './claiming.js';
import { keyText, TAKE_UP_PAGE_SIZE, type Claim, type ClaimKey, type Claims } from './claims.js';
import { fingerprint, type Incoming, type Outcomes } from './outcomes.js';
import type { References } from './references.js';
import { APPROVED, BEING_REPLACED, CARRIED_OVER, NO_PURCHASE_NAMED, UNKNOWN_PURCHASE } from './return-decision.js';
import type { ReturnSettling } from './return-settling.js';

/** A return that passed validation at either door. */
export type IncomingReturn = Incoming<ReturnData> & {
  readonly kind: 'return';
  /** It was taken before, of a purchase that another replaces now: no window closes before it. */
  readonly carriedOver?: boolean;
};
type ReturnDraft = Draft<IncomingReturn>;

export type ReturnParts = {
  readonly claiming: Claiming;
  readonly claims: Claims;
  readonly references: References;
  readonly settling: ReturnSettling;
  readonly outcomes: Outcomes;
  readonly policy: ReturnPolicy;
};

/**
 * How long a return waits for the award of its purchase that is on its way; then it sees to it itself. Longer than the partitions of a process that
 * died stand still before another takes its purchases up, shorter than a handler may take.
 */
export const AWARD_PATIENCE_MS = 15_000;

/** Before every claim id. */
const FIRST_ID = '00000000-0000-0000-0000-000000000000';

/**
 * Takes returns in, a page at a time: claim, then what is decided of it together with what it takes of its purchase's lines, then ledger. Every
 * step may be repeated. Returns once everything is durable; throws where that is not known, and the same page has to come again.
 */
export class ReturnIntake {
  constructor(private readonly parts: ReturnParts) {}

  /** Takes a page of returns in their order. */
  async take(returns: readonly IncomingReturn[]): Promise<void> {
    for (const round of inRounds(returns)) await this.takeRound(round);
  }

  /** Takes up returns that named one of these references, now that their members are known. */
  takeUp(references: readonly string[]): Promise<void> {
    return this.eachPage((after) => this.parts.claims.openReturnsFor(references, after));
  }

  /** Takes up what came back of these purchases before they were there, or before anybody was behind them. */
  async follow(purchases: readonly ClaimKey[]): Promise<void> {
    if (purchases.length === 0) return;
    await this.eachPage((after) => this.parts.claims.openReturns(purchases, after));
  }

  /**
   * Goes on with returns that a person decided on: claims that wait with the reason `APPROVED`, their purchase named where the sender named none.
   * What follows stands in the claim: taken, or refused where there is not as much left.
   */
  resume(claims: readonly Claim[]): Promise<void> {
    return this.settle(claims);
  }

  private async eachPage(open: (after: string) => Promise<Claim[]>): Promise<void> {
    for (let after = FIRST_ID; ;) {
      const page = await open(after);
      await this.settle(page);
      if (page.length < TAKE_UP_PAGE_SIZE) return;
      after = page.at(-1)?.claimId ?? after;
    }
  }

  private async takeRound(round: readonly IncomingReturn[]): Promise<void> {
    const drafts = await this.draft(round);
    const registered = await this.parts.claiming.register(drafts, (claim) => claim.status !== 'waiting');
    const fresh = drafts.filter(({ claim }) => registered.has(claim.claimId));
    const repeats = await this.parts.claiming.repeats(drafts.filter(({ claim }) => !registered.has(claim.claimId)));
    const standing = new Map<string, Claim>();
    for (const { claim } of [...fresh, ...repeats]) standing.set(keyText(claim), claim);
    const waiters = new Map<string, string>();
    for (const { incoming } of drafts) {
      const claim = standing.get(keyText(incoming));
      if (claim !== undefined) waiters.set(claim.claimId, fingerprint(incoming));
    }
    // In the order in which they came, fresh ones and those that a crash left open alike.
    const open = drafts.flatMap(({ claim }) => standing.get(keyText(claim)) ?? []).filter(isOpen);
    await this.settle(open, waiters, AWARD_PATIENCE_MS);
    await this.answer(fresh, repeats);
  }

  /** Answers those who wait; the reader answers for what is on its way to the read models. */
  private async answer(fresh: readonly ReturnDraft[], repeats: readonly Repeat<IncomingReturn>[]): Promise<void> {
    const all = [...fresh.map((draft) => ({ draft, award: undefined })), ...repeats];
    if (this.parts.outcomes.nobodyWaits) return;
    const claims = await this.parts.claims.find(all.map(({ draft }) => draft.claim));
    for (const { draft, award } of all) {
      const claim = claims.get(keyText(draft.claim));
      if (claim === undefined) continue;
      const isUnderWay = award === undefined && (claim.status === 'taken' || claim.status === 'taking');
      if (isUnderWay) this.parts.outcomes.expect(claim.claimId, fingerprint(draft.incoming));
      else this.parts.claiming.settle(draft, outcomeOf(claim, award));
    }
  }

  /** Settles returns, and those once more whose purchase or member came in while they were being parked: nobody else would come back for them. */
  private async settle(
    claims: readonly Claim[],
    waiters: ReadonlyMap<string, string> = new Map(),
    patienceMs = 0,
  ): Promise<void> {
    for (let open = claims; open.length > 0;) {
      const parked = await this.parts.settling.settle(open, waiters, patienceMs);
      const purchases = parked.filter(
        ({ reason, purchaseId }) => reason === UNKNOWN_PURCHASE || (reason === APPROVED && purchaseId !== null),
      );
      const members = parked.filter(
        ({ reason, purchaseId }) => reason === UNKNOWN_MEMBER || (reason === APPROVED && purchaseId === null),
      );
      const there = await this.parts.claims.find(purchases.map(purchaseKey));
      const known = await this.parts.references.resolve(members.flatMap(({ reference }) => reference ?? []));
      open = [
        ...purchases.filter((claim) => {
          const purchase = there.get(keyText(purchaseKey(claim)));
          // Approved, it says no more what it waits for: a purchase that waits itself brings it in when it is taken up.
          return purchase !== undefined && (claim.reason === UNKNOWN_PURCHASE || isSettled(purchase));
        }),
        ...members.filter(({ reference }) => known.has(reference ?? '')),
      ];
    }
  }

  /** What each return would be claimed as; what follows is decided when the claims stand. */
  private async draft(round: readonly IncomingReturn[]): Promise<ReturnDraft[]> {
    const members = await this.parts.references.resolve(round.flatMap(({ data }) => data.member ?? []));
    const counting = await this.counting(round);
    return this.parts.claiming.draft(round, (incoming) => ({
      ...this.beginning(incoming),
      accountId: members.get(incoming.data.member ?? '') ?? null,
      purchaseId: counting.get(keyText(incoming)) ?? null,
      currency: incoming.data.currency ?? null,
      total: incoming.data.amount ?? null,
    }));
  }

  /** The purchases that returns are of, by the return: where a person replaced one, what counts instead. */
  private async counting(round: readonly IncomingReturn[]): Promise<ReadonlyMap<string, string>> {
    const named = round.filter(({ data }) => data.purchaseId !== undefined);
    const purchases = named.map(({ source, data }) => ({
      kind: 'purchase' as const,
      source,
      naturalId: data.purchaseId ?? '',
    }));
    const counting = await this.parts.claims.counting(purchases);
    return new Map(named.map((incoming, index) => [keyText(incoming), counting[index]?.naturalId ?? '']));
  }

  private beginning({ data, carriedOver = false }: IncomingReturn): Pick<Claim, 'status' | 'reason'> {
    if (carriedOver) return { status: 'waiting', reason: CARRIED_OVER };
    const quarantined = this.parts.policy.unreferenced === 'quarantine' || data.member === null;
    return data.purchaseId === undefined && quarantined
      ? { status: 'quarantined', reason: NO_PURCHASE_NAMED }
      : { status: 'waiting', reason: null };
  }
}

const isSettled = ({ status, reason }: Claim): boolean =>
  status !== 'waiting' && status !== 'quarantined' && reason !== BEING_REPLACED;

const purchaseKey = ({ source, purchaseId }: Claim): ClaimKey => ({
  kind: 'purchase',
  source,
  naturalId: purchaseId ?? '',
});
