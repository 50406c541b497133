import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { compare, formatDecimal, multiply, parseDecimal, toMinorUnits, type Decimal } from './decimal.js';

const decimal = (text: string): Decimal => {
  const value = parseDecimal(text);
  if (value === undefined) throw new Error(`${text} is no decimal`);
  return value;
};

describe('decimals', () => {
  it.each([
    ['11.77', 1177n, 2],
    ['-0.05', -5n, 2],
    ['.5', 5n, 1],
    ['7.', 7n, 0],
    ['+3', 3n, 0],
    ['۱۲٫۵', 125n, 1],
    ['٣٤', 34n, 0],
  ])('reads %s', (text, unscaled, scale) => {
    expect(parseDecimal(text)).toEqual({ unscaled, scale });
  });

  it.each(['', '.', '-', '1e3', '1,000', '0x10', '1.2.3', 'NaN', ' ', '1'.repeat(50)])('refuses %j', (text) => {
    expect(parseDecimal(text)).toBeUndefined();
  });

  it('reads the marks of the country', () => {
    expect(parseDecimal('1.234,50', { point: ',', group: '.' })).toEqual({ unscaled: 123450n, scale: 2 });
    expect(parseDecimal("1'234.5", { point: '.', group: "'" })).toEqual({ unscaled: 12345n, scale: 1 });
  });

  it('multiplies exactly where floating-point numbers do not', () => {
    expect(1.1 * 3).not.toBe(3.3);
    expect(formatDecimal(multiply(decimal('1.1'), decimal('3')))).toBe('3.3');
    expect(toMinorUnits(multiply(decimal('12'), decimal('4.8533')), 2, 'half-up')).toBe(5824n);
  });

  it.each([
    ['1.005', 'half-up', 101n],
    ['1.004', 'half-up', 100n],
    ['-1.005', 'half-up', -101n],
    ['1.009', 'floor', 100n],
    ['-1.001', 'floor', -101n],
    ['1.001', 'ceil', 101n],
    ['-1.009', 'ceil', -100n],
    ['1.100', 'exact', 110n],
    ['1.001', 'exact', undefined],
  ] as const)('makes %s cents by %s', (text, rounding, expected) => {
    expect(toMinorUnits(decimal(text), 2, rounding)).toBe(expected);
  });

  it('has no cents where the currency has none', () => {
    expect(toMinorUnits(decimal('15000'), 0, 'exact')).toBe(15000n);
    expect(toMinorUnits(decimal('0.5'), 0, 'half-up')).toBe(1n);
  });

  it('compares by value', () => {
    expect(compare(decimal('1.50'), decimal('1.5'))).toBe(0);
    expect(compare(decimal('-2'), decimal('1.5'))).toBeLessThan(0);
  });

  it('reads back what it writes', () => {
    fc.assert(
      fc.property(fc.bigInt(-(10n ** 20n), 10n ** 20n), fc.nat(15), (unscaled, scale) => {
        const written = decimal(formatDecimal({ unscaled, scale }));
        expect(compare(written, { unscaled, scale })).toBe(0);
      }),
    );
  });

  it('rounds half up within half a unit, whatever the number', () => {
    fc.assert(
      fc.property(fc.bigInt(-(10n ** 18n), 10n ** 18n), fc.integer({ min: 3, max: 9 }), (unscaled, scale) => {
        const minor = toMinorUnits({ unscaled, scale }, 2, 'half-up') ?? 0n;
        const unit = 10n ** BigInt(scale - 2);
        const off = minor * unit - unscaled;
        expect((off < 0n ? -off : off) * 2n <= unit).toBe(true);
      }),
    );
  });
});
