import { keyOf, micros } from './model.mjs';

/** Reads what went out on `loyalty.points`, as `readTopic` does. */
export const readOutgoing = (tables, violations) =>
  readTopic(tables, { topic: 'outgoing', counters: 'sequences' }, violations);

/**
 * Reads what went out on a topic, checks that the sequences of each key have no gaps, and deduplicates by id.
 * @param {{ topic: string, counters: string }} names of the statements that read the topic and its counters
 * @returns {Promise<{ events: Map<string, object>, repeated: number, resent: number }>}
 */
export async function readTopic(tables, { topic, counters }, violations) {
  const events = new Map();
  const heads = new Map();
  let repeated = 0;
  let resent = 0;
  for await (const { position, key, value } of tables.rows(topic)) {
    const { sequence, ...event } = JSON.parse(value.toString('utf8'));
    const head = heads.get(key) ?? 0;
    // Sent again as it was, after it and perhaps others had already gone out: whoever listens knows it by its id.
    if (tables.mayResend && sequence <= head && events.get(event.id)?.sequences.has(sequence)) {
      resent += 1;
      continue;
    }
    if (sequence !== head + 1)
      violations.add('sequence-gap', key, `${sequence} follows ${head} at position ${position}`);
    heads.set(key, sequence);
    const text = JSON.stringify(event);
    const earlier = events.get(event.id);
    if (earlier === undefined) events.set(event.id, { key, text, sequences: new Set([sequence]), ...event });
    else {
      earlier.sequences.add(sequence);
      repeated += 1;
      if (earlier.text !== text) violations.add('outgoing-id-reused', event.id, 'two different events bear this id');
    }
  }
  await checkSequences(tables, counters, heads, violations);
  return { events, repeated, resent };
}

async function checkSequences(tables, counters, heads, violations) {
  for await (const { key, sequence } of tables.rows(counters)) {
    violations.equal('sequence-differs', key, 'the counter', sequence, heads.get(key) ?? 0);
    heads.delete(key);
  }
  for (const key of heads.keys())
    violations.add('sequence-differs', key, 'events went out and no counter stands for the key');
}

/** Checks that what went out, by id, is what the ledger and the register say: nothing missing, nothing else. */
export function checkOutgoing({ events, claims, returns, conflicts, ledger }, violations) {
  const left = new Map(events);
  const take = (id, expected) => {
    const event = left.get(id);
    left.delete(id);
    if (event === undefined) return violations.add('outgoing-missing', id, `${expected.type} was not told`);
    compare(event, expected, violations);
  };
  for (const movement of ledger.movements.values())
    for (const expected of eventsOf(movement)) take(expected.id, expected);
  for (const reversal of ledger.reversals.values())
    for (const expected of returnEventsOf(reversal)) take(expected.id, expected);
  for (const writeOff of ledger.writeOffs.values()) take(writeOffEvent(writeOff).id, writeOffEvent(writeOff));
  for (const claim of returns.values()) takeReturn(claim, left, take);
  for (const claim of claims.values()) {
    const waiting = outcome(claim, 'loyalty.purchase.waiting', 'waiting');
    if (claim.status === 'waiting' || left.has(waiting.id)) take(waiting.id, waiting);
    if (claim.status === 'anonymous' || claim.status === 'refused') {
      const type = claim.status === 'refused' ? 'loyalty.purchase.refused' : 'loyalty.purchase.accepted';
      const expected = outcome(claim, type, claim.status);
      take(expected.id, expected);
    }
  }
  checkConflicts(left, conflicts, violations);
}

function checkConflicts(left, conflicts, violations) {
  const told = new Map();
  for (const [id, { type, data }] of left) {
    // A conflict of a return is told as one and kept beside it; only those of purchases are counted here.
    if (type === 'loyalty.return.refused' && data.status === 'conflict') continue;
    if (type === 'loyalty.purchase.refused' && data.status === 'conflict') {
      const key = keyOf(data.source, data.purchaseId);
      told.set(key, (told.get(key) ?? 0) + 1);
    } else violations.add('outgoing-invented', id, `${type} with nothing behind it`);
  }
  for (const key of new Set([...told.keys(), ...conflicts.keys()]))
    violations.equal(
      'conflict-told',
      key,
      'the number of refusals told',
      told.get(key) ?? 0,
      conflicts.get(key)?.length ?? 0,
    );
}

