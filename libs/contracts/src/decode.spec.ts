import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { decodeMessage, EVENT_BYTES_MAX, LINES_MAX, type PurchaseCompleted } from './index.js';

const purchase = JSON.parse(
  readFileSync(new URL('../samples/valid/purchase.json', import.meta.url), 'utf8'),
) as PurchaseCompleted;
const text = JSON.stringify(purchase);
const bytes = Buffer.from(text);
const reasonOf = (value: Uint8Array | null, key: string | null = 'k'): string => {
  const decoded = decodeMessage(value, { key });
  return decoded.ok ? 'ok' : decoded.reason;
};
const withData = (data: Record<string, unknown>): Buffer =>
  Buffer.from(JSON.stringify({ ...purchase, data: { ...purchase.data, ...data } }));
const line = (lineId: string, amount: number) => ({ lineId, amount });

describe('messages that are no events', () => {
  it.each<[string, Uint8Array | null, string]>([
    ['null', null, 'empty'],
    ['empty', Buffer.alloc(0), 'empty'],
    ['bad UTF-8', Buffer.concat([bytes.subarray(0, 20), Buffer.from([0xc3, 0x28]), bytes.subarray(20)]), 'not-utf8'],
    ['an overlong encoding', Buffer.from([0x22, 0xc0, 0xaf, 0x22]), 'not-utf8'],
    ['a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 'not-utf8'],
    ['cut off', bytes.subarray(0, bytes.length - 3), 'not-json'],
    ['two documents', Buffer.from(`${text}${text}`), 'not-json'],
    ['no JSON', Buffer.from('hello'), 'not-json'],
    ['JSON null', Buffer.from('null'), 'not-an-event'],
    ['a list', Buffer.from(`[${text}]`), 'not-an-event'],
    ['a number', Buffer.from('7'), 'not-an-event'],
    ['over 256 KiB', Buffer.from(text + ' '.repeat(EVENT_BYTES_MAX - bytes.length + 1)), 'too-large'],
    ['deep lists', Buffer.from('['.repeat(100_000) + ']'.repeat(100_000)), 'too-deep'],
    [
      'deep objects in data',
      Buffer.from(text.replace('"cashier":"7"', `"cashier":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`)),
      'too-deep',
    ],
    ['__proto__ in the envelope', Buffer.from(text.replace('{', '{"__proto__":{"type":"x"},')), 'invalid'],
    ['__proto__ in data', Buffer.from(text.replace('"data":{', '"data":{"__proto__":{"total":1},')), 'invalid'],
    ['__proto__ in attributes', Buffer.from(text.replace('"cashier"', '"__proto__"')), 'invalid'],
    ['all of data within __proto__', Buffer.from(text.replace('"data":', '"__proto__":')), 'invalid'],
    ['2^53 + 1', Buffer.from(text.replaceAll('1530', '9007199254740993')), 'invalid'],
    ['a number beyond all', Buffer.from(text.replaceAll('1530', '1e999')), 'invalid'],
    ['a negative amount', withData({ lines: [line('1', -5), line('2', 10)], total: 5 }), 'invalid'],
    ['a lone surrogate', withData({ store: '\ud800' }), 'invalid'],
    ['U+0000 in an attribute', withData({ attributes: { a: '\u0000' } }), 'invalid'],
    ['an unknown version', Buffer.from(text.replace('"1.0"', '"0.3"')), 'unknown-version'],
  ])('%s', (_name, value, reason) => {
    expect(reasonOf(value)).toBe(reason);
  });

  it('a message without a key, unless nobody is named', () => {
    expect(reasonOf(bytes, null)).toBe('missing-key');
    expect(reasonOf(withData({ member: null }), null)).toBe('ok');
    expect(decodeMessage(bytes).ok).toBe(true); // A file has no keys.
  });

  it('does not quote what the message says', () => {
    const secret = decodeMessage(Buffer.from('{"phone": "+989121234567"'), {});
    expect(JSON.stringify(secret)).not.toContain('989121234567');
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['a name of a field', { '+989121234567': 1 }, '/data/(unknown)'],
    ['a name of a line', { lines: [{ ...line('1', 5), '+989121234567': 1 }] }, '/data/lines/0/(unknown)'],
    ['a name of an attribute', { attributes: { '+989121234567': 'x' } }, '/data/attributes/(unknown)'],
    ['an attribute of a name', { attributes: { n989121234567: [] } }, '/data/attributes/(unknown)'],
  ])('does not quote %s that the sender made up', (_name, data, pointer) => {
    const decoded = decodeMessage(withData(data), { key: 'k' });
    expect(decoded).toMatchObject({
      ok: false,
      errors: expect.arrayContaining([expect.objectContaining({ pointer })]),
    });
    expect(JSON.stringify(decoded)).not.toContain('989121234567');
  });

  it('says where, in the names of the contract', () => {
    const decoded = decodeMessage(withData({ lines: [{ lineId: '1' }], currency: 'EU' }), { key: 'k' });
    const pointers = decoded.ok ? [] : decoded.errors.map(({ pointer }) => pointer);
    expect(pointers).toEqual(expect.arrayContaining(['/data/lines/0/amount', '/data/currency']));
  });

  it('never throws, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.dictionary(fc.string(), fc.string()), (value, headers) => {
        expect(typeof decodeMessage(value, { headers }).ok).toBe('boolean');
      }),
    );
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), fc.nat(), fc.nat(), (json, at, length) => {
        const start = at % text.length;
        const mutilated = text.slice(0, start) + json + text.slice(start + (length % 40));
        expect(typeof decodeMessage(Buffer.from(mutilated), { key: 'k' }).ok).toBe('boolean');
      }),
      { numRuns: 500 },
    );
  });
});

