import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { PointsEvent } from '../events/points-event.js';
import { EARNED_TOTAL_MAX, pointsAccount, streamOf, type PointsAccount, type RewardPurchase } from './account.js';
import { evaluate, pointsOf } from './earning.js';
import { compareInstants } from './instant.js';
import { FIRST_PROGRAMME } from './programme.js';

const STREAM = streamOf('0199aaaa-0000-7000-8000-000000000001');
const JANUARY = '2026-01-05T10:00:00Z';
const MARCH = '2026-03-05T10:00:00Z';

const reward = (transactionId: string, amount: number, occurredAt = JANUARY): RewardPurchase => {
  const purchase = {
    source: '/till',
    purchaseId: transactionId,
    occurredAt,
    currency: 'EUR',
    lines: [{ lineId: '1', amount, kind: 'goods' as const }],
  };
  const explanation = evaluate(purchase, FIRST_PROGRAMME, 2);
  return {
    type: 'RewardPurchase',
    transactionId,
    memberId: 'm',
    source: '/till',
    purchaseId: transactionId,
    occurredAt,
    explanation,
  };
};

const run = (commands: readonly RewardPurchase[]): { account: PointsAccount; events: PointsEvent[] } => {
  let account = pointsAccount.initial(STREAM);
  const events: PointsEvent[] = [];
  for (const command of commands) {
    const decision = pointsAccount.decide(command, account);
    if (!decision.accepted) throw new Error(decision.rejection.code);
    for (const event of decision.events) {
      events.push(event);
      account = pointsAccount.evolve(account, event);
    }
  }
  return { account, events };
};

describe('an account', () => {
  it('opens a lot for what a purchase earned', () => {
    const { account, events } = run([reward('t1', 1_234)]);
    expect(events).toMatchObject([
      { type: 'PointsEarned', data: { transactionId: 't1', amount: 12, effectiveAt: JANUARY } },
    ]);
    expect(account.lots).toEqual([{ lotId: 't1', remaining: 12, availableAt: JANUARY, expiresAt: null }]);
    expect(account.available).toBe(12);
  });

  it('records a purchase that earned nothing, without a lot', () => {
    const { account, events } = run([reward('t1', 99)]);
    expect(events[0]?.data).toMatchObject({ amount: 0, lots: [] });
    expect(account.lots).toEqual([]);
  });

  it('never lets its time go back: a late purchase counts from the account’s own time', () => {
    const { events } = run([reward('t1', 100, MARCH), reward('t2', 100, JANUARY)]);
    expect(events[1]?.data).toMatchObject({ occurredAt: JANUARY, effectiveAt: MARCH });
  });

  it('refuses what sums could no longer hold exactly', () => {
    const full = { ...pointsAccount.initial(STREAM), earnedTotal: EARNED_TOTAL_MAX - 5 };
    expect(pointsAccount.decide(reward('t1', 600), full)).toEqual({
      accepted: false,
      rejection: { code: 'points-limit-exceeded', limit: EARNED_TOTAL_MAX },
    });
    expect(pointsAccount.decide(reward('t1', 500), full).accepted).toBe(true);
  });

  it('holds exactly the sum of its lots and of its events, whatever came and in whatever order', () => {
    const commands = fc.array(
      fc.record({ amount: fc.integer({ min: 0, max: 10_000_000 }), day: fc.integer({ min: 1, max: 28 }) }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(commands, (drawn) => {
        const made = drawn.map(({ amount, day }, index) =>
          reward(`t${index}`, amount, `2026-02-${String(day).padStart(2, '0')}T00:00:00Z`),
        );
        const { account, events } = run(made);
        const expected = drawn.reduce((sum, { amount }) => sum + Math.floor(amount / 100), 0);
        expect(account.available).toBe(expected);
        expect(account.earnedTotal).toBe(expected);
        expect(account.lots.reduce((sum, lot) => sum + lot.remaining, 0)).toBe(expected);
        expect(events.reduce((sum, event) => sum + pointsOf(event.data.explanation), 0)).toBe(expected);
        for (const [index, event] of events.slice(1).entries())
          expect(compareInstants(event.data.effectiveAt, events[index]?.data.effectiveAt ?? '')).toBeGreaterThanOrEqual(
            0,
          );
      }),
    );
  });
});
