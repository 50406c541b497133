import { isAhead, keyOf, micros, pointsFor } from './model.mjs';

/**
 * @typedef {{ key: string, claimId: string, hash: string, status: string, reason: string | null, reference: string | null, accountId: string | null,
 *   revision: number, occurred: bigint, received: bigint }} Claim
 */

/** Reads who is who, as the points service learned it: reference → member. */
export async function readReferences(tables) {
  const members = new Map();
  for await (const { reference, member_id: memberId } of tables.rows('references')) members.set(reference, memberId);
  return members;
}

/**
 * Reads the register of what came in and checks each claim in itself: content, currency, total and hash belong together.
 * @returns {Promise<Map<string, Claim>>} by natural key
 */
export async function readClaims(tables, violations) {
  const claims = new Map();
  const ids = new Set();
  for await (const row of tables.rows('claims')) {
    const key = keyOf(row.source, row.natural_id);
    if (claims.has(key)) violations.add('claim-repeated', key, 'the natural key stands twice');
    if (ids.has(row.claim_id)) violations.add('claim-id-repeated', key, `${row.claim_id} names another claim as well`);
    ids.add(row.claim_id);
    const content = JSON.parse(row.content);
    const occurred = BigInt(row.occurred_at);
    violations.equal('claim-content-differs', key, 'purchaseId of the content', content.purchaseId, row.natural_id);
    violations.equal('claim-content-differs', key, 'currency of the content', content.currency, row.currency);
    violations.equal('claim-content-differs', key, 'total of the content', content.total, row.total);
    violations.equal('claim-content-differs', key, 'time of the content', micros(content.occurredAt), occurred);
    claims.set(key, {
      key,
      claimId: row.claim_id,
      hash: row.hash,
      status: row.status,
      reason: row.reason,
      reference: row.reference,
      accountId: row.account_id,
      revision: row.revision,
      occurred,
      received: BigInt(row.received_at),
      points: pointsFor(content),
      content,
    });
  }
  return claims;
}

/** Reads what came in under keys that stood for something else: natural key → list. */
export async function readConflicts(tables) {
  const conflicts = new Map();
  for await (const { source, natural_id: id, hash, reference } of tables.rows('conflicts')) {
    const key = keyOf(source, id);
    conflicts.set(key, [...(conflicts.get(key) ?? []), { hash, reference }]);
  }
  return conflicts;
}

/** Checks every claim against the ledger: taken ↔ its event exactly once; anything else leaves nothing there. */
export function checkClaims({ claims, movements, members }, violations) {
  const claimed = new Set();
  for (const claim of claims.values()) {
    const movement = movements.get(claim.claimId);
    if (movement !== undefined) claimed.add(claim.claimId);
    checkStatus(claim, members, violations);
    if (claim.status !== 'taken') {
      if (movement !== undefined)
        violations.add('event-of-untaken', claim.key, `${claim.status}, and its event is in the ledger`);
    } else if (movement === undefined)
      violations.add('event-missing', claim.key, `taken, and event ${claim.claimId} is not in the ledger`);
    else checkEventOf(claim, movement, violations);
  }
  for (const [id, { source, purchaseId }] of movements)
    if (!claimed.has(id))
      violations.add('event-unclaimed', id, `${keyOf(source, purchaseId)} has no claim with this id`);
}

function checkEventOf(claim, movement, violations) {
  const { key } = claim;
  violations.equal('event-differs', key, 'the purchase of the event', keyOf(movement.source, movement.purchaseId), key);
  violations.equal('event-differs', key, 'the account of the event', movement.accountId, claim.accountId);
  violations.equal('event-differs', key, 'the member of the event', movement.memberId, claim.accountId);
  violations.equal('event-differs', key, 'the time of the event', movement.occurred, claim.occurred);
  violations.equal('points-differ', key, 'the award', movement.amount, claim.points);
  if (movement.revision <= claim.revision)
    violations.add(
      'event-before-claim',
      key,
      `revision ${movement.revision}, and the claim was made at ${claim.revision}`,
    );
}

