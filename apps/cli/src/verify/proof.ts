import type pg from 'pg';

import { Differences } from './differences.js';
import { emptyAccount, fold, micros, type FoldedAccount, type FoldedMovement, type LedgerEvent } from './fold.js';
import type { FoldedLog } from './folded-log.js';
import {
  ACCOUNTS,
  CLAIMS,
  DRAWS,
  FETCH_EVENTS,
  LOTS,
  MOVEMENTS,
  RETURNED,
  TOTALS,
  beginnings,
  declareEvents,
} from './queries.js';

/** Folded accounts and movements that are compared at a time. A single account with more lots is still compared at once. */
const COMPARE_SIZE = 2_000;

export type ProofFigures = {
  readonly events: number;
  readonly accounts: number;
  readonly points: string;
  /** Events that stand in the log and were not in the read models when they were looked at. */
  readonly behind: number;
};

type EventRow = {
  readonly account: string;
  readonly revision: number;
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly recorded_at: string;
};
type Row = Readonly<Record<string, string | number | null>>;

type Movement = FoldedMovement & { readonly account: string; readonly event: string };

/** Whose claim stands behind a movement. */
const claimOf = ({ kind, purchaseId, returnId }: Movement): { claim: string; naturalId: string | null } =>
  kind === 'earned' ? { claim: 'purchase', naturalId: purchaseId } : { claim: 'return', naturalId: returnId };

const byId = (rows: readonly Row[]): Map<string, Row> => new Map(rows.map((row) => [String(row['id']), row]));

const parse = (data: string): Readonly<Record<string, unknown>> => {
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
};

/** What a snapshot must say, in one line: counters, and the open lots in the order of their ids. */
const snapshotText = ({ balance, debt, earned, reversed, lastEffectiveAt, lots }: FoldedAccount): string => {
  const open = [...lots.values()].filter(({ remaining }) => remaining > 0n);
  const left = open.map(({ id, remaining }) => `${id}=${remaining}`).toSorted();
  return [balance + debt, debt, earned, reversed, lastEffectiveAt, ...left].join(' ');
};

/** The same of a stored snapshot: `{ at, available, earned, debt?, reversed?, lots: [[id, remaining, …]] }`. */
const storedSnapshot = (state: unknown): string => {
  const { at, available, earned, debt = 0, reversed = 0, lots } = parse(String(state));
  const open = (Array.isArray(lots) ? (lots as unknown[][]) : []).map(
    ([id, remaining]) => `${String(id)}=${String(remaining)}`,
  );
  return [available, debt, earned, reversed, micros(at), ...open.toSorted()].map(String).join(' ');
};

/**
 * Folds the log anew, stream by stream, and compares with the tables in bulk. Works on one snapshot of the database, so that
 * purchases may go on meanwhile, and holds one account and a page of movements in memory.
 */
export class Proof {
  private finished: FoldedAccount[] = [];
  private movements: Movement[] = [];
  private figures = { events: 0, accounts: 0, points: 0n, earned: 0n, lots: 0, remaining: 0n, draws: 0, writeOffs: 0 };

  constructor(
    private readonly client: pg.Client,
    private readonly log: FoldedLog,
    private readonly differences: Differences,
    private readonly onProgress: (events: number) => void,
    private readonly signal: AbortSignal,
  ) {}

  /** Call it within a repeatable-read transaction. */
  async run(): Promise<ProofFigures> {
    const { table, upTo, behind } = this.log;
    await this.client.query(declareEvents(table, upTo));
    let account: FoldedAccount | undefined;
    for (;;) {
      this.signal.throwIfAborted();
      const page = await this.rows<EventRow>(FETCH_EVENTS);
      if (page.length === 0) break;
      for (const row of page) {
        if (account === undefined || account.id !== row.account) {
          if (account !== undefined) this.finish(account);
          account = emptyAccount(row.account);
        }
        this.fold(account, row);
      }
      if (this.movements.length >= COMPARE_SIZE) await this.compareMovements();
      if (this.finished.length >= COMPARE_SIZE) await this.compareAccounts();
      this.onProgress(this.figures.events);
    }
    if (account !== undefined) this.finish(account);
    await this.compareMovements();
    await this.compareAccounts();
    await this.compareTotals();
    const { events, accounts, points } = this.figures;
    return { events, accounts, points: points.toString(), behind };
  }

  private fold(account: FoldedAccount, row: EventRow): void {
    const event: LedgerEvent = { ...row, recordedAt: row.recorded_at, data: parse(row.data) };
    const subject = `account ${row.account}, revision ${row.revision}`;
    const movement = fold(account, event, (check, expected, found) =>
      this.differences.add(check, subject, expected, found),
    );
    this.figures.events += 1;
    if (movement?.kind === 'written-off') this.figures.writeOffs += 1;
    if (movement !== undefined) this.movements.push({ ...movement, account: row.account, event: row.id });
  }

