/** Currencies whose minor unit is not a hundredth. IRR counts 2 in ISO 4217, but nobody has used its minor unit for decades. */
const EXPONENTS: Readonly<Record<string, number>> = {
  ...exponent(0, 'BIF CLP DJF GNF IRR ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'),
  ...exponent(
    2,
    'AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK ' +
      'DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD ' +
      'LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD ' +
      'SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG',
  ),
  ...exponent(3, 'BHD IQD JOD KWD LYD OMR TND'),
  ...exponent(4, 'CLF UYW'),
};

function exponent(digits: number, codes: string): Record<string, number> {
  return Object.fromEntries(codes.split(' ').map((code) => [code, digits]));
}

/** Decimal digits of the currency's minor unit as this club counts it (ISO 4217, IRR 0); `undefined` for a code that is no currency. */
export const currencyExponent = (currency: string): number | undefined =>
  Object.hasOwn(EXPONENTS, currency) ? EXPONENTS[currency] : undefined;

/** Every currency known, sorted. */
export const CURRENCIES: readonly string[] = Object.keys(EXPONENTS).sort();

const DECIMAL = /^([+-]?)(\d{1,30})(?:\.(\d{1,30}))?$/;

/** `exact` refuses digits beyond the minor unit, `half-up` rounds them, a half away from zero. */
export type MoneyRounding = 'exact' | 'half-up';

export type MoneyResult =
  { readonly ok: true; readonly minor: number } | { readonly ok: false; readonly detail: string };

/**
 * Reads a decimal text (`"11.77"`, `"-3"`, no grouping, no exponent) as integer minor units of a currency, in exact arithmetic.
 * Trailing zeros beyond the minor unit are always welcome.
 */
export function parseMoney(text: string, currency: string, rounding: MoneyRounding = 'exact'): MoneyResult {
  const digits = currencyExponent(currency);
  if (digits === undefined) return { ok: false, detail: `${JSON.stringify(currency)} is not a currency of ISO 4217.` };
  const match = DECIMAL.exec(text);
  if (match === null)
    return { ok: false, detail: `${JSON.stringify(text.slice(0, 40))} is not a decimal number such as 12.50.` };
  const fraction = (match[3] ?? '').padEnd(digits, '0');
  const beyond = fraction.slice(digits);
  if (rounding === 'exact' && /[1-9]/.test(beyond))
    return { ok: false, detail: `${text} has more decimals than ${currency} has (${String(digits)}).` };
  const roundsUp = beyond !== '' && beyond.charCodeAt(0) >= '5'.charCodeAt(0);
  const magnitude = Number(BigInt(`${match[2] ?? ''}${fraction.slice(0, digits)}`) + (roundsUp ? 1n : 0n));
  if (!Number.isSafeInteger(magnitude)) return { ok: false, detail: `${text} ${currency} is too large an amount.` };
  return { ok: true, minor: match[1] === '-' && magnitude !== 0 ? -magnitude : magnitude };
}

/** Integer minor units as a decimal text with all digits of the currency: 1177 USD is `11.77`. @throws RangeError for an unknown currency. */
export function formatMoney(minor: number, currency: string): string {
  const digits = currencyExponent(currency);
  if (digits === undefined) throw new RangeError(`${JSON.stringify(currency)} is not a currency of ISO 4217.`);
  const text = String(Math.abs(minor)).padStart(digits + 1, '0');
  const whole = text.slice(0, text.length - digits);
  return `${minor < 0 ? '-' : ''}${whole}${digits === 0 ? '' : `.${text.slice(-digits)}`}`;
}
