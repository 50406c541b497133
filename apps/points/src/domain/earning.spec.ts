import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { evaluate, pointsOf, worth } from './earning.js';
import { sentencesOf } from './explain.js';
import { compareInstants, laterOf } from './instant.js';
import { FIRST_PROGRAMME } from './programme.js';
import type { LineKind, Purchase } from './purchase.js';

const purchase = (lines: readonly (readonly [amount: number, kind: LineKind])[], currency = 'EUR'): Purchase => ({
  source: '/till',
  purchaseId: 'p1',
  occurredAt: '2026-01-05T10:00:00Z',
  currency,
  lines: lines.map(([amount, kind], index) => ({ lineId: String(index + 1), amount, kind })),
});

describe('the first programme', () => {
  it('gives one point for each whole unit of the currency, rounded down once per purchase', () => {
    const explanation = evaluate(
      purchase([
        [150, 'goods'],
        [150, 'service'],
        [99, 'shipping'],
      ]),
      FIRST_PROGRAMME,
      2,
    );
    expect(explanation).toEqual({
      programme: 1,
      currency: 'EUR',
      components: [
        { rule: 'base', version: 1, rate: [1, 100], base: 399, points: 3, rounding: 'floor', lines: ['1', '2', '3'] },
      ],
      declined: [],
    });
  });

  it.each([
    ['IRR', 0, 25_000, 2],
    ['JPY', 0, 25_000, 25_000],
    ['KWD', 3, 25_000, 25],
    ['USD', 2, 25_099, 250],
  ])('knows the minor units of %s', (currency, exponent, amount, points) => {
    expect(pointsOf(evaluate(purchase([[amount, 'goods']], currency), FIRST_PROGRAMME, exponent))).toBe(points);
  });

  it('leaves out gift cards, fees and points payments, and says so', () => {
    const explanation = evaluate(
      purchase([
        [500, 'goods'],
        [1_000, 'gift-card'],
        [70, 'fee'],
        [-300, 'points-payment'],
      ]),
      FIRST_PROGRAMME,
      2,
    );
    expect(pointsOf(explanation)).toBe(5);
    expect(explanation.declined).toEqual([
      { rule: 'base', reason: 'kind-excluded', kind: 'gift-card', lines: ['2'] },
      { rule: 'base', reason: 'kind-excluded', kind: 'fee', lines: ['3'] },
      { rule: 'base', reason: 'kind-excluded', kind: 'points-payment', lines: ['4'] },
    ]);
  });

  it('says what was missing where a purchase is below one point', () => {
    expect(evaluate(purchase([[99, 'goods']]), FIRST_PROGRAMME, 2).declined).toEqual([
      { rule: 'base', reason: 'below-one-point', base: 99, needed: 100 },
    ]);
  });

  it('is exact where a product passes 2^53', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.integer({ min: 0, max: 9_000_000_000 }),
        (points, per, base) => {
          expect(BigInt(worth([points, per], base))).toBe((BigInt(points) * BigInt(base)) / BigInt(per));
        },
      ),
    );
  });
});

describe('the explanation in words', () => {
  const explanation = evaluate(
    purchase([
      [1_250, 'goods'],
      [500, 'gift-card'],
    ]),
    FIRST_PROGRAMME,
    2,
  );
  const money = (minor: number): string => `${minor / 100}€`;

  it('has a sentence a component and a refusal, in three languages', () => {
    expect(sentencesOf(explanation, 'en', money)).toEqual([
      '12 points for 12.5€: 1 for each full 1€, rounded down.',
      'No points for gift cards: they do not earn any.',
    ]);
    expect(sentencesOf(explanation, 'fa', money)[0]).toContain('۱۲ امتیاز');
    expect(sentencesOf(explanation, 'ar', money)[0]).toContain('١٢ نقطة');
  });
});

describe('instants in canonical form', () => {
  it('are ordered by their text, with or without decimals', () => {
    expect(compareInstants('2026-01-01T00:00:00.5Z', '2026-01-01T00:00:00Z')).toBe(1);
    expect(compareInstants('2026-01-01T00:00:00.05Z', '2026-01-01T00:00:00.5Z')).toBe(-1);
    expect(compareInstants('2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z')).toBe(0);
    expect(laterOf('2026-01-01T00:00:00Z', null)).toBe('2026-01-01T00:00:00Z');
  });
});
