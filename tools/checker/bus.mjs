import { keyOf } from './model.mjs';

const PURCHASES = 'commerce.purchases';

/** Checks that the purchases of one key entered their account in the order in which the bus had them, those apart that had to wait. */
export async function checkOrder(tables, { accounts, told }, violations) {
  const first = new Map();
  for await (const { position, key, value } of tables.rows('incoming')) {
    const event = parse(value);
    if (event === undefined) continue;
    const purchase = keyOf(event.source, event.data?.purchaseId);
    if (!first.has(purchase)) first.set(purchase, { key, position: BigInt(position) });
  }
  for (const { movements } of accounts.values()) {
    const last = new Map();
    for (const { transactionId, source, purchaseId } of movements) {
      const message = first.get(keyOf(source, purchaseId));
      if (message === undefined || told.has(`${transactionId}:loyalty.purchase.waiting`)) continue;
      const before = last.get(message.key);
      if (before !== undefined && before.position > message.position)
        violations.add(
          'order-broken',
          keyOf(source, purchaseId),
          `came before ${before.purchase} on the bus and after it into the ledger`,
        );
      last.set(message.key, { position: message.position, purchase: keyOf(source, purchaseId) });
    }
  }
}

function parse(value) {
  try {
    const event = JSON.parse(value.toString('utf8'));
    return event !== null && typeof event === 'object' ? event : undefined;
  } catch {
    return undefined;
  }
}

/** Checks that every message that is no event is a dead letter, once, and that nothing else is. */
export async function checkDeadLetters(tables, malformed, violations) {
  const expected = new Set(malformed.map(({ partition, position }) => `${PURCHASES}/${partition}/${position}`));
  const seen = new Set();
  for await (const { topic, partition, position, reason } of tables.rows('deadLetters')) {
    const place = `${topic}/${partition}/${position}`;
    if (seen.has(place)) violations.add('dead-letter-repeated', place, 'kept twice');
    seen.add(place);
    if (!expected.has(place)) violations.add('dead-letter-unexpected', place, reason);
    if (!reason) violations.add('dead-letter-unexplained', place, 'no reason is given');
  }
  for (const place of expected)
    if (!seen.has(place)) violations.add('dead-letter-missing', place, 'malformed, and not among the dead letters');
}

/** Checks that every group has taken everything: what is still under way cannot be judged. */
export async function checkTaken(tables, violations) {
  for await (const { group_name: group, topic, behind } of tables.rows('lag'))
    violations.add('not-taken', `${group}/${topic}`, `${behind} messages are still to be taken`);
}
