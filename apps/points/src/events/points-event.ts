import type { Explanation } from '../domain/earning.js';
import type { LotDraw } from '../domain/lots.js';
import type { Reversal } from '../domain/reversing.js';

/** A lot as an award opens it: `amount` points, to be spent from `availableAt` until `expiresAt` (`null`: for ever). */
export type LotOpened = {
  readonly lotId: string;
  readonly amount: number;
  readonly availableAt: string;
  readonly expiresAt: string | null;
};

/** Written for every purchase taken, also where it earned nothing, so that the ledger knows each of them. Version 2. */
export type PointsEarned = {
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
    /** What went out of these lots at once, to pay the account's debt. */
    readonly draws: readonly LotDraw[];
    readonly explanation: Explanation;
  };
};

/** Written for every return taken, also where it took nothing. Version 1. */
export type PointsReversed = {
  readonly type: 'PointsReversed';
  readonly data: {
    /** The event's own id, and that of the return's claim. */
    readonly transactionId: string;
    readonly memberId: string;
    readonly source: string;
    readonly returnId: string;
    readonly occurredAt: string;
    readonly effectiveAt: string;
    /** What was taken back: all draws, and the debt. What the reversals come to beyond it is written off. */
    readonly amount: number;
    readonly draws: readonly LotDraw[];
    /** What the account owes now because of this return. */
    readonly debt: number;
    readonly currency: string;
    readonly reversals: readonly Reversal[];
    /** Money given back that no purchase was found for, in minor units of `currency`. */
    readonly uncovered: number;
  };
};

/** What a return should have taken back and could not: in the same append as its reversal. Version 1. */
export type PointsWrittenOff = {
  readonly type: 'PointsWrittenOff';
  readonly data: {
    /** The transaction that fell short. */
    readonly reversalId: string;
    readonly memberId: string;
    readonly source: string;
    readonly returnId: string;
    readonly occurredAt: string;
    readonly effectiveAt: string;
    readonly amount: number;
  };
};

/** The stored events of an account. Private: other services read the public events that the publisher makes of them. */
export type PointsEvent = PointsEarned | PointsReversed | PointsWrittenOff;
