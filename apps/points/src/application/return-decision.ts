import type { PurchaseData, ReturnData } from '@vafa/contracts';
import { isInTime, uncoveredReason, type ReturnPolicy } from '../domain/return-policy.js';
import { amountLeft, leftOf, quantityOf, takeFrom, type Goods, type ReturnedGoods } from '../domain/returned-goods.js';
import { UNKNOWN_MEMBER } from './claiming.js';
import type { Claim } from './claims.js';
import type { ReturnedRow } from './returned-lines.js';

/** Why a return waits. */
export const UNKNOWN_PURCHASE = 'unknown-purchase';
export const PURCHASE_WAITING = 'purchase-waiting';
/** Waits as well, but only for whoever approved it to go on: its purchase's age and its missing purchase are no obstacle any more. */
export const APPROVED = 'approved';
/** The same of a return that follows its purchase to what replaced it; what does not fit there is for a person to see. */
export const CARRIED_OVER = 'carried-over';
/** Of a purchase: it is being returned as a whole, and what else comes back of it waits for what replaces it. */
export const BEING_REPLACED = 'being-replaced';
/** Why a person has to decide. */
export const NO_PURCHASE_NAMED = 'no-purchase-named';
export const APPROVAL_NEEDED = 'approval-needed';

/** The return that undoes a purchase: one, whoever replaces it. */
export const wholeReturnOf = ({ claimId }: Claim): string => `replaced-${claimId}`;

/** What is known, under locks, of the purchases that a page of returns is of. It grows with every return that is decided. */
export type PurchaseBook = {
  readonly claim: Claim;
  readonly goods: readonly Goods[];
  /** Rows of the returns before, in their order. */
  readonly taken: ReturnedRow[];
};

export type ReturnFacts = {
  readonly policy: ReturnPolicy;
  readonly members: ReadonlyMap<string, string>;
  /** The purchase that the return names, if it came in. */
  readonly purchase: PurchaseBook | undefined;
  /** Where it names none: the member's purchases from the latest back. */
  readonly latest: readonly PurchaseBook[];
};

/** What becomes of a return: its claim as it is to be, and what it takes. */
export type ReturnDecision = { readonly claim: Claim; readonly rows: readonly ReturnedRow[] };

/** Decides a return that is open. Pure. */
export const decideReturn = (claim: Claim, facts: ReturnFacts): ReturnDecision => {
  const memberId = facts.members.get(claim.reference ?? '');
  if (claim.purchaseId === null) {
    if (memberId === undefined) return waits(claim, UNKNOWN_MEMBER);
    return overLatest({ ...claim, accountId: memberId }, facts);
  }
  const { purchase } = facts;
  if (purchase === undefined) return waits(claim, UNKNOWN_PURCHASE);
  if (purchase.claim.reason === BEING_REPLACED && claim.naturalId !== wholeReturnOf(purchase.claim))
    return waits(claim, PURCHASE_WAITING);
  switch (purchase.claim.status) {
    case 'refused':
      return refused(claim, `purchase-refused: ${purchase.claim.reason ?? ''}`);
    case 'waiting':
    case 'quarantined':
      return waits(claim, PURCHASE_WAITING);
    case 'anonymous':
      return takes(claim, purchase, facts, 'anonymous');
    case 'taken':
    case 'taking':
      if (
        // Whoever approved it has seen whose it is; taken of a purchase of nobody it follows that to whoever claims it.
        isApproved(claim) ||
        claim.status === 'anonymous' ||
        claim.reference === null ||
        claim.reference === purchase.claim.reference ||
        memberId === purchase.claim.accountId
      )
        return takes({ ...claim, accountId: purchase.claim.accountId }, purchase, facts, 'taking');
      return memberId === undefined ? waits(claim, UNKNOWN_MEMBER) : refused(claim, 'other-member');
  }
};

const waits = (claim: Claim, reason: string): ReturnDecision => ({
  // Approved it stays, whatever else it has to wait for.
  claim: { ...claim, status: 'waiting', reason: isApproved(claim) ? claim.reason : reason },
  rows: [],
});

