import type { CommandOutcome, DeciderRunner } from '@vafa/event-sourcing';
import type { Database, UnitOfWork } from '@vafa/persistence';
import {
  streamOf,
  type PointsAccount,
  type PointsCommand,
  type PointsRejection,
  type ReverseAwards,
} from '../domain/account.js';
import type { Explanation } from '../domain/earning.js';
import type { ReturnPolicy } from '../domain/return-policy.js';
import { reversalOf } from '../domain/reversing.js';
import type { PointsEvent } from '../events/points-event.js';
import { DECIDE_TIMEOUT_MS, type Awards } from './awards.js';
import type { Claiming } from './claiming.js';
import { isOpen } from './claiming.js';
import { keyText, type Claim, type ClaimKey, type Claims } from './claims.js';
import type { AwardedPurchase, LatestPurchases } from './latest-purchases.js';
import type { Outcomes } from './outcomes.js';
import type { References } from './references.js';
import { contentOf, decideReturn, goodsOfPurchase, type PurchaseBook } from './return-decision.js';
import type { ReturnedLines, ReturnedRow } from './returned-lines.js';

export type SettlingParts = {
  readonly database: Database;
  readonly claiming: Claiming;
  readonly claims: Claims;
  readonly references: References;
  readonly lines: ReturnedLines;
  readonly latest: LatestPurchases;
  readonly awards: Awards;
  readonly accounts: DeciderRunner<PointsCommand, PointsAccount, PointsEvent, PointsRejection>;
  readonly outcomes: Outcomes;
  readonly policy: ReturnPolicy;
};

/** What was found out before the locks: members, the awards of purchases by their claim id, and where a return without purchase may go back to. */
type Known = {
  readonly members: ReadonlyMap<string, string>;
  readonly awards: Map<string, Explanation>;
  readonly latest: ReadonlyMap<string, readonly AwardedPurchase[]>;
};

/** What a return takes: of which awards, and the money that no purchase was found for, in minor units of `currency`. */
type TakenGoods = Pick<ReverseAwards, 'reversals' | 'uncovered' | 'currency'>;

/** What a page of returns came to. */
type Settled = {
  /** With their reservations, on their way to the ledger. */
  readonly taking: readonly { readonly claim: Claim; readonly goods: TakenGoods }[];
  readonly waiting: readonly Claim[];
  /** A purchase's award was not there yet: to be found, and decided again. */
  readonly again: readonly Claim[];
};

/** Decides returns whose claims stand, with what they take reserved in the same transaction, and sees them through to the ledger. */
export class ReturnSettling {
  constructor(private readonly parts: SettlingParts) {}

  /**
   * Settles open returns in the order given; those that are settled already stay as they are. `waiters` names, by claim id, who waits for the
   * outcome; `patienceMs` how long an award on its way is waited for. Answers the returns that wait now.
   */
  async settle(claims: readonly Claim[], waiters: ReadonlyMap<string, string>, patienceMs: number): Promise<Claim[]> {
    const waiting: Claim[] = [];
    for (let open = claims; open.length > 0;) {
      const known = await this.lookUp(open, patienceMs);
      const settled = await this.decide(open, known);
      await this.reverse(settled.taking, waiters);
      waiting.push(...settled.waiting);
      open = settled.again;
    }
    return waiting;
  }

  private async lookUp(open: readonly Claim[], patienceMs: number): Promise<Known> {
    const members = await this.parts.references.resolve(open.flatMap(({ reference }) => reference ?? []));
    const earlier = await this.parts.lines.purchasesOf(this.parts.database, open.filter(isReservedFreely).map(idOf));
    const purchases = [...(await this.parts.claims.find([...purchasesOf(open), ...earlier.map(keyOf)])).values()];
    const awards = new Map(await this.parts.awards.of(purchases.filter(isAwarded), patienceMs));
    const unreferenced = open.filter(
      ({ purchaseId, reference }) => purchaseId === null && members.has(reference ?? ''),
    );
    const found = await this.parts.latest.before(
      unreferenced.map((claim) => {
        const { occurredAt, currency = '' } = contentOf(claim);
        return { accountId: members.get(claim.reference ?? '') ?? '', before: occurredAt, currency };
      }),
    );
    const latest = new Map(unreferenced.map((claim, index) => [claim.claimId, found[index] ?? []]));
    for (const { awardId, explanation } of found.flat()) awards.set(awardId, explanation);
    const accounts = [...members.values(), ...purchases.flatMap(({ accountId }) => accountId ?? [])];
    // So that the revisions noted are real ones: from them on a return's event is looked for.
    await this.parts.accounts.prepare(accounts.map(streamOf));
    return { members, awards, latest };
  }