describe('limits', () => {
  const lines = (count: number) => Array.from({ length: count }, (_, index) => line(String(index), 1));

  it(`takes ${String(LINES_MAX)} lines and no more`, () => {
    expect(reasonOf(withData({ lines: lines(LINES_MAX), total: LINES_MAX }))).toBe('ok');
    expect(reasonOf(withData({ lines: lines(LINES_MAX + 1), total: LINES_MAX + 1 }))).toBe('invalid');
  });

  it('adds up exactly where doubles would not', () => {
    const large = Number.MAX_SAFE_INTEGER;
    const paid = (amount: number, lineId: string) => ({ lineId, amount, kind: 'points-payment', redemptionId: 'r' });
    const balanced = [line('1', large), line('2', large), paid(-large, '3'), paid(-large, '4'), line('5', 3)];
    expect(reasonOf(withData({ lines: balanced, total: 3 }))).toBe('ok');
    expect(reasonOf(withData({ lines: balanced, total: 2 }))).toBe('invalid');
  });

  it('tells at most fifty errors', () => {
    const wrong = decodeMessage(withData({ lines: Array.from({ length: 400 }, () => ({ lineId: 1 })) }));
    expect(wrong.ok ? 0 : wrong.errors.length).toBe(50);
  });
});

describe('binary mode', () => {
  const { data, ...attributes } = purchase;
  const headers = {
    ...Object.fromEntries(
      Object.entries(attributes).flatMap(([name, value]) =>
        name === 'datacontenttype' ? [] : [[`ce_${name}`, value]],
      ),
    ),
    'content-type': 'application/json',
  };

  it('reads the attributes from the headers', () => {
    expect(decodeMessage(Buffer.from(JSON.stringify(data)), { headers, key: 'k' })).toEqual({
      ok: true,
      event: purchase,
    });
  });

  it('checks them like any other', () => {
    const wrong = decodeMessage(Buffer.from(JSON.stringify(data)), {
      headers: { ...headers, ce_time: 'yesterday' },
      key: 'k',
    });
    expect(wrong).toMatchObject({ ok: false, reason: 'invalid', errors: [{ pointer: '/time' }] });
  });

  it('refuses content that is not JSON', () => {
    const avro = decodeMessage(Buffer.from('{}'), {
      headers: { ...headers, 'content-type': 'application/avro' },
      key: 'k',
    });
    expect(avro).toMatchObject({ ok: false, reason: 'unsupported-content-type' });
  });

  it('gives the sequence of our own events back as a number', () => {
    const enrolled = JSON.parse(
      readFileSync(new URL('../samples/valid/member-enrolled.json', import.meta.url), 'utf8'),
    ) as Record<string, unknown>;
    const { data: content, ...rest } = enrolled;
    const asHeaders = Object.fromEntries(Object.entries(rest).map(([name, value]) => [`ce_${name}`, String(value)]));
    expect(decodeMessage(Buffer.from(JSON.stringify(content)), { headers: asHeaders, key: 'k' })).toEqual({
      ok: true,
      event: enrolled,
    });
  });
});
