import { NO_STREAM, StateCache, type DecodedEvent, type Projection } from '@vafa/event-sourcing';
import { traceOf, type MessageBus } from '@vafa/messaging';
import type { UnitOfWork } from '@vafa/persistence';
import { pointsAccount } from '../domain/account.js';
import type { PointsEvent } from '../events/points-event.js';
import { publishMovements, type PublicMovement } from '../messaging/publisher.js';
import {
  snapshotDue,
  writeAccounts,
  type AccountRow,
  type AccountSnapshots,
  type Folded,
  type Snapshotted,
} from './accounts.js';
import { writeLots } from './lots.js';
import { MOVEMENT_COLUMNS, movementRow } from './movements.js';
import type { LedgerSchema } from './tables.js';

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
    /** Where the public events go; null tells nobody: a rebuild repeats what was told long ago. */
    private readonly bus: MessageBus | null,
    private readonly snapshots: AccountSnapshots,
    private readonly schema: LedgerSchema = 'points',
  ) {}

  forget(): void {
    this.folded.clear();
  }

  async apply(page: readonly Ledger[], work: UnitOfWork): Promise<void> {
    const { accounts, movements } = await this.fold(page, work);
    await work.copy(`${this.schema}.transactions`, MOVEMENT_COLUMNS, page.map(movementRow));
    await writeLots(page, work, this.schema);
    await writeAccounts(accounts, work, this.schema);
    // Kept only once it is what the tables hold: a page that rolls back is folded again from them.
    work.afterCommit(() => this.keep(accounts));
    // Last: from here on the bus may hold a lock until the commit.
    if (this.bus !== null) await publishMovements(this.bus, work, movements);
  }

  /** Folds the page into its accounts: one row each, with a fresh snapshot where one is due, and what is told of each event. */
  private async fold(
    page: readonly Ledger[],
    work: UnitOfWork,
  ): Promise<{ accounts: FoldedRow[]; movements: PublicMovement[] }> {
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
    const movements: PublicMovement[] = [];
    for (const { id, streamId, revision, recordedAt, metadata, event } of page) {
      const { state: before } = current.get(streamId) as Folded;
      const account = pointsAccount.evolve(before.account, event);
      current.set(streamId, { revision, state: { ...before, account } });
      members.set(streamId, event.data.memberId);
      const { accountId, available, debt } = account;
      const traceparent = traceOf(metadata['traceparent']);
      movements.push({ id, accountId, recordedAt, balance: available - debt, event, traceparent });
    }
    const accounts = [...current].map(([streamId, { revision, state }]) => {
      const snapshot = snapshotDue(state.account, revision, state.snapshotRevision);
      const memberId = members.get(streamId) as string;
      return { streamId, memberId, revision, ...state, snapshot };
    });
    return { accounts, movements };
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