  private finish(account: FoldedAccount): void {
    this.finished.push(account);
    this.figures.accounts += 1;
    this.figures.points += account.balance;
    this.figures.earned += account.earned;
    this.figures.draws += account.draws.size;
    this.figures.lots += account.lots.size;
    for (const lot of account.lots.values()) this.figures.remaining += lot.remaining;
  }

  private async compareMovements(): Promise<void> {
    const { movements, differences } = this;
    this.movements = [];
    const found = byId(await this.rows<Row>(MOVEMENTS, [movements.map(({ event }) => event)]));
    for (const movement of movements) {
      const row = found.get(movement.event);
      const subject = `transaction ${movement.event}`;
      if (row === undefined) {
        differences.add('every event has its transaction', subject, 'one row', 'none');
        continue;
      }
      for (const name of ['account', 'revision', 'member', 'amount', 'times', 'kind', 'rules', 'writtenOff'] as const)
        differences.compare(`transactions: ${name}`, subject, movement[name], row[name]);
      differences.compare(
        'transactions: explanation',
        subject,
        movement.why,
        JSON.stringify(parse(String(row['why']))),
      );
      differences.compare('transactions: source', subject, movement.source, row['source']);
      differences.compare('transactions: purchase', subject, movement.purchaseId, row['purchase_id']);
      differences.compare('transactions: return', subject, movement.returnId, row['return_id']);
    }
    await this.compareReturned(movements.filter(({ kind }) => kind === 'reversed'));
    await this.compareClaims(movements.filter(({ source, kind }) => source !== null && kind !== 'written-off'));
  }

  /** What a return took of lines is what the awards of their purchases lost. Lines that earned nothing are not in the ledger. */
  private async compareReturned(movements: readonly Movement[]): Promise<void> {
    const rows = await this.rows<Row>(RETURNED, [movements.map(({ event }) => event)]);
    const keyOf = (...parts: unknown[]): string => parts.map(String).join('\u0000');
    const money = new Map(
      rows.map((row) => [
        keyOf(row['id'], row['source'], row['purchase_id'], row['line_id']),
        BigInt(row['amount'] ?? 0),
      ]),
    );
    for (const { event, returned } of movements)
      for (const { source, purchaseId, lines, money: expected } of returned) {
        const found = lines.reduce((sum, id) => sum + (money.get(keyOf(event, source, purchaseId, id)) ?? 0n), 0n);
        const subject = `purchase ${purchaseId} of ${source}, transaction ${event}`;
        this.differences.compare('returned lines: money of an award', subject, expected, found);
      }
  }

  /** Every award and every reversal has the claim of its purchase or return behind it, and the claim names no other event. */
  private async compareClaims(movements: readonly Movement[]): Promise<void> {
    const keyOf = (...parts: unknown[]): string => parts.map(String).join('\u0000');
    const named = movements.map((movement) => ({ ...movement, ...claimOf(movement) }));
    const rows = await this.rows<Row>(CLAIMS, [
      named.map(({ claim }) => claim),
      named.map(({ source }) => source),
      named.map(({ naturalId }) => naturalId),
    ]);
    const claims = new Map(rows.map((row) => [keyOf(row['kind'], row['source'], row['natural_id']), row]));
    for (const { claim: kind, source, naturalId, event, account } of named) {
      const claim = claims.get(keyOf(kind, source, naturalId));
      const subject = `${kind} ${String(naturalId)} of ${String(source)}`;
      if (claim === undefined) {
        this.differences.add('every award and reversal has its claim', subject, `claim ${event}`, 'none');
        continue;
      }
      this.differences.compare('a claim names its one event', subject, event, claim['id']);
      this.differences.compare('a claim names the account of its event', subject, account, claim['account']);
      if (claim['status'] !== 'taken' && claim['status'] !== 'taking')
        this.differences.add('a claim with an event is taken', subject, 'taken', claim['status']);
    }
  }

  private async compareAccounts(): Promise<void> {
    const accounts = this.finished;
    this.finished = [];
    const ids = accounts.map(({ id }) => id);
    const rows = byId(await this.rows<Row>(ACCOUNTS, [ids]));
    const lots = Map.groupBy(await this.rows<Row>(LOTS, [ids]), (row) => String(row['account']));
    const draws = Map.groupBy(await this.rows<Row>(DRAWS, [ids]), (row) => String(row['account']));
    for (const account of accounts) {
      this.compareAccount(account, rows.get(account.id));
      this.compareLots(account, lots.get(account.id) ?? []);
      this.compareDraws(account, draws.get(account.id) ?? []);
    }
    await this.compareSnapshots(accounts, rows);
  }

