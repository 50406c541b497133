import { describe, expect, it } from '@jest/globals';

import { Differences } from './differences.js';
import { emptyAccount, fold, micros, type LedgerEvent } from './fold.js';

const ID = '0199b7c0-0000-7000-8000-000000000001';

const earned = (revision: number, points: number, more: Readonly<Record<string, unknown>> = {}): LedgerEvent => {
  const transactionId = ID.replace(/.$/, String(revision));
  const at = `2025-01-0${revision + 1}T10:00:00Z`;
  return {
    account: 'a',
    revision,
    id: transactionId,
    type: 'PointsEarned',
    recordedAt: '2025-02-01T00:00:00.000001Z',
    data: {
      transactionId,
      memberId: 'm',
      source: '/pos',
      purchaseId: String(revision),
      occurredAt: at,
      effectiveAt: at,
      amount: points,
      lots: points === 0 ? [] : [{ lotId: transactionId, amount: points, availableAt: at, expiresAt: null }],
      explanation: {
        components: [
          {
            rule: 'base',
            version: 1,
            rate: [1, 100],
            base: points * 100 + 99,
            points,
            rounding: 'floor',
            lines: ['1', '2'],
          },
        ],
      },
      ...more,
    },
  };
};

/** A return of so much money, of what the event at revision 0 earned. */
const reversed = (revision: number, from: number, to: number, more: Readonly<Record<string, unknown>> = {}) => {
  const award = earned(0, 0).id;
  const transactionId = ID.replace(/.$/, String(revision));
  const at = `2025-01-0${revision + 1}T10:00:00Z`;
  const points = Math.floor(from / 100) - Math.floor(to / 100);
  return {
    account: 'a',
    revision,
    id: transactionId,
    type: 'PointsReversed',
    recordedAt: '2025-02-01T00:00:00.000001Z',
    data: {
      transactionId,
      memberId: 'm',
      source: '/pos',
      returnId: String(revision),
      occurredAt: at,
      effectiveAt: at,
      amount: points,
      draws: [{ lotId: award, amount: points }],
      debt: 0,
      currency: 'EUR',
      uncovered: 0,
      reversals: [
        {
          awardId: award,
          source: '/pos',
          purchaseId: '0',
          programme: 1,
          components: [{ rule: 'base', version: 1, rate: [1, 100], keptBefore: from, keptAfter: to, points }],
        },
      ],
      ...more,
    },
  };
};

/** The reversal of a return from 599 to 300, otherwise in this. */
const reversalOf = (component: Readonly<Record<string, unknown>>) => ({
  awardId: earned(0, 0).id,
  source: '/pos',
  purchaseId: '0',
  programme: 1,
  components: [{ rule: 'base', version: 1, rate: [1, 100], keptBefore: 599, keptAfter: 300, points: 2, ...component }],
});

const writtenOff = (revision: number, amount: number, reversal = earned(revision - 1, 0).id): LedgerEvent => ({
  ...reversed(revision, 0, 0),
  type: 'PointsWrittenOff',
  data: { ...reversed(revision, 0, 0).data, reversalId: reversal, amount },
});

const run = (events: readonly LedgerEvent[]) => {
  const account = emptyAccount('a');
  const broken: string[] = [];
  const movements = events.map((event) => fold(account, event, (check) => broken.push(check)));
  return { account, broken, movements };
};

