/** An exact decimal number: `unscaled` divided by ten to the power of `scale`. */
export type Decimal = { readonly unscaled: bigint; readonly scale: number };

export type Rounding = 'exact' | 'half-up' | 'floor' | 'ceil';

export type DecimalMarks = {
  /** What stands between the whole part and the fraction. */
  readonly point: string;
  /** What groups thousands, removed before reading; empty for none. */
  readonly group: string;
};

/** Digits a number may have; more is no amount of money. */
const DIGITS_MAX = 40;

const PERSIAN_ZERO = 0x06f0;
const ARABIC_ZERO = 0x0660;

/** Persian and Arabic-Indic digits, and the marks used with them, as Latin ones. */
export const latinDigits = (text: string): string =>
  text.replace(/[۰-۹٠-٩٫٬−]/g, (mark) => {
    if (mark === '٫') return '.';
    if (mark === '٬') return ',';
    if (mark === '−') return '-';
    const code = mark.charCodeAt(0);
    return String(code - (code >= PERSIAN_ZERO ? PERSIAN_ZERO : ARABIC_ZERO));
  });

/** Reads a decimal as people write it, or nothing where it is none. Never goes through a floating-point number. */
export const parseDecimal = (cell: string, marks: DecimalMarks = { point: '.', group: '' }): Decimal | undefined => {
  let text = latinDigits(cell).trim();
  if (marks.group !== '') text = text.replaceAll(marks.group, '');
  if (marks.point !== '.') text = text.replace(marks.point, '.');
  const match = /^([+-]?)(\d*)(?:\.(\d*))?$/.exec(text);
  if (match === null || text.length > DIGITS_MAX) return undefined;
  const [, sign, whole = '', fraction = ''] = match;
  if (whole === '' && fraction === '') return undefined;
  const unscaled = BigInt(whole + fraction);
  return { unscaled: sign === '-' ? -unscaled : unscaled, scale: fraction.length };
};

export const multiply = (left: Decimal, right: Decimal): Decimal => ({
  unscaled: left.unscaled * right.unscaled,
  scale: left.scale + right.scale,
});

/** Negative, zero or positive as `left` is below, equal to or above `right`. */
export const compare = (left: Decimal, right: Decimal): number => {
  const scale = Math.max(left.scale, right.scale);
  const difference =
    left.unscaled * 10n ** BigInt(scale - left.scale) - right.unscaled * 10n ** BigInt(scale - right.scale);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
};

/**
 * The number in units of `10^-decimals`, so cents for 2.
 * `half-up` rounds halves away from zero, as on a receipt. `exact` gives nothing where digits would be lost.
 */
export const toMinorUnits = (value: Decimal, decimals: number, rounding: Rounding): bigint | undefined => {
  if (value.scale <= decimals) return value.unscaled * 10n ** BigInt(decimals - value.scale);
  const divisor = 10n ** BigInt(value.scale - decimals);
  const quotient = value.unscaled / divisor;
  const remainder = value.unscaled % divisor;
  if (remainder === 0n) return quotient;
  const step = value.unscaled < 0n ? -1n : 1n;
  switch (rounding) {
    case 'exact':
      return undefined;
    case 'half-up':
      return remainder * step * 2n >= divisor ? quotient + step : quotient;
    case 'floor':
      return step < 0n ? quotient - 1n : quotient;
    case 'ceil':
      return step > 0n ? quotient + 1n : quotient;
  }
};

/** The shortest way to write it: `1.50` becomes `1.5`. */
export const formatDecimal = ({ unscaled, scale }: Decimal): string => {
  const negative = unscaled < 0n;
  const digits = (negative ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
  const whole = digits.slice(0, digits.length - scale);
  const fraction = digits.slice(digits.length - scale).replace(/0+$/, '');
  return `${negative ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`;
};