function checkStatus(claim, members, violations) {
  const { key, status, reference } = claim;
  const member = reference === null ? undefined : members.get(reference);
  const expected = isAhead(claim.occurred, claim.received)
    ? 'refused'
    : reference === null
      ? 'anonymous'
      : member === undefined
        ? 'waiting'
        : 'taken';
  violations.equal('status-differs', key, `the status (${reference ?? 'nobody'})`, status, expected);
  if (status === 'taken') violations.equal('account-differs', key, 'the account', claim.accountId, member);
}

/** Checks the register against what was sent. */
export function checkInputs({ inputs, claims, conflicts, members, movements }, violations) {
  for (const key of claims.keys())
    if (!inputs.purchases.has(key)) violations.add('claim-unknown', key, 'claimed, and it was never sent');
  for (const [key, sent] of inputs.purchases) {
    const claim = claims.get(key);
    if (claim === undefined) {
      const safe = sent.find((input) => input.acknowledged);
      if (safe)
        violations.add('claim-missing', key, `input ${safe.n} was acknowledged (${safe.door}) and is not claimed`);
      continue;
    }
    checkSent(key, sent, { claim, members, conflicts: conflicts.get(key) ?? [], movements }, violations);
  }
  for (const [externalId, { acknowledged, memberIds }] of inputs.members) {
    if (memberIds.size > 1) violations.add('member-doubled', externalId, `enrolled as ${[...memberIds].join(' and ')}`);
    const known = members.get(`external:${externalId}`);
    if (acknowledged && known === undefined)
      violations.add('member-missing', externalId, 'acknowledged, and points does not know it');
    for (const id of memberIds) violations.equal('member-differs', externalId, 'the member', known, id);
  }
}

function checkSent(key, sent, { claim, members, conflicts, movements }, violations) {
  const isSame = (input) => {
    const { member } = input.event.data;
    if (input.hash !== claim.hash) return false;
    return member === claim.reference || memberOf(member, members) === memberOf(claim.reference, members);
  };
  const first = sent.find(isSame);
  if (first === undefined)
    return violations.add('claim-invented', key, 'what is claimed was never sent under this key');
  const { data } = first.event;
  violations.equal('claim-content-differs', key, 'the time', claim.occurred, micros(data.occurredAt));
  violations.equal('points-differ', key, 'what the content is worth', claim.points, pointsFor(data));
  for (const input of sent) {
    const kept = conflicts.some(({ hash, reference }) => hash === input.hash && sameText(reference, input, members));
    if (isSame(input)) {
      if (kept)
        violations.add('conflict-unfounded', key, `input ${input.n} is what is claimed and is kept as a conflict`);
    } else if (input.acknowledged && !kept)
      violations.add(
        'conflict-lost',
        key,
        `input ${input.n} was acknowledged and differs from the claim, and is not kept`,
      );
    if (input.outcome)
      checkOutcome(key, input, { claim, movement: movements.get(claim.claimId), same: isSame(input) }, violations);
  }
  for (const conflict of conflicts)
    if (!sent.some((input) => conflict.hash === input.hash && sameText(conflict.reference, input, members)))
      violations.add('conflict-invented', key, 'a conflict is kept that nobody sent');
}

/** The door over HTTP names the member by its id, so that the kept reference may be another text for the same member. */
const sameText = (reference, { event }, members) =>
  (event.data.member ?? '') === reference ||
  (event.data.member !== null && memberOf(event.data.member, members) === memberOf(reference, members));

const memberOf = (reference, members) => (reference === null ? null : (members.get(reference) ?? reference));

/** What a caller was told must be what stands there; somebody who waited then may have been taken up since. */
function checkOutcome(key, { n, outcome }, { claim, movement, same }, violations) {
  const { status } = outcome;
  if (status === 'conflict') {
    if (same) violations.add('outcome-differs', key, `input ${n} was told of a conflict and is what is claimed`);
    return;
  }
  if (!same) return violations.add('outcome-differs', key, `input ${n} was told ${status} and differs from the claim`);
  if (status === 'waiting') return;
  violations.equal('outcome-differs', key, `the status told to input ${n}`, status, claim.status);
  if (status !== 'taken') return;
  violations.equal('outcome-differs', key, `the transaction told to input ${n}`, outcome.transactionId, claim.claimId);
  violations.equal('outcome-differs', key, `the points told to input ${n}`, outcome.points, movement?.amount);
}