const isApproved = ({ reason }: Claim): boolean => reason === APPROVED || reason === CARRIED_OVER;

const refused = (claim: Claim, reason: string): ReturnDecision => ({
  claim: { ...claim, status: claim.reason === CARRIED_OVER ? 'quarantined' : 'refused', reason },
  rows: [],
});

const takes = (
  claim: Claim,
  purchase: PurchaseBook,
  { policy }: ReturnFacts,
  status: 'taking' | 'anonymous',
): ReturnDecision => {
  // Taken once, it stays taken: its reservation follows its purchase to whoever claims that.
  if (claim.status === 'anonymous') return { claim: { ...claim, status }, rows: [] };
  const content = contentOf(claim);
  const bought = JSON.parse(purchase.claim.content) as PurchaseData;
  if (!isApproved(claim) && !isInTime(bought.occurredAt, content.occurredAt, policy.windowDays))
    return { claim: { ...claim, status: 'quarantined', reason: APPROVAL_NEEDED }, rows: [] };
  if (content.currency !== undefined && content.currency !== bought.currency)
    return refused(claim, `currency-mismatch: the purchase is in ${bought.currency}`);
  const taking = takeFrom(leftOf(purchase.goods, purchase.taken), goodsOf(content));
  if (!taking.ok) return refused(claim, taking.reason);
  return { claim: { ...claim, status, reason: null }, rows: rowsOf(claim, purchase, taking.taken) };
};

/**
 * Back over the member's purchases from the latest, each up to what is left of it; what none of them covers is said with the return. Where only
 * purchases beyond the return window would cover it, it needs approval like a return that names one of them.
 */
const overLatest = (claim: Claim, { policy, latest }: ReturnFacts): ReturnDecision => {
  const { amount = 0, currency = '', occurredAt } = contentOf(claim);
  const rows: ReturnedRow[] = [];
  let open = amount;
  let isLate = false;
  for (const purchase of latest) {
    if (open === 0) break;
    const bought = JSON.parse(purchase.claim.content) as PurchaseData;
    const left = leftOf(purchase.goods, purchase.taken);
    const part = Math.min(open, amountLeft(left));
    const taking = takeFrom(left, { kind: 'amount', amount: part });
    if (part === 0 || !taking.ok) continue;
    isLate ||= !isApproved(claim) && !isInTime(bought.occurredAt, occurredAt, policy.windowDays);
    rows.push(...rowsOf(claim, purchase, taking.taken));
    open -= part;
  }
  if (isLate) return { claim: { ...claim, status: 'quarantined', reason: APPROVAL_NEEDED }, rows: [] };
  return { claim: { ...claim, status: 'taking', reason: uncoveredReason(open, currency) }, rows };
};

/** Next in the order of its purchase's returns. */
const rowsOf = (claim: Claim, { claim: { source, naturalId }, taken }: PurchaseBook, goods: readonly Goods[]) => {
  const position = (taken.at(-1)?.position ?? 0) + 1;
  return goods.map((line): ReturnedRow => ({
    ...line,
    source,
    purchaseId: naturalId,
    position,
    returnClaim: claim.claimId,
  }));
};

/** The lines of a purchase as they can come back; a line that does not say how much of it there was is one piece. */
export const goodsOfPurchase = (claim: Claim): Goods[] =>
  (JSON.parse(claim.content) as PurchaseData).lines.map(({ lineId, amount, quantity = '1' }) => ({
    lineId,
    amount,
    quantity: quantityOf(quantity),
  }));

export const contentOf = (claim: Claim): ReturnData => JSON.parse(claim.content) as ReturnData;

const goodsOf = ({ lines, whole, amount = 0 }: ReturnData): ReturnedGoods => {
  if (whole === true) return { kind: 'whole' };
  if (lines === undefined) return { kind: 'amount', amount };
  return {
    kind: 'lines',
    lines: lines.map((line) => ({
      lineId: line.lineId,
      amount: line.amount,
      quantity: line.quantity === undefined ? undefined : quantityOf(line.quantity),
    })),
  };
};
