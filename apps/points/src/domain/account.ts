import { accept, assertNever, reject, type Decider } from '@vafa/event-sourcing';
import type { PointsEarned, PointsEvent } from '../events/points-event.js';
import { pointsOf, type Explanation } from './earning.js';
import { laterOf } from './instant.js';
import { afterDraws, compareLots, drawFrom, isAvailable, sumOfDraws, type Lot, type LotDraw } from './lots.js';
import { pointsOfReversal, type Reversal } from './reversing.js';

/**
 * What owns points, as far as decisions need it: open lots, counters and its own time. Which purchases it has seen is not
 * part of it, since that would grow for ever: the claim answers for that before a command is made.
 */
export type PointsAccount = {
  readonly accountId: string;
  /** The account's time, which never goes back; `null` before its first event. */
  readonly lastEffectiveAt: string | null;
  readonly available: number;
  /** Owed after a return; the next credits pay it first. */
  readonly debt: number;
  readonly earnedTotal: number;
  readonly reversedTotal: number;
  /** Those with points left. */
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

/** What may be taken for a return beyond what is left of its own award. */
export type ReversalPolicy = {
  /** Whether points of other purchases are taken. */
  readonly otherLots: boolean;
  /** How far the account may be in debt, in points; what goes beyond is written off. */
  readonly debtMax: number;
};

/**
 * Takes back what a return takes of awards; `transactionId` is the return's claim. How much was worked out before, in the order that the
 * returns of a purchase have; where it comes from is the account's to say.
 */
export type ReverseAwards = {
  readonly type: 'ReverseAwards';
  readonly transactionId: string;
  readonly memberId: string;
  readonly source: string;
  readonly returnId: string;
  readonly occurredAt: string;
  /** ISO 4217. */
  readonly currency: string;
  /** One a purchase; more than one, or none, where nobody said which purchase it was. */
  readonly reversals: readonly Reversal[];
  /** Money that no purchase was found for, in minor units. */
  readonly uncovered: number;
  readonly policy: ReversalPolicy;
};

export type PointsCommand = RewardPurchase | ReverseAwards;

/** The largest number of points an account may ever have earned: beyond it sums are no longer exact. */
export const EARNED_TOTAL_MAX = Number.MAX_SAFE_INTEGER;

export type PointsRejection = { readonly code: 'points-limit-exceeded'; readonly limit: number };

export const pointsAccount: Decider<PointsCommand, PointsAccount, PointsEvent, PointsRejection> = {
  initial: (streamId) => ({
    accountId: accountOf(streamId),
    lastEffectiveAt: null,
    available: 0,
    debt: 0,
    earnedTotal: 0,
    reversedTotal: 0,
    lots: [],
  }),

  decide: (command, account) => {
    switch (command.type) {
      case 'RewardPurchase': {
        const amount = pointsOf(command.explanation);
        if (account.earnedTotal + amount > EARNED_TOTAL_MAX)
          return reject({ code: 'points-limit-exceeded', limit: EARNED_TOTAL_MAX });
        return accept(rewarded(command, amount, account));
      }
      case 'ReverseAwards':
        return accept(...reversed(command, account));
      default:
        return assertNever(command);
    }
  },

  evolve: (account, event) => {
    switch (event.type) {
      case 'PointsEarned': {
        const { amount, effectiveAt, lots, draws } = event.data;
        const opened = lots.map(({ amount: remaining, ...lot }) => ({ ...lot, remaining }));
        const paid = sumOfDraws(draws);
        return {
          ...account,
          lastEffectiveAt: effectiveAt,
          available: account.available + amount - paid,
          debt: account.debt - paid,
          earnedTotal: account.earnedTotal + amount,
          lots: [...account.lots, ...afterDraws(opened, draws)],
        };
      }
      case 'PointsReversed': {
        const { amount, effectiveAt, draws, debt } = event.data;
        return {
          ...account,
          lastEffectiveAt: effectiveAt,
          available: account.available - sumOfDraws(draws),
          debt: account.debt + debt,
          reversedTotal: account.reversedTotal + amount,
          lots: afterDraws(account.lots, draws),
        };
      }
      // The shop bears it: the account has and owes what it had and owed.
      case 'PointsWrittenOff':
        return { ...account, lastEffectiveAt: event.data.effectiveAt };
      default:
        return assertNever(event);
    }
  },
};

const rewarded = (command: RewardPurchase, amount: number, account: PointsAccount): PointsEarned => {
  const { transactionId, memberId, source, purchaseId, occurredAt, explanation } = command;
  const effectiveAt = laterOf(occurredAt, account.lastEffectiveAt);
  // One lot a purchase, under the transaction's own id: the award and its points need no second name.
  const lots = amount === 0 ? [] : [{ lotId: transactionId, amount, availableAt: effectiveAt, expiresAt: null }];
  const paid = Math.min(account.debt, amount);
  const draws = paid === 0 ? [] : [{ lotId: transactionId, amount: paid }];
  const origin = { transactionId, memberId, source, purchaseId, occurredAt, effectiveAt };
  return { type: 'PointsEarned', data: { ...origin, amount, lots, draws, explanation } };
};

const reversed = (command: ReverseAwards, account: PointsAccount): PointsEvent[] => {
  const { type: _type, policy, ...stated } = command;
  const effectiveAt = laterOf(command.occurredAt, account.lastEffectiveAt);
  const wanted = command.reversals.reduce((sum, reversal) => sum + pointsOfReversal(reversal), 0);
  const draws = drawsFor(command, account, effectiveAt);
  const owed = wanted - sumOfDraws(draws);
  const debt = Math.min(owed, Math.max(0, policy.debtMax - account.debt));
  const amount = sumOfDraws(draws) + debt;
  const events: PointsEvent[] = [{ type: 'PointsReversed', data: { ...stated, effectiveAt, amount, draws, debt } }];
  if (wanted > amount) {
    const { transactionId: reversalId, memberId, source, returnId, occurredAt } = command;
    const origin = { reversalId, memberId, source, returnId, occurredAt, effectiveAt };
    events.push({ type: 'PointsWrittenOff', data: { ...origin, amount: wanted - amount } });
  }
  return events;
};

/** From the award's own lot, pending or not; then, where the policy says so, from others in the order in which they are spent. */
const drawsFor = (command: ReverseAwards, account: PointsAccount, at: string): LotDraw[] => {
  const own = new Map(account.lots.map((lot) => [lot.lotId, lot]));
  const draws: LotDraw[] = [];
  let short = 0;
  for (const reversal of command.reversals) {
    const points = pointsOfReversal(reversal);
    const lot = own.get(reversal.awardId);
    const drawn = drawFrom(lot === undefined ? [] : [lot], points);
    draws.push(...drawn);
    short += points - sumOfDraws(drawn);
  }
  if (short === 0 || !command.policy.otherLots) return draws;
  const others = afterDraws(account.lots, draws).filter((lot) => isAvailable(lot, at));
  return merged([...draws, ...drawFrom(others.toSorted(compareLots), short)]);
};

/** One draw a lot. */
const merged = (draws: readonly LotDraw[]): LotDraw[] => {
  const amounts = new Map<string, number>();
  for (const { lotId, amount } of draws) amounts.set(lotId, (amounts.get(lotId) ?? 0) + amount);
  return [...amounts].map(([lotId, amount]) => ({ lotId, amount }));
};

const STREAM_PREFIX = 'account-';

/** The prefix of every account's stream. */
export const ACCOUNT_STREAMS = STREAM_PREFIX;

export const streamOf = (accountId: string): string => `${STREAM_PREFIX}${accountId}`;
export const accountOf = (streamId: string): string => streamId.slice(STREAM_PREFIX.length);
