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
      explanation: { components: [{ rate: [1, 100], base: points * 100 + 99, points, rounding: 'floor' }] },
      ...more,
    },
  };
};

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
