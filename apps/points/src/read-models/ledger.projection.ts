import { NO_STREAM, StateCache, type DecodedEvent, type Projection } from '@vafa/event-sourcing';
import type { MessageBus } from '@vafa/messaging';
import type { UnitOfWork } from '@vafa/persistence';
import { accountOf, pointsAccount } from '../domain/account.js';
import type { PointsEvent } from '../events/points-event.js';
import { publishAwards, type PublicAward } from '../messaging/publisher.js';
import {
  snapshotDue,
  writeAccounts,
  type AccountRow,
  type AccountSnapshots,
  type Folded,
  type Snapshotted,
} from './accounts.js';

/** Accounts that the reader keeps folded between pages. */
export const FOLDED_ACCOUNTS_MAX = 20_000;

type Ledger = DecodedEvent<PointsEvent>;

/**
 * Everything that is read of the ledger, in one fold and a handful of bulk statements a page: movements, lots, accounts with the
 * snapshots that commands start from, and the public events. One transaction with the reader's checkpoint.
 */
export class LedgerProjection implements Projection<PointsEvent> {
  readonly name = 'ledger';
  private readonly folded = new StateCache<Snapshotted>(FOLDED_ACCOUNTS_MAX);

  constructor(
    private readonly bus: MessageBus,
    private readonly snapshots: AccountSnapshots,
  ) {}

  async apply(page: readonly Ledger[], work: UnitOfWork): Promise<void> {
    const { accounts, awards } = await this.fold(page, work);
    await writeTransactions(page, work);
    await writeLots(page, work);
    await writeAccounts(accounts, work);
    // Kept only once it is what the tables hold: a page that rolls back is folded again from them.
    work.afterCommit(() => this.keep(accounts));
    // Last: from here on the bus may hold a lock until the commit.
    await publishAwards(this.bus, work, awards);
  }

  /** Folds the page into its accounts: one row each, with a fresh snapshot where one is due, and what is told of each event. */
  private async fold(
    page: readonly Ledger[],
    work: UnitOfWork,
  ): Promise<{ accounts: FoldedRow[]; awards: PublicAward[] }> {
    const current = new Map<string, Folded>();
    const missing: string[] = [];
    for (const { streamId } of page) {
      if (current.has(streamId)) continue;
      const known = this.folded.get(streamId);
      const none = { account: pointsAccount.initial(streamId), snapshotRevision: NO_STREAM };
      current.set(streamId, known ?? { revision: NO_STREAM, state: none });
      if (known === undefined) missing.push(streamId);
    }
    for (const [streamId, folded] of await this.snapshots.read(missing, work)) current.set(streamId, folded);
    const members = new Map<string, string>();
    const awards: PublicAward[] = [];
    for (const { streamId, revision, recordedAt, event } of page) {
      const { state: before } = current.get(streamId) as Folded;
      const account = pointsAccount.evolve(before.account, event);
      current.set(streamId, { revision, state: { ...before, account } });
      members.set(streamId, event.data.memberId);
      awards.push({ accountId: account.accountId, recordedAt, balance: account.available, data: event.data });
    }
    const accounts = [...current].map(([streamId, { revision, state }]) => {
      const snapshot = snapshotDue(state.account, revision, state.snapshotRevision);
      const memberId = members.get(streamId) as string;
      return { streamId, memberId, revision, ...state, snapshot };
    });
    return { accounts, awards };
  }

  private keep(rows: readonly FoldedRow[]): void {
    for (const { streamId, revision, account, snapshot, snapshotRevision } of rows)
      this.folded.set(streamId, {
        revision,
        state: { account, snapshotRevision: snapshot ? revision : snapshotRevision },
      });
  }
}

type FoldedRow = AccountRow & { readonly streamId: string; readonly snapshotRevision: number };

const TRANSACTION_COLUMNS = [
  'transaction_id',
  'account_id',
  'revision',
  'member_id',
  'kind',
  'amount',
  'occurred_at',
  'effective_at',
  'recorded_at',
  'rule_version',
  'source',
  'purchase_id',
  'explanation',
];

const writeTransactions = (page: readonly Ledger[], work: UnitOfWork): Promise<void> =>
  work.copy(
    'points.transactions',
    TRANSACTION_COLUMNS,
    page.map(({ streamId, revision, recordedAt, event: { data } }) => [
      data.transactionId,
      accountOf(streamId),
      revision,
      data.memberId,
      'earned',
      data.amount,
      data.occurredAt,
      data.effectiveAt,
      recordedAt,
      data.explanation.programme,
      data.source,
      data.purchaseId,
      JSON.stringify(data.explanation),
    ]),
  );

const LOT_COLUMNS = [
  'lot_id',
  'account_id',
  'revision',
  'amount',
  'remaining',
  'earned_at',
  'available_at',
  'expires_at',
];

const writeLots = (page: readonly Ledger[], work: UnitOfWork): Promise<void> =>
  work.copy(
    'points.lots',
    LOT_COLUMNS,
    page.flatMap(({ streamId, revision, event: { data } }) =>
      data.lots.map((lot) => [
        lot.lotId,
        accountOf(streamId),
        revision,
        lot.amount,
        lot.amount,
        data.effectiveAt,
        lot.availableAt,
        lot.expiresAt,
      ]),
    ),
  );
