import { createHash } from 'node:crypto';
import { micros } from './model.mjs';

const STREAM_PREFIX = 'account-';
/** Closings of periods: they move no points. */
const PERIODS_STREAM = 'periods';

/**
 * @typedef {{ transactionId: string, accountId: string, memberId: string, revision: number, source: string, purchaseId: string, amount: bigint,
 *   occurred: bigint, effective: bigint, recorded: bigint, explanation: string, lots: { lotId: string, amount: bigint, availableAt: bigint }[],
 *   balance: bigint }} Movement
 * @typedef {{ memberId: string, revision: number, earned: bigint, available: bigint, effective: bigint, movements: Movement[] }} Account
 */

/**
 * Walks the log of events once, checks what must hold after each of them, and folds it.
 * @returns {Promise<{ movements: Map<string, Movement>, accounts: Map<string, Account>, lastPosition: bigint }>}
 */
export async function readLedger(tables, violations) {
  const movements = new Map();
  const accounts = new Map();
  const ids = new Set();
  let last = { position: 0n, recorded: null };
  for await (const row of tables.rows('events')) {
    const position = BigInt(row.position);
    const recorded = BigInt(row.recorded_at);
    if (last.recorded !== null && recorded < last.recorded)
      violations.add(
        'recorded-time-goes-back',
        row.event_id,
        `position ${position} was recorded before its predecessor`,
      );
    last = { position, recorded };
    if (ids.has(row.event_id)) violations.add('event-id-repeated', row.event_id, `again at position ${position}`);
    ids.add(row.event_id);
    const account = accountOf(accounts, row, violations);
    const movement = account && movementOf(row, recorded, violations);
    if (!movement) continue;
    apply(account, movement, violations);
    movements.set(movement.transactionId, movement);
  }
  return { movements, accounts, lastPosition: last.position };
}

function accountOf(accounts, row, violations) {
  if (row.stream_id === PERIODS_STREAM) return undefined;
  if (!row.stream_id.startsWith(STREAM_PREFIX)) {
    violations.add('stream-unknown', row.stream_id, `event ${row.event_id} is in a stream of no account`);
    return undefined;
  }
  const accountId = row.stream_id.slice(STREAM_PREFIX.length);
  const account = accounts.get(accountId) ?? {
    memberId: undefined,
    revision: -1,
    earned: 0n,
    available: 0n,
    effective: null,
    movements: [],
  };
  accounts.set(accountId, account);
  if (row.revision !== account.revision + 1)
    violations.add('revision-gap', row.stream_id, `revision ${row.revision} follows ${account.revision}`);
  account.revision = row.revision;
  return account;
}

function movementOf(row, recorded, violations) {
  if (row.type !== 'PointsEarned') {
    violations.add('event-type-unknown', row.event_id, row.type);
    return undefined;
  }
  const data = JSON.parse(row.data);
  violations.equal('event-id-differs', row.event_id, 'the transaction of the event', data.transactionId, row.event_id);
  const components = data.explanation.components.reduce((sum, { points }) => sum + BigInt(points), 0n);
  violations.equal('explanation-differs', row.event_id, 'the sum of the components', components, data.amount);
  return {
    transactionId: data.transactionId,
    accountId: row.stream_id.slice(STREAM_PREFIX.length),
    memberId: data.memberId,
    revision: row.revision,
    source: data.source,
    purchaseId: data.purchaseId,
    amount: BigInt(data.amount),
    occurred: micros(data.occurredAt),
    effective: micros(data.effectiveAt),
    recorded,
    explanation: digest(data.explanation),
    lots: data.lots.map(({ lotId, amount, availableAt }) => ({
      lotId,
      amount: BigInt(amount),
      availableAt: micros(availableAt),
    })),
    balance: 0n,
  };
}

/** Folds one movement into its account and checks the account at this prefix of its stream. */
function apply(account, movement, violations) {
  const { transactionId, accountId } = movement;
  account.memberId ??= movement.memberId;
  violations.equal('member-differs', transactionId, `the member of ${accountId}`, movement.memberId, account.memberId);
  if (movement.amount < 0n) violations.add('amount-negative', transactionId, `${movement.amount} points earned`);
  const effective =
    account.effective !== null && account.effective > movement.occurred ? account.effective : movement.occurred;
  violations.equal('effective-time-differs', transactionId, 'the effective time', movement.effective, effective);
  account.effective = movement.effective;
  account.earned += movement.amount;
  account.available += movement.lots.reduce((sum, lot) => sum + lot.amount, 0n);
  // Earned = available at every prefix, as long as nothing but earning moves points; debits join the sum when there are any.
  violations.equal(
    'identity-broken',
    accountId,
    `what is available at revision ${movement.revision}`,
    account.available,
    account.earned,
  );
  movement.balance = account.available;
  account.movements.push(movement);
}

/** A short stand-in for an explanation, whatever the order of its members. */
export const digest = (explanation) => createHash('sha1').update(JSON.stringify(explanation, sorted)).digest('base64');

const sorted = (_name, value) =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;
