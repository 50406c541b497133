import { describe, expect, it } from '@jest/globals';
import { deciderSpec } from '@vafa/testing';
import fc from 'fast-check';
import type { PointsEarned, PointsEvent, PointsReversed } from '../events/points-event.js';
import {
  EARNED_TOTAL_MAX,
  pointsAccount,
  streamOf,
  type PointsAccount,
  type PointsCommand,
  type ReversalPolicy,
  type ReverseAwards,
  type RewardPurchase,
} from './account.js';
import { evaluate } from './earning.js';
import { compareInstants } from './instant.js';
import type { Lot } from './lots.js';
import { FIRST_PROGRAMME } from './programme.js';
import type { Reversal } from './reversing.js';

const STREAM = streamOf('0199aaaa-0000-7000-8000-000000000001');
const JANUARY = '2026-01-05T10:00:00Z';
const FEBRUARY = '2026-02-05T10:00:00Z';
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

const UNFORGIVING: ReversalPolicy = { otherLots: true, debtMax: EARNED_TOTAL_MAX };

const reversal = (awardId: string, points: number): Reversal => ({
  awardId,
  source: '/till',
  purchaseId: awardId,
  programme: 1,
  components: [
    {
      rule: 'base',
      version: 1,
      rate: [1, 100],
      rounding: 'floor',
      keptBefore: points * 100,
      keptAfter: 0,
      points,
    },
  ],
});

const reverse = (
  transactionId: string,
  reversals: readonly Reversal[],
  policy: ReversalPolicy = UNFORGIVING,
  occurredAt = FEBRUARY,
): ReverseAwards => ({
  type: 'ReverseAwards',
  transactionId,
  memberId: 'm',
  source: '/till',
  returnId: transactionId,
  occurredAt,
  currency: 'EUR',
  reversals,
  uncovered: 0,
  policy,
});

