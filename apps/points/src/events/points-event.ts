import type { Explanation } from '../domain/earning.js';

/** A lot as an award opens it: `amount` points, to be spent from `availableAt` until `expiresAt` (`null`: for ever). */
export type LotOpened = {
  readonly lotId: string;
  readonly amount: number;
  readonly availableAt: string;
  readonly expiresAt: string | null;
};

/**
 * The stored events of an account, version 1. Private: other services read the public events that the publisher makes of them.
 * `PointsEarned` is written for every purchase taken, also where it earned nothing, so that the ledger knows each of them.
 */
export type PointsEvent = {
  readonly type: 'PointsEarned';
  readonly data: {
    /** The event's own id, and the claim's: the name of this movement everywhere. */
    readonly transactionId: string;
    readonly memberId: string;
    readonly source: string;
    readonly purchaseId: string;
    readonly occurredAt: string;
    /** When it counts for the account: never before an earlier event of it. */
    readonly effectiveAt: string;
    readonly amount: number;
    readonly lots: readonly LotOpened[];
    readonly explanation: Explanation;
  };
};
