import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  amountLeft,
  carriedLine,
  leftOf,
  quantityOf,
  quantityText,
  takeFrom,
  type Goods,
  type ReturnedGoods,
  type ReturnedLine,
  type Taking,
} from './returned-goods.js';

const goods = (lineId: string, amount: number, quantity: string): Goods => ({
  lineId,
  amount,
  quantity: quantityOf(quantity),
});
const back = (lineId: string, { amount, quantity }: { amount?: number; quantity?: string }): ReturnedLine => ({
  lineId,
  amount,
  quantity: quantity === undefined ? undefined : quantityOf(quantity),
});
const take = (left: readonly Goods[], ...lines: ReturnedLine[]): Taking => takeFrom(left, { kind: 'lines', lines });
const taken = (...lines: Goods[]): Taking => ({ ok: true, taken: lines });
const refused = (reason: string): Taking => ({ ok: false, reason });

describe('a quantity', () => {
  it('is read and written exactly, to the millionth', () => {
    expect(quantityOf('1.25')).toBe(1_250_000n);
    expect(quantityOf('0.000001')).toBe(1n);
    expect(quantityOf('999999999999999.999999')).toBe(999_999_999_999_999_999_999n);
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 21n - 1n }), (quantity) => {
        expect(quantityOf(quantityText(quantity))).toBe(quantity);
        expect(quantityText(quantity)).toMatch(/^(0|[1-9]\d*)(\.\d{0,5}[1-9])?$/);
      }),
    );
  });
});

describe('lines that come back', () => {
  const left = [goods('1', 1_000, '3'), goods('2', 500, '0.5')];

  it('take money, or goods, or both, as they say', () => {
    expect(take(left, back('1', { amount: 1_000 }))).toEqual(taken(goods('1', 1_000, '0')));
    expect(take(left, back('1', { amount: 0, quantity: '3' }))).toEqual(taken(goods('1', 0, '3')));
    expect(take(left, back('2', { quantity: '0.5' }), back('1', { quantity: '1', amount: 400 }))).toEqual(
      taken(goods('2', 500, '0.5'), goods('1', 400, '1')),
    );
  });

  it('take the share of the pieces in what is left, rounded down, and with the last piece all that is left', () => {
    expect(take(left, back('1', { quantity: '1' }))).toEqual(taken(goods('1', 333, '1')));
    const after = leftOf(left, [goods('1', 333, '1')]);
    expect(take(after, back('1', { quantity: '1' }))).toEqual(taken(goods('1', 333, '1')));
    expect(take([goods('1', 334, '1')], back('1', { quantity: '1' }))).toEqual(taken(goods('1', 334, '1')));
    // The price was lowered before: what is left is shared, not what was paid.
    expect(take(leftOf(left, [goods('1', 700, '0')]), back('1', { quantity: '1' }))).toEqual(
      taken(goods('1', 100, '1')),
    );
    expect(take([goods('1', 7, '0')], back('1', { quantity: '0' }))).toEqual(taken(goods('1', 0, '0')));
  });

  it('take from what the return itself has left, where it names a line twice', () => {
    expect(take(left, back('1', { quantity: '2' }), back('1', { quantity: '1' }))).toEqual(
      taken(goods('1', 1_000, '3')),
    );
    expect(take(left, back('1', { quantity: '2' }), back('1', { quantity: '1.000001' }))).toEqual(
      refused('more-than-left: line 1 has a quantity of 1 left'),
    );
  });

  it('are refused as a whole where one of them is unknown, or is more than is left', () => {
    const fine = back('2', { amount: 1 });
    expect(take(left, fine, back('3', { amount: 1 }))).toEqual(refused('unknown-line: line 3'));
    expect(take(left, fine, back('1', { amount: 1_001 }))).toEqual(refused('more-than-left: line 1 has 1000 left'));
    expect(take(left, back('2', { quantity: '0.500001' }))).toEqual(
      refused('more-than-left: line 2 has a quantity of 0.5 left'),
    );
  });

  it('give back what was paid with points only in one piece', () => {
    const paid = [goods('1', 1_000, '1'), goods('2', -600, '2')];
    expect(take(paid, back('2', { amount: 0 }))).toEqual(refused('more-than-left: line 2 has -600 left'));
    expect(take(paid, back('2', { quantity: '1' }))).toEqual(refused('more-than-left: line 2 has -600 left'));
    expect(take(paid, back('2', { quantity: '2' }))).toEqual(taken(goods('2', -600, '2')));
  });
});

describe('the whole', () => {
  const whole: ReturnedGoods = { kind: 'whole' };

  it('takes everything that is left, also what was free, and what was paid with points', () => {
    const left = [
      goods('1', 100, '1'),
      goods('2', 0, '1'),
      goods('3', 0, '0'),
      goods('4', -50, '1'),
      goods('5', 9, '0'),
    ];
    expect(takeFrom(left, whole)).toEqual(
      taken(goods('1', 100, '1'), goods('2', 0, '1'), goods('4', -50, '1'), goods('5', 9, '0')),
    );
  });

  it('is refused where nothing is left', () => {
    expect(takeFrom([goods('1', 0, '0')], whole)).toEqual(refused('nothing-left'));
    expect(takeFrom([], whole)).toEqual(refused('nothing-left'));
  });
});

describe('money of a purchase', () => {
  const left = [goods('1', 300, '1'), goods('2', -100, '1'), goods('3', 500, '2')];

  it('comes from its lines in the order of the receipt, and no goods with it', () => {
    expect(takeFrom(left, { kind: 'amount', amount: 350 })).toEqual(taken(goods('1', 300, '0'), goods('3', 50, '0')));
    expect(takeFrom(left, { kind: 'amount', amount: 0 })).toEqual(taken());
  });

  it('is never more than was paid with money', () => {
    expect(amountLeft(left)).toBe(700);
    expect(takeFrom(left, { kind: 'amount', amount: 700 })).toMatchObject({ ok: true });
    expect(takeFrom(left, { kind: 'amount', amount: 701 })).toEqual(
      refused('more-than-left: the purchase has 700 left'),
    );
    const fullyBack = leftOf(left, [goods('1', 300, '1'), goods('3', 500, '2')]);
    expect(amountLeft(fullyBack)).toBe(0);
    expect(takeFrom(fullyBack, { kind: 'amount', amount: 1 })).toEqual(
      refused('more-than-left: the purchase has 0 left'),
    );
  });
});

describe('what came back, in another content of its purchase', () => {
  const bought = goods('1', 900, '3');

  it('is the same money where the line is the same, the same pieces at its price where it is not', () => {
    expect(carriedLine(goods('1', 400, '1'), bought, bought)).toEqual({ lineId: '1', quantity: '1', amount: 400 });
    expect(carriedLine(goods('1', 400, '1'), bought, goods('1', 600, '3'))).toEqual({ lineId: '1', quantity: '1' });
    expect(carriedLine(goods('1', 400, '1.5'), bought, undefined)).toEqual({ lineId: '1', quantity: '1.5' });
  });

  it('stays money where no goods came back', () => {
    expect(carriedLine(goods('1', 400, '0'), bought, goods('1', 600, '3'))).toEqual({ lineId: '1', amount: 400 });
  });
});
