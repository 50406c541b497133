import { describe, expect, it } from '@jest/globals';
import { generatedPurchases, type GeneratorOptions } from './purchases.js';

const options: GeneratorOptions = {
  members: 100,
  purchases: 2_000,
  seed: 7,
  currency: 'EUR',
  from: Temporal.Instant.from('2025-01-01T00:00:00Z'),
  days: 30,
};

describe('generated purchases', () => {
  it('are the same for the same seed, and others for another', () => {
    const first = [...generatedPurchases(options)];
    expect([...generatedPurchases(options)]).toEqual(first);
    const other = [...generatedPurchases({ ...options, seed: 8 })];
    expect(other).not.toEqual(first);
    const ids = new Set([...first, ...other].map(({ purchaseId }) => purchaseId));
    expect(ids.size).toBe(4_000);
  });

  it('stay within their limits and in the order of time', () => {
    const purchases = [...generatedPurchases(options)];
    expect(purchases).toHaveLength(2_000);
    const times = purchases.map(({ occurredAt }) => occurredAt);
    expect(times).toEqual(times.toSorted());
    expect(times.at(-1)?.startsWith('2025-01-3')).toBe(true);
    for (const { member, amount } of purchases) {
      expect(Number(member.slice('external:'.length))).toBeGreaterThanOrEqual(1);
      expect(Number(member.slice('external:'.length))).toBeLessThanOrEqual(100);
      expect(Number.isSafeInteger(amount) && amount > 0).toBe(true);
    }
  });
});