describe('the second fold', () => {
  it('adds up what the events say', () => {
    const { account, broken, movements } = run([earned(0, 11), earned(1, 0), earned(2, 5)]);
    expect(broken).toEqual([]);
    expect(account).toMatchObject({
      balance: 16n,
      earned: 16n,
      revision: 2,
      member: 'm',
      lastEffectiveAt: '2025-01-03T10:00:00.000000Z',
    });
    expect([...account.lots.values()].map(({ remaining }) => remaining)).toEqual([11n, 5n]);
    expect(movements[2]).toMatchObject({
      amount: 5n,
      source: '/pos',
      purchaseId: '2',
      times: expect.stringContaining('2025-01-03T10:00:00.000000Z'),
    });
  });

  it('takes what returns took, lets debts be paid, and keeps write-offs apart', () => {
    const { account, broken, movements } = run([
      earned(0, 5),
      reversed(1, 599, 300),
      reversed(2, 300, 0, { draws: [{ lotId: earned(0, 5).id, amount: 1 }], amount: 2, debt: 1 }),
      writtenOff(3, 1),
      earned(4, 3, { draws: [{ lotId: earned(4, 3).id, amount: 1 }] }),
    ]);
    expect(broken).toEqual([]);
    expect(account).toMatchObject({ balance: 4n, debt: 0n, earned: 8n, reversed: 4n });
    expect(movements.map((movement) => [movement?.kind, movement?.amount, movement?.writtenOff])).toEqual([
      ['earned', 5n, 0n],
      ['reversed', -2n, 0n],
      ['reversed', -2n, 0n],
      ['written-off', 0n, 1n],
      ['earned', 3n, 0n],
    ]);
    expect(account.draws.size).toBe(3);
    const lines = { source: '/pos', purchaseId: '0', lines: ['1', '2'] };
    expect(movements.map((movement) => movement?.returned)).toEqual([
      [],
      [{ ...lines, money: 299n }],
      [{ ...lines, money: 300n }],
      [],
      [],
    ]);
  });

  it.each([
    [
      'a reversed component is what its goods were worth',
      [
        earned(0, 5),
        reversed(1, 599, 300, {
          reversals: [reversalOf({ points: 3 })],
        }),
      ],
    ],
    [
      'a return takes back at the rate of its award',
      [
        earned(0, 5),
        reversed(1, 599, 300, { amount: 4, debt: 2, reversals: [reversalOf({ rate: [2, 100], points: 4 })] }),
      ],
    ],
    [
      'a reversed component is one of its award',
      [earned(0, 5), reversed(1, 599, 300, { reversals: [reversalOf({ version: 2 })] })],
    ],
    ['no more is kept than was bought', [earned(0, 5), reversed(1, 600, 300)]],
    ['money is given back once', [earned(0, 5), reversed(1, 599, 300), reversed(2, 400, 200)]],
    ['a lot gives what it has', [earned(0, 1), reversed(1, 599, 300)]],
    ['a reversal is what was drawn and what is owed', [earned(0, 5), reversed(1, 599, 300, { debt: 1 })]],
    ['a reversal takes no more than the goods had earned', [earned(0, 5), reversed(1, 599, 300, { reversals: [] })]],
    [
      'what a reversal cannot take is written off',
      [
        earned(0, 5),
        reversed(1, 599, 300, { amount: 1, draws: [{ lotId: earned(0, 5).id, amount: 1 }] }),
        earned(2, 5),
      ],
    ],
    ['a write-off is of what its reversal could not take', [earned(0, 5), reversed(1, 599, 300), writtenOff(2, 1)]],
    ['a credit pays the debt first', [earned(0, 5), reversed(1, 599, 300, { draws: [], debt: 2 }), earned(2, 5)]],
    ['a reversal bears the id of its event', [earned(0, 5), { ...reversed(1, 599, 300), id: 'other' }]],
  ])('notes of returns where %s', (check, events) => {
    expect(run(events).broken).toContain(check);
  });

  it.each([
    ['revisions are contiguous', [earned(1, 5)]],
    ['event types are known', [{ ...earned(0, 5), type: 'PointsBurnt' }]],
    ['an award bears the id of its event', [{ ...earned(0, 5), id: 'other' }]],
    ['amounts are whole and not negative', [earned(0, 5, { amount: 5.5 })]],
    ['the lots of an award add up to it', [earned(0, 5, { lots: [] })]],
    ['the components of an award add up to it', [earned(0, 5, { explanation: { components: [] } })]],
    [
      'a component is its rate times its base',
      [earned(0, 5, { explanation: { components: [{ rate: [1, 100], base: 700, points: 5, rounding: 'floor' }] } })],
    ],
    [
      'the time of an account never goes back',
      [earned(0, 5), earned(1, 5, { occurredAt: '2024-01-01T00:00:00Z', effectiveAt: '2024-01-01T00:00:00Z' })],
    ],
    ['nothing counts before it occurred', [earned(0, 5, { occurredAt: '2025-06-01T00:00:00Z' })]],
    ['a lot is opened once', [earned(0, 5), earned(1, 5, { lots: [{ lotId: earned(0, 5).id, amount: 5 }] })]],
  ])('notes where %s', (check, events) => {
    expect(run(events).broken).toContain(check);
  });

  it('writes instants as the database does', () => {
    expect(micros('2025-01-01T00:00:00Z')).toBe('2025-01-01T00:00:00.000000Z');
    expect(micros('2025-01-01T00:00:00.1234567Z')).toBe('2025-01-01T00:00:00.123457Z');
    expect(micros(null)).toBe('-');
    expect(micros('soon')).toBe('soon');
  });

  it('keeps a hundred differences and counts all', () => {
    const differences = new Differences();
    for (let index = 0; index < 250; index += 1) differences.compare('sums', `account ${index}`, 1n, index);
    expect(differences).toMatchObject({ total: 249, byCheck: { sums: 249 } });
    expect(differences.kept).toHaveLength(100);
  });
});
