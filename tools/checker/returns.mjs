// What must hold of returns, whatever their order: an award less its reversals is what the kept goods would have earned, no line gives back more than
// it cost, and every return that was acknowledged became something.
import { keptOf, keyOf, pointsFor } from './model.mjs';

/**
 * @typedef {{ key: string, claimId: string, status: string, reason: string | null, purchase: string | null, reference: string | null,
 *   accountId: string | null, position: number | null, content: object }} ReturnClaim `position` is its place among the returns of its purchase
 */

/** Reads the returns of the register, by natural key. */
export async function readReturns(tables) {
  const returns = new Map();
  for await (const row of tables.rows('returns')) {
    const key = keyOf(row.source, row.natural_id);
    returns.set(key, {
      key,
      source: row.source,
      returnId: row.natural_id,
      claimId: row.claim_id,
      status: row.status,
      reason: row.reason,
      purchase: row.purchase_id === null ? null : keyOf(row.source, row.purchase_id),
      reference: row.reference,
      accountId: row.account_id,
      position: row.position,
      content: JSON.parse(row.content),
    });
  }
  return returns;
}

/** Checks every return against the ledger, and every award against what was kept of its purchase. */
export function checkReturns({ returns, claims, movements, reversals, members }, violations) {
  const known = new Set();
  const taken = new Map();
  for (const claim of returns.values()) {
    known.add(claim.claimId);
    const purchase = claims.get(claim.purchase);
    checkStatus(claim, purchase, members, violations);
    const reversal = reversals.get(claim.claimId);
    if (claim.status !== 'taken') {
      if (reversal !== undefined)
        violations.add('event-of-untaken', claim.key, `${claim.status}, and its event is in the ledger`);
      continue;
    }
    if (reversal === undefined) {
      violations.add('event-missing', claim.key, `taken, and event ${claim.claimId} is not in the ledger`);
      continue;
    }
    violations.equal('event-differs', claim.key, 'the return of the event', reversal.returnId, claim.returnId);
    violations.equal('event-differs', claim.key, 'the account of the event', reversal.accountId, claim.accountId);
    if (purchase !== undefined) taken.set(purchase.key, [...(taken.get(purchase.key) ?? []), { claim, reversal }]);
  }
  for (const id of reversals.keys())
    if (!known.has(id)) violations.add('event-unclaimed', id, 'a reversal without a return of this id');
  for (const [key, list] of taken) checkKept(claims.get(key), list, movements, violations);
}

function checkStatus(claim, purchase, members, violations) {
  const { key, status, reference } = claim;
  if (status === 'waiting' && purchase?.status === 'taken' && (reference === null || members.has(reference)))
    violations.add('return-forgotten', key, 'waits, and its purchase is taken');
  if (status === 'waiting' && purchase?.status === 'refused')
    violations.add('return-forgotten', key, 'waits, and its purchase is refused');
  if (status === 'taken' && purchase !== undefined && purchase.status !== 'taken')
    violations.add('status-differs', key, `taken, and its purchase is ${purchase.status}`);
  if (status === 'taken' && purchase !== undefined)
    violations.equal('account-differs', key, 'the account of the return', claim.accountId, purchase.accountId);
}

/** The purchase as if only what was kept had been bought. */
function checkKept(purchase, taken, movements, violations) {
  const award = movements.get(purchase.claimId);
  if (award === undefined) return;
  const inOrder = taken.toSorted((one, other) => one.claim.position - other.claim.position);
  const tooMuch = (detail) => violations.add('returned-twice', purchase.key, detail);
  const returned = inOrder.map(({ claim }) => claim.content);
  const lines = keptOf(purchase.content.lines, returned, tooMuch);
  const reversed = taken.reduce((sum, { reversal }) => sum + reversal.wanted.get(purchase.claimId), 0n);
  const expected = pointsFor({ currency: purchase.content.currency, lines });
  violations.equal('kept-differs', purchase.key, 'the award less its reversals', award.amount - reversed, expected);
}

/** Checks the returns of the register against what was sent. */
export function checkReturnInputs({ inputs, returns }, violations) {
  for (const key of returns.keys())
    if (!inputs.returns.has(key)) violations.add('claim-unknown', key, 'a return is claimed, and it was never sent');
  for (const [key, sent] of inputs.returns) {
    const claim = returns.get(key);
    const safe = sent.find((input) => input.acknowledged);
    if (claim === undefined) {
      if (safe) violations.add('claim-missing', key, `return ${safe.n} was acknowledged (${safe.door}), not claimed`);
      continue;
    }
    for (const { n, outcome } of sent) {
      if (!outcome || outcome.status === 'waiting' || outcome.status === 'conflict') continue;
      violations.equal('outcome-differs', key, `the status told to return ${n}`, outcome.status, claim.status);
    }
  }
}
