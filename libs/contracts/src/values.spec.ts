import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  canonicalInstant,
  canonicalReference,
  CURRENCIES,
  currencyExponent,
  EXTERNAL_ID_LENGTH_MAX,
  formatMoney,
  formatReference,
  isCanonicalInstant,
  isExternalId,
  parseHttpReference,
  parseInstant,
  parseMemberReference,
  parseMoney,
  parsePathReference,
} from './index.js';

describe('money', () => {
  it.each([
    ['11.77', 'USD', 1177],
    ['-3', 'USD', -300],
    ['+3.5', 'EUR', 350],
    ['12.500', 'EUR', 1250],
    ['12', 'IRR', 12],
    ['12.00', 'IRR', 12],
    ['1.234', 'KWD', 1234],
    ['0.00', 'USD', 0],
    ['-0', 'USD', 0],
    ['007', 'JPY', 7],
    ['90071992547409.91', 'USD', Number.MAX_SAFE_INTEGER],
  ])('%s %s is %d minor units', (text, currency, minor) => {
    expect(parseMoney(text, currency)).toEqual({ ok: true, minor });
  });

  it.each([
    ['11.775', 'USD'],
    ['1.5', 'IRR'],
    ['1,000', 'USD'],
    ['1e3', 'USD'],
    ['', 'USD'],
    ['.5', 'USD'],
    ['NaN', 'USD'],
    ['۱۲', 'IRR'],
    ['90071992547409.92', 'USD'],
    ['1', 'TOM'],
    ['1', 'toString'],
  ])('refuses %s %s', (text, currency) => {
    expect(parseMoney(text, currency).ok).toBe(false);
  });

  it('rounds a half away from zero where that is asked for', () => {
    expect(parseMoney('11.775', 'USD', 'half-up')).toEqual({ ok: true, minor: 1178 });
    expect(parseMoney('-11.775', 'USD', 'half-up')).toEqual({ ok: true, minor: -1178 });
    expect(parseMoney('11.7749999', 'USD', 'half-up')).toEqual({ ok: true, minor: 1177 });
    expect(parseMoney('0.5', 'IRR', 'half-up')).toEqual({ ok: true, minor: 1 });
    expect(parseMoney('0.4', 'JPY', 'half-up')).toEqual({ ok: true, minor: 0 });
  });

  it('reads what it writes, in every currency', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.constantFrom(...CURRENCIES), (minor, currency) => {
        expect(parseMoney(formatMoney(minor, currency), currency)).toEqual({
          ok: true,
          minor: minor === 0 ? 0 : minor,
        });
      }),
    );
  });

  it('knows the currencies that have no hundredths', () => {
    expect(['JPY', 'IRR', 'KWD', 'CLF', 'EUR', 'XXX', 'constructor'].map(currencyExponent)).toEqual([
      0,
      0,
      3,
      4,
      2,
      undefined,
      undefined,
    ]);
  });
});

