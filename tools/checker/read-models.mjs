import { digest } from './ledger.mjs';

/** Checks that every table and view that is read equals the fold of the log, row by row. */
export async function checkReadModels(tables, ledger, claims, violations) {
  await checkTransactions(tables, ledger, violations);
  await checkLots(tables, ledger, violations);
  await checkDraws(tables, ledger, violations);
  await checkAccounts(tables, ledger, violations);
  await checkBalances(tables, ledger, violations);
  await checkTotals(tables, ledger, claims, violations);
  await checkCheckpoint(tables, ledger, violations);
}

async function checkTransactions(tables, ledger, violations) {
  const rows = new Map();
  for (const movement of ledger.movements.values())
    rows.set(movement.transactionId, { ...movement, kind: 'earned', writtenOff: 0, returnId: null });
  for (const movement of ledger.reversals.values()) {
    const purchaseId = movement.only?.purchaseId ?? null;
    rows.set(movement.transactionId, {
      ...movement,
      kind: 'reversed',
      amount: -movement.amount,
      writtenOff: 0,
      purchaseId,
    });
  }
  for (const movement of ledger.writeOffs.values()) {
    const writtenOff = movement.amount;
    rows.set(movement.transactionId, { ...movement, kind: 'written-off', amount: 0n, writtenOff, purchaseId: null });
  }
  const seen = new Set();
  for await (const row of tables.rows('transactions')) {
    const id = row.transaction_id;
    const movement = rows.get(id);
    if (seen.has(id)) violations.add('transaction-repeated', id, 'stands twice');
    seen.add(id);
    if (movement === undefined) violations.add('transaction-invented', id, 'no event of the ledger bears this id');
    else compareTransaction(row, movement, violations);
  }
  for (const id of rows.keys())
    if (!seen.has(id)) violations.add('transaction-missing', id, 'in the ledger and not in the read model');
}

function compareTransaction(row, movement, violations) {
  const pairs = [
    ['account', row.account_id, movement.accountId],
    ['revision', row.revision, movement.revision],
    ['member', row.member_id, movement.memberId],
    ['kind', row.kind, movement.kind],
    ['amount', row.amount, movement.amount],
    ['what is written off', row.written_off, movement.writtenOff],
    ['time of the input', row.occurred_at, movement.occurred],
    ['effective time', row.effective_at, movement.effective],
    ['recorded time', row.recorded_at, movement.recorded],
    ['source', row.source, movement.source],
    ['purchase', row.purchase_id, movement.purchaseId],
    ['return', row.return_id, movement.returnId],
    ['explanation', digest(JSON.parse(row.explanation)), movement.explanation],
  ];
  for (const [what, actual, expected] of pairs)
    violations.equal('transaction-differs', row.transaction_id, what, actual, expected);
}

async function checkDraws(tables, { accounts }, violations) {
  const draws = new Map();
  for (const account of accounts.values()) for (const [id, amount] of account.draws) draws.set(id, amount);
  for await (const row of tables.rows('draws')) {
    const id = `${row.revision} ${row.lot_id} ${row.transaction_id}`;
    violations.equal('draw-differs', id, 'what was drawn', row.amount, draws.get(id));
    draws.delete(id);
  }
  for (const id of draws.keys()) violations.add('draw-missing', id, 'drawn in the ledger and not in the read model');
}

