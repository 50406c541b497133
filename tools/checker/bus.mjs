import { contentHash, keyOf } from './model.mjs';

const PURCHASES = 'commerce.purchases';

/**
 * Checks that the purchases of one key entered their account in the order in which the bus had them. Left out are those that had to wait, and
 * those that came under several keys or with several contents: which message of theirs was taken first is not to be seen from here.
 */
export async function checkOrder(tables, { accounts, told }, violations) {
  const places = await readPlaces(tables);
  for (const { movements } of accounts.values()) {
    const last = new Map();
    for (const { transactionId, source, purchaseId } of movements) {
      const purchase = keyOf(source, purchaseId);
      const place = places.get(purchase);
      if (!place?.isSingular || told.has(`${transactionId}:loyalty.purchase.waiting`)) continue;
      const before = last.get(place.key);
      if (before !== undefined && before.position > place.position)
        violations.add(
          'order-broken',
          before.purchase,
          `entered the ledger before ${purchase}, which was first on the bus`,
        );
      last.set(place.key, { position: place.position, purchase });
    }
  }
}

/** Where each purchase stood on the bus first. */
async function readPlaces(tables) {
  const places = new Map();
  for await (const { position, key, value } of tables.rows('incoming')) {
    const event = parse(value);
    if (typeof event?.data !== 'object' || event.data === null || event.type !== 'commerce.purchase.completed')
      continue;
    const purchase = keyOf(event.source, event.data.purchaseId);
    const hash = contentHash(event.data);
    const known = places.get(purchase);
    if (known === undefined) places.set(purchase, { key, hash, position: BigInt(position), isSingular: true });
    else if (known.key !== key || known.hash !== hash) known.isSingular = false;
  }
  return places;
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
