import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { evaluate, pointsOf } from './earning.js';
import { FIRST_PROGRAMME, type Programme } from './programme.js';
import type { LineKind, Purchase } from './purchase.js';
import { pointsOfReversal, reversalOf, type StoredAward } from './reversing.js';

type Line = { readonly lineId: string; readonly amount: number; readonly kind: LineKind };

const purchaseOf = (lines: readonly Line[], currency: string): Purchase => ({
  source: '/till',
  purchaseId: 'p1',
  occurredAt: '2026-01-05T10:00:00Z',
  currency,
  lines,
});

const awardOf = (lines: readonly Line[], programme: Programme = FIRST_PROGRAMME, currency = 'EUR'): StoredAward => ({
  awardId: 't1',
  source: '/till',
  purchaseId: 'p1',
  explanation: evaluate(purchaseOf(lines, currency), programme, 2),
});

const LINES: Line[] = [
  { lineId: '1', amount: 150, kind: 'goods' },
  { lineId: '2', amount: 149, kind: 'goods' },
  { lineId: '3', amount: 900, kind: 'gift-card' },
];

describe('what a return takes', () => {
  it('leaves what the kept goods are worth, although each line alone would lose less', () => {
    const award = awardOf(LINES);
    expect(reversalOf(award, new Map(), new Map([['2', 149]]))).toEqual({
      awardId: 't1',
      source: '/till',
      purchaseId: 'p1',
      programme: 1,
      components: [
        { rule: 'base', version: 1, rate: [1, 100], rounding: 'floor', keptBefore: 299, keptAfter: 150, points: 1 },
      ],
    });
    const rest = reversalOf(award, new Map([['2', 149]]), new Map([['1', 150]]));
    expect(rest.components).toMatchObject([{ keptBefore: 150, keptAfter: 0, points: 1 }]);
  });

  it('is nothing for lines that earned nothing', () => {
    expect(reversalOf(awardOf(LINES), new Map(), new Map([['3', 900]])).components).toEqual([]);
  });

  it('ends where only the kept goods had been bought, whatever the returns and their sequence', () => {
    const kinds: LineKind[] = ['goods', 'service', 'shipping', 'gift-card', 'fee'];
    const line = fc.record({ amount: fc.integer({ min: 0, max: 3_000_000 }), kind: fc.constantFrom(...kinds) });
    const unitsPerPoint = fc.integer({ min: 1, max: 50 });
    // Each step takes this share, in percent, of what is left of a line: 100 is all of it.
    const step = fc.record({ line: fc.nat({ max: 9 }), percent: fc.integer({ min: 0, max: 100 }) });
    const returns = fc.array(fc.array(step, { maxLength: 5 }), { maxLength: 12 });
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 10 }), unitsPerPoint, returns, (drawn, units, steps) => {
        const lines = drawn.map((one, index) => ({ ...one, lineId: String(index) }));
        const rule = { ...FIRST_PROGRAMME.earnRules[0], unitsPerPoint: { default: units } };
        const programme = { version: 7, earnRules: [rule] } as Programme;
        const award = awardOf(lines, programme);
        const returned = new Map<string, number>();
        let taken = 0;
        for (const entries of steps) {
          const now = new Map<string, number>();
          for (const { line: index, percent } of entries) {
            const one = lines[index % lines.length] as Line;
            const left = one.amount - (returned.get(one.lineId) ?? 0) - (now.get(one.lineId) ?? 0);
            now.set(one.lineId, (now.get(one.lineId) ?? 0) + Math.floor((left * percent) / 100));
          }
          const reversal = reversalOf(award, returned, now);
          for (const { points } of reversal.components) expect(points).toBeGreaterThanOrEqual(0);
          taken += pointsOfReversal(reversal);
          for (const [id, amount] of now) returned.set(id, (returned.get(id) ?? 0) + amount);
          expect(pointsOf(award.explanation) - taken).toBe(earnedByModel(lines, returned, units));
        }
      }),
    );
  });
});

/** The rule of the programme said once more, without its parts: money that was kept, by the units a point takes. */
const earnedByModel = (lines: readonly Line[], returned: ReadonlyMap<string, number>, units: number): number => {
  let cents = 0n;
  for (const { lineId, amount, kind } of lines)
    if (kind !== 'gift-card' && kind !== 'fee') cents += BigInt(amount - (returned.get(lineId) ?? 0));
  return Number(cents / (100n * BigInt(units)));
};