  /** What commands start from: the account as it stood at the snapshot's revision. */
  private async compareSnapshots(accounts: readonly FoldedAccount[], rows: ReadonlyMap<string, Row>): Promise<void> {
    const revisionOf = ({ id }: FoldedAccount): number => Number(rows.get(id)?.['state_revision'] ?? -1);
    const lagging = accounts.filter((account) => rows.has(account.id) && revisionOf(account) < account.revision);
    const beginnings = await this.beginnings(lagging.map((account) => [account.id, revisionOf(account)]));
    for (const account of accounts) {
      const row = rows.get(account.id);
      if (row === undefined || revisionOf(account) < 0) continue;
      const then =
        revisionOf(account) === account.revision ? account : (beginnings.get(account.id) ?? emptyAccount(account.id));
      this.differences.compare(
        'snapshots: state',
        `account ${account.id}`,
        snapshotText(then),
        storedSnapshot(row['state']),
      );
    }
  }

  private async beginnings(wanted: readonly (readonly [string, number])[]): Promise<Map<string, FoldedAccount>> {
    const folded = new Map<string, FoldedAccount>();
    if (wanted.length === 0) return folded;
    const rows = await this.rows<EventRow>(beginnings(this.log.table), [
      wanted.map(([id]) => id),
      wanted.map(([, upTo]) => upTo),
    ]);
    for (const row of rows) {
      const account = folded.get(row.account) ?? emptyAccount(row.account);
      folded.set(row.account, account);
      // What is broken in these events was noted when they came the first time.
      fold(account, { ...row, recordedAt: row.recorded_at, data: parse(row.data) }, () => undefined);
    }
    return folded;
  }

  private compareAccount(account: FoldedAccount, row: Row | undefined): void {
    const subject = `account ${account.id}`;
    if (row === undefined) {
      this.differences.add('every account has its row', subject, 'one row', 'none');
      return;
    }
    const { differences } = this;
    differences.compare('accounts: revision', subject, account.revision, row['revision']);
    differences.compare('accounts: member', subject, account.member, row['member']);
    differences.compare('accounts: earned in all', subject, account.earned, row['earned_total']);
    differences.compare('accounts: last effective time', subject, account.lastEffectiveAt, row['last_effective_at']);
    const [available, held, debt] = ['available', 'held', 'debt'].map((name) => BigInt(row[name] ?? 0));
    const balance = (available ?? 0n) + (held ?? 0n) - (debt ?? 0n);
    differences.compare('accounts: balance', subject, account.balance, balance);
    differences.compare('accounts: debt', subject, account.debt, row['debt']);
    differences.compare('accounts: reversed in all', subject, account.reversed, row['reversed_total']);
    if (account.short !== null)
      differences.add('what a reversal cannot take is written off', subject, account.short.points, 'nothing');
    for (const name of ['pending', 'held', 'redeemed_total', 'expired_total'])
      differences.compare(`accounts: ${name}`, subject, 0n, row[name]);
  }

  private compareDraws(account: FoldedAccount, rows: readonly Row[]): void {
    const found = byId(rows);
    for (const [id, amount] of account.draws) {
      const subject = `draw ${id} of account ${account.id}`;
      this.differences.compare('lot draws: amount', subject, amount, found.get(id)?.['amount'] ?? 'none');
      found.delete(id);
    }
    for (const id of found.keys())
      this.differences.add('every draw has its event', `draw ${id} of account ${account.id}`, 'none', 'one row');
  }

  private compareLots(account: FoldedAccount, rows: readonly Row[]): void {
    const found = byId(rows);
    for (const lot of account.lots.values()) {
      const row = found.get(lot.id);
      const subject = `lot ${lot.id} of account ${account.id}`;
      if (row === undefined) {
        this.differences.add('every lot has its row', subject, 'one row', 'none');
        continue;
      }
      this.differences.compare('lots: revision', subject, lot.revision, row['revision']);
      this.differences.compare('lots: amount', subject, lot.amount, row['amount']);
      this.differences.compare('lots: remaining', subject, lot.remaining, row['remaining']);
      this.differences.compare('lots: times', subject, lot.times, row['times']);
      found.delete(lot.id);
    }
    for (const id of found.keys())
      this.differences.add('every lot has its event', `lot ${id} of account ${account.id}`, 'none', 'one row');
  }

  /** What is in the tables beyond the log shows in the sums; so do the views that analysts read. */
  private async compareTotals(): Promise<void> {
    const [row = {}] = await this.rows<Readonly<Record<string, string>>>(TOTALS);
    const { events, accounts, points, earned, lots, remaining, draws, writeOffs } = this.figures;
    const expected: Readonly<Record<string, bigint | number>> = {
      accounts,
      movements: events,
      lots,
      points,
      remaining,
      draws,
      claimed: events - writeOffs,
      'analytics.points_balances': accounts,
      'analytics.points_balances.balance': points,
      'analytics.points_balances.earned_total': earned,
      'analytics.points_transactions': events,
      'analytics.points_transactions.amount': points,
      'analytics.points_lots.remaining': remaining,
      'analytics.purchases.points': earned,
    };
    for (const [name, value] of Object.entries(expected))
      this.differences.compare(`totals: ${name}`, 'all accounts', value, row[name]);
  }

  private async rows<Result>(sql: string, parameters: readonly unknown[] = []): Promise<Result[]> {
    return (await this.client.query(sql, [...parameters])).rows as Result[];
  }
}