const run = (
  commands: readonly PointsCommand[],
  from: PointsAccount = pointsAccount.initial(STREAM),
): { account: PointsAccount; events: PointsEvent[] } => {
  let account = from;
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

const reversedBy = (events: readonly PointsEvent[]): PointsReversed['data'][] =>
  events.flatMap((event) => (event.type === 'PointsReversed' ? [event.data] : []));

describe('an account that earns', () => {
  it('opens a lot for what a purchase earned', () => {
    const { account, events } = run([reward('t1', 1_234)]);
    expect(events).toMatchObject([
      { type: 'PointsEarned', data: { transactionId: 't1', amount: 12, effectiveAt: JANUARY, draws: [] } },
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

  it('pays its debt first, and records from which lot', () => {
    const { account, events } = run([reward('t2', 400), reward('t3', 900)], { ...opened(), debt: 10 });
    expect(events.map(({ data }) => (data as PointsEarned['data']).draws)).toEqual([
      [{ lotId: 't2', amount: 4 }],
      [{ lotId: 't3', amount: 6 }],
    ]);
    expect(account).toMatchObject({ debt: 0, available: 3, earnedTotal: 13 });
    expect(account.lots.map((lot) => [lot.lotId, lot.remaining])).toEqual([['t3', 3]]);
  });
});

const opened = (...lots: readonly Lot[]): PointsAccount => ({
  ...pointsAccount.initial(STREAM),
  available: lots.reduce((sum, lot) => sum + lot.remaining, 0),
  lots,
});

const lot = (lotId: string, remaining: number, changes: Partial<Lot> = {}): Lot => ({
  lotId,
  remaining,
  availableAt: JANUARY,
  expiresAt: null,
  ...changes,
});

const drawsOf = (events: readonly PointsEvent[]): (readonly [string, number])[] =>
  reversedBy(events).flatMap(({ draws }) => draws.map((draw) => [draw.lotId, draw.amount] as const));

describe('an account that a return takes points of', () => {
  const given = deciderSpec(pointsAccount, STREAM);

  it('gives back from the lot of the award itself, and lets go of it once it is empty', () => {
    const { events } = run([reward('t1', 1_000)]);
    const { type: _type, policy: _policy, ...stated } = reverse('r1', [reversal('t1', 10)]);
    given(...events)
      .when(reverse('r1', [reversal('t1', 10)]))
      .then({
        type: 'PointsReversed',
        data: { ...stated, effectiveAt: FEBRUARY, amount: 10, draws: [{ lotId: 't1', amount: 10 }], debt: 0 },
      });
    const { account } = run([reward('t1', 1_000), reward('t2', 500), reverse('r1', [reversal('t1', 10)])]);
    expect(account).toMatchObject({ available: 5, reversedTotal: 10, debt: 0 });
    expect(account.lots.map(({ lotId }) => lotId)).toEqual(['t2']);
  });

  it('records a return that takes nothing', () => {
    const { events } = run([reward('t1', 1_000), reverse('r1', [])]);
    expect(events[1]).toMatchObject({ type: 'PointsReversed', data: { amount: 0, draws: [], debt: 0 } });
  });

  it('takes a lot that is not to be spent yet, where it is the award’s own', () => {
    const { events } = run([reverse('r1', [reversal('t1', 4)])], opened(lot('t1', 10, { availableAt: MARCH })));
    expect(drawsOf(events)).toEqual([['t1', 4]]);
  });

  it('goes on with other lots in the order in which they are spent: soonest expiry, then oldest, then id; never-expiring last', () => {
    const account = opened(
      lot('never-b', 1),
      lot('never-a', 1),
      lot('late', 1, { expiresAt: '2027-02-01T00:00:00Z' }),
      lot('soon-new', 1, { expiresAt: '2027-01-01T00:00:00Z', availableAt: FEBRUARY }),
      lot('soon-old', 1, { expiresAt: '2027-01-01T00:00:00Z' }),
      lot('lapsed', 1, { expiresAt: FEBRUARY }),
      lot('pending', 1, { availableAt: MARCH }),
    );
    const { events } = run([reverse('r1', [reversal('spent', 10)])], account);
    const order = ['soon-old', 'soon-new', 'late', 'never-a', 'never-b'];
    expect(drawsOf(events)).toEqual(order.map((lotId) => [lotId, 1]));
    expect(reversedBy(events)[0]?.debt).toBe(5);
  });

  it('leaves other lots alone where the policy says so', () => {
    const policy = { otherLots: false, debtMax: EARNED_TOTAL_MAX };
    const { account } = run([reverse('r1', [reversal('t1', 10)], policy)], opened(lot('t1', 3), lot('t2', 20)));
    expect(account).toMatchObject({ available: 20, debt: 7, reversedTotal: 10 });
  });

  it('writes off, in the same breath, what neither lots nor the limit of the debt hold', () => {
    const policy = { otherLots: true, debtMax: 12 };
    const { account, events } = run([reverse('r1', [reversal('t1', 10)], policy)], {
      ...opened(lot('t1', 3)),
      debt: 7,
    });
    expect(events).toMatchObject([
      { type: 'PointsReversed', data: { amount: 8, debt: 5, draws: [{ lotId: 't1', amount: 3 }] } },
      { type: 'PointsWrittenOff', data: { reversalId: 'r1', amount: 2 } },
    ]);
    expect(account).toMatchObject({ available: 0, debt: 12 });
  });

  it('takes each award of a return without receipt from its own lot, and shares what is short', () => {
    const { events } = run([reverse('r1', [reversal('t1', 6), reversal('t2', 4)])], opened(lot('t1', 2), lot('t2', 9)));
    expect(drawsOf(events)).toEqual([
      ['t1', 2],
      ['t2', 8],
    ]);
  });

  it('stops at a stream that draws what is not there', () => {
    const [, broken] = run([reward('t1', 1_000), reverse('r1', [reversal('t1', 10)])]).events;
    expect(() => pointsAccount.evolve(opened(lot('t1', 3)), broken as PointsEvent)).toThrow('has 3 points');
    expect(() => pointsAccount.evolve(opened(), broken as PointsEvent)).toThrow('not open');
  });
});

type Step =
  | { readonly does: 'earn'; readonly amount: number; readonly day: number }
  | { readonly does: 'spend'; readonly percent: number }
  | { readonly does: 'return'; readonly of: number; readonly percent: number; readonly policy: ReversalPolicy };

const steps = fc.array(
  fc.oneof(
    fc.record({
      does: fc.constant('earn' as const),
      amount: fc.integer({ min: 0, max: 1_000_000 }),
      day: fc.integer({ min: 1, max: 28 }),
    }),
    fc.record({ does: fc.constant('spend' as const), percent: fc.integer({ min: 0, max: 100 }) }),
    fc.record({
      does: fc.constant('return' as const),
      of: fc.nat({ max: 40 }),
      percent: fc.integer({ min: 0, max: 100 }),
      policy: fc.record({ otherLots: fc.boolean(), debtMax: fc.constantFrom(0, 50, EARNED_TOTAL_MAX) }),
    }),
  ),
  { maxLength: 40 },
);

/** Takes points away as a redemption would, which this service does not know yet: what is short after returns comes from there. */
const spendFrom = (account: PointsAccount, points: number): PointsAccount => {
  let left = points;
  const lots = account.lots.flatMap((one) => {
    const taken = Math.min(left, one.remaining);
    left -= taken;
    return taken === one.remaining ? [] : [{ ...one, remaining: one.remaining - taken }];
  });
  return { ...account, available: account.available - points, lots };
};

describe('the ledger of an account', () => {
  it('balances after every event, whatever came and in whatever order', () => {
    fc.assert(fc.property(steps, (drawn) => balances(drawn)));
  });
});

/** Runs the steps and asserts after each of them what must hold at every prefix of a ledger. */
const balances = (drawn: readonly Step[]): void => {
  let account = pointsAccount.initial(STREAM);
  const unreturned: { awardId: string; points: number }[] = [];
  let earned = 0;
  let redeemed = 0;
  let reversed = 0;
  let last: string | null = null;
  for (const [index, step] of drawn.entries()) {
    if (step.does === 'spend') {
      const points = Math.floor((account.available * step.percent) / 100);
      account = spendFrom(account, points);
      redeemed += points;
      continue;
    }
    const { command, wanted } = commandOf(step, index, unreturned);
    const before = account;
    const { account: after, events } = run([command], account);
    account = after;
    const taken = reversedBy(events)[0];
    const writtenOff = events.flatMap((event) => (event.type === 'PointsWrittenOff' ? [event.data.amount] : []));
    if (step.does === 'earn') earned += Math.floor(step.amount / 100);
    if (taken !== undefined && step.does === 'return') {
      reversed += taken.amount;
      expect(taken.amount + (writtenOff[0] ?? 0)).toBe(wanted);
      // Debt is the last resort, and nothing is written off before it is used up.
      if (taken.debt > 0 && step.policy.otherLots) expect(after.available).toBe(0);
      if (writtenOff.length > 0) expect(after.debt).toBe(Math.max(before.debt, step.policy.debtMax));
    }
    expect(earned + account.debt).toBe(account.available + redeemed + reversed);
    expect(account.lots.reduce((sum, one) => sum + one.remaining, 0)).toBe(account.available);
    expect(account.lots.every((one) => one.remaining > 0)).toBe(true);
    expect(account).toMatchObject({ earnedTotal: earned, reversedTotal: reversed });
    for (const { data } of events) {
      if (last !== null) expect(compareInstants(data.effectiveAt, last)).toBeGreaterThanOrEqual(0);
      last = data.effectiveAt;
    }
  }
};

const commandOf = (
  step: Exclude<Step, { does: 'spend' }>,
  index: number,
  unreturned: { awardId: string; points: number }[],
): { command: PointsCommand; wanted: number } => {
  if (step.does === 'earn') {
    const awardId = `t${index}`;
    unreturned.push({ awardId, points: Math.floor(step.amount / 100) });
    return {
      command: reward(awardId, step.amount, `2026-02-${String(step.day).padStart(2, '0')}T00:00:00Z`),
      wanted: 0,
    };
  }
  const award = unreturned[step.of % Math.max(1, unreturned.length)];
  const wanted = Math.floor(((award?.points ?? 0) * step.percent) / 100);
  if (award !== undefined) award.points -= wanted;
  const reversals = award === undefined ? [] : [reversal(award.awardId, wanted)];
  return { command: reverse(`r${index}`, reversals, step.policy), wanted };
};
