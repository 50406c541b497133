import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { cardNumber, isCardNumber } from './card-number.js';

const digits = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: length, maxLength: length });

describe('card numbers', () => {
  it('end with the check digit of the standard', () => {
    expect(cardNumber('7992', '73987100000')).toBe('7992739871000004');
    expect(isCardNumber('4111111111111111')).toBe(true);
    expect(isCardNumber('4111111111111112')).toBe(false);
    expect(isCardNumber('٤١١١١١١١١١١١١١١١')).toBe(false);
  });

  it('do not survive one wrong digit', () => {
    fc.assert(
      fc.property(digits(13), fc.nat({ max: 15 }), fc.integer({ min: 1, max: 9 }), (random, place, shift) => {
        const number = cardNumber('97', random);
        const wrong = String((Number(number[place]) + shift) % 10);
        expect(isCardNumber(number)).toBe(true);
        expect(isCardNumber(number.slice(0, place) + wrong + number.slice(place + 1))).toBe(false);
      }),
    );
  });

  it('are refused where there are too few digits to make one of', () => {
    expect(() => cardNumber('97', '123')).toThrow(RangeError);
  });
});
