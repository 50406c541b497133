import type { DecodedEvent } from '@vafa/event-sourcing';
import type { UnitOfWork } from '@vafa/persistence';
import { accountOf } from '../domain/account.js';
import type { PointsEvent } from '../events/points-event.js';
import { drawsOf } from './movements.js';
import type { LedgerSchema } from './tables.js';

type Ledger = DecodedEvent<PointsEvent>;

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
const DRAW_COLUMNS = ['account_id', 'revision', 'lot_id', 'amount', 'transaction_id'];

/** Writes the lots that a page opens, and what it draws from lots, whichever page opened them: at most three statements. */
export const writeLots = async (page: readonly Ledger[], work: UnitOfWork, schema: LedgerSchema): Promise<void> => {
  const draws = page.flatMap(({ id, streamId, revision, event }) =>
    drawsOf(event).map((draw) => ({ ...draw, accountId: accountOf(streamId), revision, transactionId: id })),
  );
  const drawn = new Map<string, number>();
  for (const { lotId, amount } of draws) drawn.set(lotId, (drawn.get(lotId) ?? 0) + amount);
  await work.copy(
    `${schema}.lots`,
    LOT_COLUMNS,
    page.flatMap(({ streamId, revision, event }) => {
      if (event.type !== 'PointsEarned') return [];
      return event.data.lots.map(({ lotId, amount, availableAt, expiresAt }) => {
        const remaining = amount - (drawn.get(lotId) ?? 0);
        drawn.delete(lotId);
        return [
          lotId,
          accountOf(streamId),
          revision,
          amount,
          remaining,
          event.data.effectiveAt,
          availableAt,
          expiresAt,
        ];
      });
    }),
  );
  await work.copy(
    `${schema}.lot_draws`,
    DRAW_COLUMNS,
    draws.map(({ accountId, revision, lotId, amount, transactionId }) => [
      accountId,
      revision,
      lotId,
      amount,
      transactionId,
    ]),
  );
  if (drawn.size === 0) return;
  await work.query(
    `update ${schema}.lots lot set remaining = lot.remaining - page.amount
     from unnest($1::uuid[], $2::bigint[]) as page(lot_id, amount) where lot.lot_id = page.lot_id`,
    [[...drawn.keys()], [...drawn.values()]],
  );
};
