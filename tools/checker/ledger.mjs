import { createHash } from 'node:crypto';
import { micros } from './model.mjs';

const STREAM_PREFIX = 'account-';
/** Closings of periods: they move no points. */
const PERIODS_STREAM = 'periods';

/**
 * @typedef {{ transactionId: string, accountId: string, memberId: string, revision: number, source: string, purchaseId: string, amount: bigint,
 *   occurred: bigint, effective: bigint, recorded: bigint, explanation: string, lots: { lotId: string, amount: bigint, availableAt: bigint }[],
 *   draws: { lotId: string, amount: bigint }[], balance: bigint }} Movement
 * @typedef {{ memberId: string, revision: number, earned: bigint, available: bigint, effective: bigint, movements: Movement[] }} Account
 */

/**
 * Walks the log of events once, checks what must hold after each of them, and folds it.
 * @returns {Promise<{ movements: Map<string, Movement>, accounts: Map<string, Account>, lastPosition: bigint }>}
 */
export async function readLedger(tables, violations) {
  const movements = new Map();
  const reversals = new Map();
  const writeOffs = new Map();
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
    if (!account) continue;
    if (row.type === 'PointsReversed') {
      reversals.set(row.event_id, applyReversal(account, row, recorded, violations));
      continue;
    }
    if (row.type === 'PointsWrittenOff') {
      writeOffs.set(row.event_id, applyWriteOff(account, row, recorded, violations));
      continue;
    }
    const movement = movementOf(row, recorded, violations);
    if (!movement) continue;
    apply(account, movement, violations);
    movements.set(movement.transactionId, movement);
  }
  return { movements, reversals, writeOffs, accounts, lastPosition: last.position };
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
    debt: 0n,
    reversed: 0n,
    short: 0n,
    lots: new Map(),
    draws: new Map(),
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
    draws: drawsOf(data),
    balance: 0n,
  };
}

/** Folds one award into its account and checks the account at this prefix of its stream. */
function apply(account, movement, violations) {
  const { transactionId } = movement;
  if (movement.amount < 0n) violations.add('amount-negative', transactionId, `${movement.amount} points earned`);
  live(account, movement, violations);
  for (const lot of movement.lots) account.lots.set(lot.lotId, lot.amount);
  account.earned += movement.amount;
  account.available += movement.lots.reduce((sum, lot) => sum + lot.amount, 0n);
  movement.debtPaid = draw(account, movement, violations);
  account.debt -= movement.debtPaid;
  checkIdentity(account, movement, violations);
  account.movements.push(movement);
}

/** Folds what a return took. */
function applyReversal(account, row, recorded, violations) {
  const data = JSON.parse(row.data);
  const id = row.event_id;
  violations.equal('event-id-differs', id, 'the transaction of the event', data.transactionId, id);
  const wanted = new Map(data.reversals.map((reversal) => [reversal.awardId, wantedOf(reversal, violations)]));
  const amount = BigInt(data.amount);
  const movement = { ...returnOf(row, data, recorded), amount, wanted, explanation: digest(explanationOf(data)) };
  live(account, movement, violations);
  const drawn = draw(account, movement, violations);
  violations.equal('reversal-differs', id, 'what was drawn and is owed', drawn + BigInt(data.debt), amount);
  account.debt += BigInt(data.debt);
  account.reversed += amount;
  account.short = [...wanted.values()].reduce((sum, points) => sum + points, 0n) - amount;
  if (account.short < 0n) violations.add('reversal-differs', id, 'took more than its goods had earned');
  checkIdentity(account, movement, violations);
  return { ...movement, debt: BigInt(data.debt), only: data.reversals.length === 1 ? data.reversals[0] : undefined };
}

/** Folds what the shop bears of the return before. */
function applyWriteOff(account, row, recorded, violations) {
  const data = JSON.parse(row.data);
  const amount = BigInt(data.amount);
  violations.equal('write-off-differs', row.event_id, 'what was written off', amount, account.short);
  account.short = 0n;
  const { reversalId } = data;
  const movement = {
    ...returnOf(row, data, recorded),
    ...{ amount, reversalId, draws: [], explanation: digest({ reversalId, writtenOff: data.amount }) },
  };
  live(account, movement, violations);
  checkIdentity(account, movement, violations);
  return movement;
}

/** The points of the goods that came back: each component's money before, less that after, and never more than it earned. */
function wantedOf({ awardId, components }, violations) {
  let points = 0n;
  for (const { rate, keptBefore, keptAfter, points: told } of components) {
    const worth = (money) => (BigInt(rate[0]) * BigInt(Math.max(0, money))) / BigInt(rate[1]);
    violations.equal('reversal-differs', awardId, 'a component', told, worth(keptBefore) - worth(keptAfter));
    points += BigInt(told);
  }
  return points;
}

const returnOf = (row, data, recorded) => ({
  transactionId: row.event_id,
  accountId: row.stream_id.slice(STREAM_PREFIX.length),
  memberId: data.memberId,
  revision: row.revision,
  source: data.source,
  returnId: data.returnId,
  occurred: micros(data.occurredAt),
  effective: micros(data.effectiveAt),
  recorded,
  draws: drawsOf(data),
});

const explanationOf = ({ currency, reversals, draws, debt, amount, uncovered }) => {
  const fromLots = draws.reduce((sum, one) => sum + one.amount, 0);
  const wanted = reversals.flatMap(({ components }) => components).reduce((sum, { points }) => sum + points, 0);
  return { currency, reversals, fromLots, debt, writtenOff: wanted - amount, uncovered };
};

const drawsOf = ({ draws = [] }) => draws.map(({ lotId, amount }) => ({ lotId, amount: BigInt(amount) }));

/** What every event does to its account: whose it is, and its time, which never goes back. */
function live(account, { transactionId, accountId, memberId, occurred, effective }, violations) {
  account.memberId ??= memberId;
  violations.equal('member-differs', transactionId, `the member of ${accountId}`, memberId, account.memberId);
  const expected = account.effective !== null && account.effective > occurred ? account.effective : occurred;
  violations.equal('effective-time-differs', transactionId, 'the effective time', effective, expected);
  account.effective = effective;
}

/** Takes what an event drew out of the lots; answers how much. */
function draw(account, { transactionId, revision, draws }, violations) {
  let sum = 0n;
  for (const { lotId, amount } of draws) {
    const left = (account.lots.get(lotId) ?? 0n) - amount;
    if (left < 0n) violations.add('lot-overdrawn', transactionId, `${amount} points of lot ${lotId}`);
    account.lots.set(lotId, left);
    account.draws.set(`${revision} ${lotId} ${transactionId}`, amount);
    sum += amount;
  }
  account.available -= sum;
  return sum;
}

/** What must hold at every prefix: earned and owed is what is available and what was taken back. */
function checkIdentity(account, movement, violations) {
  violations.equal(
    'identity-broken',
    movement.accountId,
    `what is available and was reversed at revision ${movement.revision}`,
    account.available + account.reversed,
    account.earned + account.debt,
  );
  if (account.debt < 0n) violations.add('identity-broken', movement.accountId, `a debt of ${account.debt}`);
  movement.balance = account.available - account.debt;
}

/** A short stand-in for an explanation, whatever the order of its members. */
export const digest = (explanation) => createHash('sha1').update(JSON.stringify(explanation, sorted)).digest('base64');

const sorted = (_name, value) =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;