function eventsOf(movement) {
  const { transactionId, memberId, accountId, source, purchaseId, amount, recorded } = movement;
  const purchase = { source, purchaseId, memberId, transactionId };
  const accepted = {
    id: `${transactionId}:loyalty.purchase.accepted`,
    type: 'loyalty.purchase.accepted',
    key: memberId,
    recorded,
    data: { ...purchase, status: 'taken', points: amount, reason: null },
  };
  if (amount === 0n) return [accepted];
  const earned = {
    id: `${transactionId}:loyalty.points.earned`,
    type: 'loyalty.points.earned',
    key: memberId,
    recorded,
    data: { ...purchase, accountId, amount, debtPaid: movement.debtPaid, balance: movement.balance },
    times: { occurredAt: movement.occurred, effectiveAt: movement.effective },
  };
  return [accepted, earned];
}

/** What was told of a return that the ledger has nothing of; one that waited may have been told of so more than once. */
function takeReturn(claim, left, take) {
  const { claimId, source, returnId, status } = claim;
  const told = (type, id, is) => ({ id, type, data: { source, returnId, status: is, points: 0, transactionId: null } });
  const verbs = { anonymous: 'accepted', refused: 'refused', quarantined: 'quarantined', waiting: 'waiting' };
  for (const [was, verb] of Object.entries(verbs)) {
    const type = `loyalty.return.${verb}`;
    const expected = told(type, `${claimId}:${type}${was === 'anonymous' ? ':anonymous' : ''}`, was);
    if (status === was || left.has(expected.id)) take(expected.id, expected);
  }
}

function returnEventsOf(reversal) {
  const { transactionId, memberId, accountId, source, returnId, amount, debt, recorded } = reversal;
  const about = { source, returnId, memberId, transactionId };
  const base = { key: memberId, recorded };
  const accepted = 'loyalty.return.accepted';
  const first = { ...base, id: `${transactionId}:${accepted}`, type: accepted };
  const events = [{ ...first, data: { ...about, status: 'taken', points: -amount } }];
  if (amount === 0n) return events;
  const type = 'loyalty.points.reversed';
  const times = { occurredAt: reversal.occurred, effectiveAt: reversal.effective };
  const data = { ...about, accountId, amount, debt, balance: reversal.balance };
  return [...events, { ...base, id: `${transactionId}:${type}`, type, data, times }];
}

function writeOffEvent({
  transactionId,
  memberId,
  accountId,
  source,
  returnId,
  reversalId,
  amount,
  recorded,
  balance,
}) {
  const type = 'loyalty.points.written-off';
  const data = { source, returnId, memberId, accountId, transactionId, reversalId, amount, balance };
  return { id: `${transactionId}:${type}`, type, key: memberId, recorded, data };
}

function outcome(claim, type, status) {
  const at = claim.key.indexOf(' ');
  const [source, purchaseId] = [claim.key.slice(0, at), claim.key.slice(at + 1)];
  return {
    // Who claims a purchase of nobody has it accepted once more.
    id: `${claim.claimId}:${type}${status === 'anonymous' ? ':anonymous' : ''}`,
    type,
    key: undefined,
    data: { source, purchaseId, status, points: 0, transactionId: null },
  };
}

function compare(event, expected, violations) {
  const { id } = expected;
  violations.equal('outgoing-differs', id, 'the type', event.type, expected.type);
  if (expected.key !== undefined) violations.equal('outgoing-differs', id, 'the key', event.key, expected.key);
  if (expected.recorded !== undefined)
    violations.equal('outgoing-differs', id, 'the time', micros(event.time), expected.recorded);
  for (const [name, value] of Object.entries(expected.data))
    violations.equal('outgoing-differs', id, name, event.data[name], value);
  for (const [name, value] of Object.entries(expected.times ?? {}))
    violations.equal('outgoing-differs', id, name, micros(event.data[name]), value);
}