describe('references', () => {
  const id = '01997f00-0000-7000-8000-00000000000A';

  it('are member, card and external on topics', () => {
    expect(parseMemberReference(`member:${id}`)).toEqual({ kind: 'member', id: id.toLowerCase() });
    expect(parseMemberReference('card:6219861012345674')).toEqual({ kind: 'card', number: '6219861012345674' });
    expect(parseMemberReference('external:a:b مشتری')).toEqual({ kind: 'external', id: 'a:b مشتری' });
    expect(canonicalReference(`member:${id}`)).toBe(`member:${id.toLowerCase()}`);
  });

  it.each([
    '',
    'card:',
    'card:123',
    'card:۶۲۱۹۸۶۱۰',
    'card:62198610 ',
    'member:1',
    'external:',
    'external: a',
    'external:a ',
    'external:a\nb',
    'phone:+989121234567',
    'email:a@b.org',
    'Card:62198610',
    id,
  ])('refuses %j on topics', (text) => {
    expect(parseMemberReference(text)).toBeUndefined();
    expect(canonicalReference(text)).toBeUndefined();
  });

  it('may be phone and e-mail over HTTP', () => {
    expect(parseHttpReference('phone:+989121234567')).toEqual({ kind: 'phone', number: '+989121234567' });
    expect(parseHttpReference('email:a@b.org')).toEqual({ kind: 'email', address: 'a@b.org' });
    expect(parseHttpReference('card:62198610')).toEqual({ kind: 'card', number: '62198610' });
    for (const wrong of ['phone:09121234567', 'phone:+0912', 'email:a', 'email:a@b@c', `email:${'a'.repeat(65)}@b.org`])
      expect(parseHttpReference(wrong)).toBeUndefined();
  });

  it('may be a bare id in a path', () => {
    expect(parsePathReference(id)).toEqual({ kind: 'member', id: id.toLowerCase() });
    expect(parsePathReference('card:62198610')).toEqual({ kind: 'card', number: '62198610' });
    expect(parsePathReference('07592')).toBeUndefined();
  });

  it('round trip, and fit into the key of a message in every script', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: EXTERNAL_ID_LENGTH_MAX + 5 }), (text) => {
        const parsed = parseMemberReference(`external:${text}`);
        expect(parsed !== undefined).toBe(isExternalId(text));
        if (parsed === undefined) return;
        expect(formatReference(parsed)).toBe(`external:${text}`);
        expect(Buffer.byteLength(formatReference(parsed))).toBeLessThanOrEqual(512);
      }),
    );
    expect(isExternalId('😀'.repeat(EXTERNAL_ID_LENGTH_MAX))).toBe(true);
    expect(isExternalId('😀'.repeat(EXTERNAL_ID_LENGTH_MAX + 1))).toBe(false);
  });
});

describe('instants', () => {
  it('are known as canonical exactly where reading and writing them changes nothing', () => {
    const two = (max: number) => fc.integer({ min: 0, max }).map((value) => String(value).padStart(2, '0'));
    const year = fc.constantFrom('0000', '1899', '1900', '2000', '2023', '2024', '2100', '9999');
    const fraction = fc.constantFrom('', '.0', '.5', '.50', '.123456', '.1234567', '.000001');
    const texts = fc
      .tuple(year, two(13), two(32), two(25), two(61), two(61), fraction, fc.constantFrom('Z', 'z', '+00:00'))
      .map(([y, m, d, h, min, s, f, z]) => `${y}-${m}-${d}T${h}:${min}:${s}${f}${z}`);
    const slowly = (text: string): boolean =>
      parseInstant(text)?.round({ smallestUnit: 'microsecond', roundingMode: 'floor' }).toString() === text;
    fc.assert(
      fc.property(texts, (text) => expect(isCanonicalInstant(text)).toBe(slowly(text))),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['2026-11-21T10:14:03Z', '2026-11-21T10:14:03Z'],
    ['2026-11-21t13:44:03.5+03:30', '2026-11-21T10:14:03.5Z'],
    ['2026-11-21T10:14:03.123456789Z', '2026-11-21T10:14:03.123456Z'],
    ['2026-11-21T10:14:03.100000-00:00', '2026-11-21T10:14:03.1Z'],
    ['2016-12-31T23:59:60Z', '2016-12-31T23:59:59Z'],
    ['1900-01-01T03:30:00+03:30', '1900-01-01T00:00:00Z'],
  ])('%s is %s', (text, canonical) => {
    expect(canonicalInstant(text)).toBe(canonical);
    expect(canonicalInstant(canonical)).toBe(canonical);
  });

  it.each([
    '',
    '2026-11-21',
    '2026-11-21T10:14:03',
    '2026-11-21 10:14:03Z',
    '2026-02-29T00:00:00Z',
    '2026-11-21T24:00:00Z',
    '1899-12-31T23:59:59Z',
    '9999-12-31T23:59:59-01:00',
    '+002026-11-21T10:14:03Z',
    '2026-11-21T10:14:03Z[UTC]',
    '2026-11-21T10:14Z',
    '٢٠٢٦-11-21T10:14:03Z',
  ])('refuses %j', (text) => {
    expect(parseInstant(text)).toBeUndefined();
    expect(() => canonicalInstant(text)).toThrow(RangeError);
  });
});