  /** One short transaction: locks, what is left, what each return takes of it, and what becomes of its claim. */
  private decide(open: readonly Claim[], known: Known): Promise<Settled> {
    return this.parts.database.transaction(async (work) => {
      const { lines, policy } = this.parts;
      const standing = await lines.lock(work, open);
      const now = open.flatMap((claim) => standing.get(keyText(claim)) ?? []).filter((claim) => isSettleable(claim));
      const books = await this.books(work, now, known);
      const decided: Claim[] = [];
      const rows: ReturnedRow[] = [];
      const again: Claim[] = [];
      for (const claim of now) {
        // Its reservation stands: the ledger only has to be told, perhaps once more.
        if (claim.status === 'taking') continue;
        const purchase = books.get(keyText(purchaseOfReturn(claim)));
        if (purchase !== undefined && isAwarded(purchase.claim) && !known.awards.has(purchase.claim.claimId)) {
          again.push(claim);
          continue;
        }
        const latest = (known.latest.get(claim.claimId) ?? []).flatMap((one) => books.get(keyText(keyOf(one))) ?? []);
        const decision = decideReturn(claim, { policy, members: known.members, purchase, latest });
        decided.push({ ...decision.claim, revision: this.revisionOf(decision.claim) });
        rows.push(...decision.rows);
        for (const row of decision.rows) books.get(keyText(keyOf(row)))?.taken.push(row);
      }
      await lines.add(work, rows);
      await this.write(work, now, decided);
      const after = new Map(decided.map((claim) => [keyText(claim), claim]));
      const settled = now.map((claim) => after.get(keyText(claim)) ?? claim);
      const takenOf = byReturn(books.values());
      return {
        taking: settled
          .filter(({ status }) => status === 'taking')
          .map((claim) => ({ claim, goods: goodsOf(claim, takenOf.get(claim.claimId) ?? [], known.awards) })),
        waiting: decided.filter(({ status }) => status === 'waiting'),
        again,
      };
    });
  }

  /** The purchases that these returns are of, may go back to, or took of before: locked, with everything that was taken of them. */
  private async books(
    work: UnitOfWork,
    claims: readonly Claim[],
    { latest }: Known,
  ): Promise<ReadonlyMap<string, PurchaseBook>> {
    const { lines } = this.parts;
    const earlier = await lines.purchasesOf(work, claims.filter(isReservedFreely).map(idOf));
    const candidates = claims.flatMap(({ claimId }) => latest.get(claimId) ?? []);
    const wanted = new Map(
      [...purchasesOf(claims), ...[...earlier, ...candidates].map(keyOf)].map((key) => [keyText(key), key]),
    );
    const purchases = await lines.lock(work, [...wanted.values()]);
    const books = new Map(
      [...purchases].map(([key, claim]): [string, PurchaseBook] => [
        key,
        { claim, goods: goodsOfPurchase(claim), taken: [] },
      ]),
    );
    const names = [...purchases.values()].map(({ source, naturalId }) => ({ source, purchaseId: naturalId }));
    for (const row of await lines.of(work, names)) books.get(keyText(keyOf(row)))?.taken.push(row);
    return books;
  }

  /** Writes what changed, and tells of what the ledger does not tell; that a return waits is told once, whatever it waits for next. */
  private async write(work: UnitOfWork, before: readonly Claim[], decided: readonly Claim[]): Promise<void> {
    const was = new Map(before.map((claim) => [keyText(claim), claim]));
    const changed = decided.filter((claim) => {
      const then = was.get(keyText(claim));
      return then?.status !== claim.status || then.reason !== claim.reason;
    });
    await this.parts.claims.decide(work, changed);
    await this.parts.claiming.publish(
      work,
      changed.filter(
        (claim) => claim.status !== 'taking' && !(claim.status === 'waiting' && was.get(keyText(claim))?.reason),
      ),
    );
  }

  private revisionOf({ status, accountId, revision }: Claim): number {
    return status === 'taking' && accountId !== null ? this.parts.awards.knownRevision(accountId) : revision;
  }