async function checkLots(tables, { movements, accounts }, violations) {
  const open = new Map();
  for (const movement of movements.values())
    for (const lot of movement.lots)
      open.set(lot.lotId, { ...lot, accountId: movement.accountId, earned: movement.effective });
  for await (const row of tables.rows('lots')) {
    const lot = open.get(row.lot_id);
    if (lot === undefined) {
      violations.add('lot-invented', row.lot_id, 'no event opened it, or it stands twice');
      continue;
    }
    open.delete(row.lot_id);
    violations.equal('lot-differs', row.lot_id, 'the account', row.account_id, lot.accountId);
    violations.equal('lot-differs', row.lot_id, 'the amount', row.amount, lot.amount);
    violations.equal(
      'lot-differs',
      row.lot_id,
      'the rest',
      row.remaining,
      accounts.get(lot.accountId).lots.get(row.lot_id),
    );
    violations.equal('lot-differs', row.lot_id, 'the time earned', row.earned_at, lot.earned);
    violations.equal('lot-differs', row.lot_id, 'the time available', row.available_at, lot.availableAt);
    violations.equal('lot-differs', row.lot_id, 'the expiry', row.expires_at, null);
  }
  for (const id of open.keys()) violations.add('lot-missing', id, 'opened in the ledger and not in the read model');
}

async function checkAccounts(tables, { accounts }, violations) {
  const seen = new Set();
  for await (const row of tables.rows('accounts')) {
    const id = row.account_id;
    seen.add(id);
    const account = accounts.get(id);
    if (account === undefined) {
      violations.add('account-invented', id, 'no stream of the ledger is behind it');
      continue;
    }
    const pairs = [
      ['member', row.member_id, account.memberId],
      ['revision', row.revision, account.revision],
      ['available', row.available, account.available],
      ['debt', row.debt, account.debt],
      ['earned', row.earned_total, account.earned],
      ['reversed', row.reversed_total, account.reversed],
      ['last effective time', row.last_effective_at, account.effective],
    ];
    for (const [what, actual, expected] of pairs) violations.equal('account-differs', id, what, actual, expected);
    for (const column of ['pending', 'held', 'redeemed_total', 'expired_total'])
      violations.equal('account-differs', id, column, row[column], 0);
  }
  for (const id of accounts.keys())
    if (!seen.has(id)) violations.add('account-missing', id, 'in the ledger and not in the read model');
}

async function checkBalances(tables, { accounts }, violations) {
  const balances = new Map([...accounts.values()].map((account) => [account.memberId, account]));
  let rows = 0;
  for await (const row of tables.rows('balances')) {
    rows += 1;
    const account = balances.get(row.member_id);
    violations.equal(
      'balance-differs',
      row.member_id,
      'the balance that analysts see',
      row.balance,
      account && account.available - account.debt,
    );
    violations.equal('balance-differs', row.member_id, 'earned as analysts see it', row.earned_total, account?.earned);
  }
  violations.equal('balance-differs', 'analytics.points_balances', 'the number of members', rows, balances.size);
}

async function checkTotals(tables, { movements, reversals, writeOffs, accounts }, claims, violations) {
  const earned = [...movements.values()].reduce((sum, { amount }) => sum + amount, 0n);
  const available = [...accounts.values()].reduce((sum, account) => sum + account.available, 0n);
  const points = earned - [...reversals.values()].reduce((sum, { amount }) => sum + amount, 0n);
  for await (const row of tables.rows('viewCounts')) {
    violations.equal(
      'view-differs',
      'analytics.points_transactions',
      'the number of rows',
      row.transactions,
      movements.size + reversals.size + writeOffs.size,
    );
    violations.equal('view-differs', 'analytics.points_transactions', 'the sum of points', row.points, points);
    violations.equal('view-differs', 'analytics.purchases', 'the number of rows', row.purchases, claims.size);
    violations.equal('view-differs', 'analytics.purchases', 'the sum of points', row.purchase_points, earned);
    violations.equal('view-differs', 'analytics.points_lots', 'the sum of what remains', row.remaining, available);
  }
}

async function checkCheckpoint(tables, { lastPosition }, violations) {
  for await (const { name, position } of tables.rows('checkpoints')) {
    if (BigInt(position) < lastPosition)
      violations.add('checkpoint-behind', name, `${position}, and the log ends at ${lastPosition}`);
    if (BigInt(position) > lastPosition)
      violations.add('checkpoint-ahead', name, `${position}, and the log ends at ${lastPosition}`);
  }
}
