import { accept, assertNever, reject, type Decider } from '@vafa/event-sourcing';
import type { PointsEvent } from '../events/points-event.js';
import { pointsOf, type Explanation } from './earning.js';
import { laterOf } from './instant.js';

/** Points of one origin: what is left of them, from when they may be spent and until when (`null`: for ever). */
export type Lot = {
  readonly lotId: string;
  readonly remaining: number;
  readonly availableAt: string;
  readonly expiresAt: string | null;
};

/**
 * What owns points, as far as decisions need it: open lots, counters and its own time. Which purchases it has seen is not
 * part of it, since that would grow for ever: the claim answers for that before a command is made.
 */
export type PointsAccount = {
  readonly accountId: string;
  /** The account's time, which never goes back; `null` before its first event. */
  readonly lastEffectiveAt: string | null;
  readonly available: number;
  readonly earnedTotal: number;
  readonly lots: readonly Lot[];
};

/** Credits what a purchase earned. `transactionId` is the claim's id, so that a repeat would bear the same event id. */
export type RewardPurchase = {
  readonly type: 'RewardPurchase';
  readonly transactionId: string;
  readonly memberId: string;
  readonly source: string;
  readonly purchaseId: string;
  readonly occurredAt: string;
  readonly explanation: Explanation;
};

export type PointsCommand = RewardPurchase;

/** The largest number of points an account may ever have earned: beyond it sums are no longer exact. */
export const EARNED_TOTAL_MAX = Number.MAX_SAFE_INTEGER;

export type PointsRejection = { readonly code: 'points-limit-exceeded'; readonly limit: number };

export const pointsAccount: Decider<PointsCommand, PointsAccount, PointsEvent, PointsRejection> = {
  initial: (streamId) => ({
    accountId: accountOf(streamId),
    lastEffectiveAt: null,
    available: 0,
    earnedTotal: 0,
    lots: [],
  }),

  decide: (command, account) => {
    switch (command.type) {
      case 'RewardPurchase': {
        const { transactionId, memberId, source, purchaseId, occurredAt, explanation } = command;
        const amount = pointsOf(explanation);
        if (account.earnedTotal + amount > EARNED_TOTAL_MAX)
          return reject({ code: 'points-limit-exceeded', limit: EARNED_TOTAL_MAX });
        const effectiveAt = laterOf(occurredAt, account.lastEffectiveAt);
        // One lot a purchase, under the transaction's own id: the award and its points need no second name.
        const lots = amount === 0 ? [] : [{ lotId: transactionId, amount, availableAt: effectiveAt, expiresAt: null }];
        const origin = { transactionId, memberId, source, purchaseId, occurredAt, effectiveAt };
        return accept({ type: 'PointsEarned', data: { ...origin, amount, lots, explanation } });
      }
      default:
        return assertNever(command.type);
    }
  },

  evolve: (account, event) => {
    switch (event.type) {
      case 'PointsEarned': {
        const { amount, effectiveAt, lots } = event.data;
        return {
          ...account,
          lastEffectiveAt: effectiveAt,
          available: account.available + amount,
          earnedTotal: account.earnedTotal + amount,
          lots: [...account.lots, ...lots.map(({ amount: remaining, ...lot }) => ({ ...lot, remaining }))],
        };
      }
      default:
        return assertNever(event.type);
    }
  },
};

const STREAM_PREFIX = 'account-';

/** The prefix of every account's stream. */
export const ACCOUNT_STREAMS = STREAM_PREFIX;

export const streamOf = (accountId: string): string => `${STREAM_PREFIX}${accountId}`;
export const accountOf = (streamId: string): string => streamId.slice(STREAM_PREFIX.length);