  /** Has the accounts take back what was reserved, and notes it as taken. */
  private async reverse(taking: Settled['taking'], waiters: ReadonlyMap<string, string>): Promise<void> {
    if (taking.length === 0) return;
    const commands = taking.map(({ claim, goods }) => {
      const waiter = waiters.get(claim.claimId);
      if (waiter !== undefined) this.parts.outcomes.expect(claim.claimId, waiter);
      const command = commandOf(claim, goods, this.parts.policy);
      return { streamId: streamOf(command.memberId), id: claim.claimId, command, suspectedAfter: claim.revision };
    });
    const outcomes = await this.parts.accounts.run(commands, { timeoutMs: DECIDE_TIMEOUT_MS });
    const failed = outcomes.find((outcome) => outcome.status !== 'accepted');
    await this.parts.claims.finishTaking(
      taking.flatMap(({ claim }, index) => (outcomes[index]?.status === 'accepted' ? [claim] : [])),
    );
    if (failed !== undefined) throw new Error('A page of returns could not be settled.', { cause: causeOf(failed) });
  }
}

const causeOf = (outcome: CommandOutcome<PointsEvent, PointsRejection>): unknown =>
  outcome.status === 'failed' ? outcome.error : outcome;

const commandOf = (claim: Claim, goods: TakenGoods, { otherLots, debtMax }: ReturnPolicy): ReverseAwards => {
  const { claimId: transactionId, accountId: memberId, source, naturalId: returnId } = claim;
  if (memberId === null) throw new Error('A return that is being taken has no account.');
  const { occurredAt } = contentOf(claim);
  const stated = { transactionId, memberId, source, returnId, occurredAt, ...goods };
  return { type: 'ReverseAwards', ...stated, policy: { otherLots, debtMax } };
};

/** The purchases that each return took of, by the return's claim id. */
const byReturn = (books: Iterable<PurchaseBook>): ReadonlyMap<string, readonly PurchaseBook[]> => {
  const found = new Map<string, PurchaseBook[]>();
  for (const book of books)
    for (const { returnClaim } of book.taken) {
      const known = found.get(returnClaim);
      if (known === undefined) found.set(returnClaim, [book]);
      else if (known.at(-1) !== book) known.push(book);
    }
  return found;
};

/** What a return takes of each award, by its own place among the returns of the purchase: the same whenever it is worked out. */
const goodsOf = (
  claim: Claim,
  books: readonly PurchaseBook[],
  awards: ReadonlyMap<string, Explanation>,
): TakenGoods => {
  const { amount = 0, currency = '' } = contentOf(claim);
  let covered = 0;
  const reversals = books.map(({ claim: { source, naturalId: purchaseId, claimId: awardId }, taken }) => {
    const now = taken.filter(({ returnClaim }) => returnClaim === claim.claimId);
    const before = taken.filter(({ position }) => position < (now[0]?.position ?? 0));
    const explanation = awards.get(awardId);
    if (explanation === undefined) throw new Error('The award of a purchase that a return took of is not known.');
    for (const row of now) covered += row.amount;
    return reversalOf({ awardId, source, purchaseId, explanation }, byLine(before), byLine(now));
  });
  const uncovered = claim.purchaseId === null ? amount - covered : 0;
  return { reversals, uncovered, currency: awards.get(books[0]?.claim.claimId ?? '')?.currency ?? currency };
};

const byLine = (rows: readonly ReturnedRow[]): Map<string, number> => {
  const amounts = new Map<string, number>();
  for (const { lineId, amount } of rows) amounts.set(lineId, (amounts.get(lineId) ?? 0) + amount);
  return amounts;
};

const isAwarded = ({ status }: Claim): boolean => status === 'taken' || status === 'taking';

/** An anonymous return follows its purchase to whoever claims it. */
const isSettleable = (claim: Claim): boolean => isOpen(claim) || claim.status === 'anonymous';

/** Taken before without a purchase of its own, so that only its reservation tells of which purchases. */
const isReservedFreely = ({ status, purchaseId }: Claim): boolean => status === 'taking' && purchaseId === null;

const idOf = ({ claimId }: Claim): string => claimId;

const keyOf = ({ source, purchaseId }: { readonly source: string; readonly purchaseId: string }): ClaimKey => ({
  kind: 'purchase',
  source,
  naturalId: purchaseId,
});

const purchaseOfReturn = ({ source, purchaseId }: Claim): ClaimKey => keyOf({ source, purchaseId: purchaseId ?? '' });

const purchasesOf = (claims: readonly Claim[]): ClaimKey[] =>
  claims.filter(({ purchaseId }) => purchaseId !== null).map(purchaseOfReturn);
