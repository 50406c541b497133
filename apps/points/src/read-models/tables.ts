import type { Twins } from '@vafa/persistence';

/** Where the fold writes: the tables that are read, or the ones that a rebuild fills beside them. */
export type LedgerSchema = 'points' | 'points_next';

/**
 * Every table that the fold of the ledger writes, and nothing else does: what `vafa rebuild points` builds anew. A table that the
 * projection begins to write is added here; views over it need nothing. One that is only ever appended to gets its indexes at the end.
 */
export const LEDGER_TABLES: Twins & { readonly beside: LedgerSchema } = {
  schema: 'points',
  beside: 'points_next',
  tables: [
    { name: 'transactions', indexes: 'at-the-end' },
    { name: 'lots', indexes: 'at-once' },
    { name: 'lot_draws', indexes: 'at-the-end' },
    { name: 'accounts', indexes: 'at-once' },
  ],
};
