import { describe, expect, it } from '@jest/globals';
import { UsageError } from '../command.js';
import { Columns } from './cells.js';
import { draftPurchaseMap } from './init-map.js';
import { parseMemberMap, parsePurchaseMap } from './map.js';
import { purchaseMapper } from './purchase-mapping.js';

const mapped = (source: string, columns: readonly string[], cells: readonly string[]) => {
  const at = new Columns(columns);
  const map = purchaseMapper(parsePurchaseMap(source, 'map.yaml'), at);
  at.assertComplete('file.csv');
  const result = map(cells, 'identity');
  return result.kind === 'row' ? { ...result, value: result.value.data } : result;
};

const SIMPLE = `
member: external:{customer}
anonymous: ['', (blank)]
occurredAt: { column: day, zone: Europe/London, at: '12:00' }
currency: GBP
amount: { multiply: [quantity, price], round: half-up }
quantity: quantity
skip:
  - when: { number: { startsWith: T } }
    because: a test
reject:
  - when: { quantity: { below: 0 }, customer: { not: { blank: true } } }
    because: a return
`;
const COLUMNS = ['number', 'day', 'customer', 'quantity', 'price'];

describe('rows that are returns', () => {
  const map = (more: string): string => `
member: external:{customer}
occurredAt: { column: day, zone: Europe/London, at: '12:00' }
currency: GBP
amount: { multiply: [quantity, price], round: half-up }
quantity: quantity
returns:
  when: { number: { startsWith: C } }
  returnId: '{number}'
${more}`;

  it('take back what they say, with or without their purchase', () => {
    const when = { occurredAt: '2021-06-01T11:00:00Z', member: 'external:007' };
    const cells = ['C9', '2021-06-01', '007', '-2', '1.505'];
    expect(mapped(map(''), COLUMNS, cells)).toEqual({
      kind: 'row',
      value: { returnId: 'C9', amount: 301, currency: 'GBP', ...when },
    });
    expect(mapped(map('  purchaseId: i-{number}'), COLUMNS, cells)).toEqual({
      kind: 'row',
      value: { returnId: 'C9', purchaseId: 'i-C9', lines: [{ lineId: '1', amount: 301, quantity: '2' }], ...when },
    });
    expect(mapped(map(''), COLUMNS, ['9', '2021-06-01', '007', '2', '1'])).toMatchObject({ value: { total: 200 } });
  });

  it('need to be told from the others', () => {
    const untold = map('').replace(/  when:.*\n/, '');
    expect(() => parsePurchaseMap(untold, 'map.yaml')).toThrow('needs "when: { column: test }"');
  });
});

describe('the map of a file of purchases', () => {
  it('makes a purchase of a row', () => {
    expect(mapped(SIMPLE, COLUMNS, ['1', '2021-06-01', ' 007 ', '83', '4.8533'])).toEqual({
      kind: 'row',
      value: {
        purchaseId: 'identity',
        member: 'external:007',
        occurredAt: '2021-06-01T11:00:00Z',
        currency: 'GBP',
        lines: [{ lineId: '1', quantity: '83', amount: 40282 }],
        total: 40282,
      },
    });
  });

  it('knows nobody behind the cells that say so', () => {
    for (const customer of ['', '(blank)'])
      expect(mapped(SIMPLE, COLUMNS, ['1', '2021-06-01', customer, '1', '1'])).toMatchObject({
        value: { member: null },
      });
    const strict = SIMPLE.replace(/anonymous.*\n/, '');
    expect(mapped(strict, COLUMNS, ['1', '2021-06-01', '', '1', '1'])).toMatchObject({
      kind: 'rejected',
      column: 'customer',
    });
  });

  it('leaves out and puts aside what its conditions say', () => {
    expect(mapped(SIMPLE, COLUMNS, ['T9', 'never', '', 'x', 'y'])).toEqual({ kind: 'skipped', because: 'a test' });
    expect(mapped(SIMPLE, COLUMNS, ['1', '2021-06-01', '5', '-3', '1'])).toEqual({
      kind: 'rejected',
      reason: 'a return',
    });
  });

  it.each([
    [['1', '2021-13-01', '5', '1', '1'], 'day', '"2021-13-01" is not an ISO 8601 date'],
    [['1', '2021-06-01', '5', 'x', '1'], 'quantity', '"x" is not a decimal number'],
    [['1', '2021-06-01', '', '-1', '1'], 'quantity', 'the quantity -1 is negative'],
    [['1', '2021-06-01', '5', '1', ''], 'price', '"" is not a decimal number'],
  ])('names the column of %j', (cells, column, reason) => {
    expect(mapped(SIMPLE, COLUMNS, cells)).toMatchObject({
      kind: 'rejected',
      column,
      reason: expect.stringContaining(reason),
    });
  });

  it('does not round where nobody asked for it', () => {
    const exact = SIMPLE.replace('{ multiply: [quantity, price], round: half-up }', 'price');
    expect(mapped(exact, COLUMNS, ['1', '2021-06-01', '5', '1', '1.005'])).toMatchObject({
      kind: 'rejected',
      column: 'price',
      reason: expect.stringContaining('round: half-up'),
    });
  });

  it('takes every field there is', () => {
    const full = `
source: /pos
purchaseId: '{number}@{day}'
member: card:{customer}
occurredAt: day
currency: { column: ccy }
amount: { column: price, unit: minor }
tax: tax
kind: service
sku: '{sku}'
brand: Lux
categories: { column: cats, separator: '|' }
coupons: ['{coupon}', SPRING]
channel: pos
store: 'shop {shop}'
attributes: { till: '{till}' }
`;
    const columns = ['number', 'day', 'customer', 'ccy', 'price', 'tax', 'sku', 'cats', 'coupon', 'shop', 'till'];
    const cells = [
      '1',
      '2021-06-01T00:00:00Z',
      '6219861012345674',
      'irr',
      '5000',
      '450',
      'A1',
      'home|light',
      '',
      '',
      '7',
    ];
    expect(mapped(full, columns, cells)).toEqual({
      kind: 'row',
      value: {
        purchaseId: '1@2021-06-01T00:00:00Z',
        member: 'card:6219861012345674',
        occurredAt: '2021-06-01T00:00:00Z',
        currency: 'IRR',
        lines: [
          {
            lineId: '1',
            sku: 'A1',
            categories: ['home', 'light'],
            brand: 'Lux',
            amount: 5000,
            tax: 450,
            kind: 'service',
          },
        ],
        total: 5000,
        channel: 'pos',
        coupons: ['SPRING'],
        attributes: { till: '7' },
      },
    });
  });

  it('multiplies Toman into Rial', () => {
    const toman = SIMPLE.replace('GBP', 'IRR').replace('[quantity, price]', '[price, 10]');
    expect(mapped(toman, COLUMNS, ['1', '2021-06-01', '5', '1', '۱۲۵۰۰'])).toMatchObject({ value: { total: 125000 } });
  });

  it('lists every mistake with its line and column', () => {
    const wrong = `membr: x
occurredAt:
  column: day
  zone: Mars/Olympus
  at: 12:00
amount: { column: price, round: up }
skip:
  - when: { day: { startWith: x } }
`;
    expect(() => parsePurchaseMap(wrong, 'map.yaml')).toThrow(UsageError);
    const message = (() => {
      try {
        parsePurchaseMap(wrong, 'map.yaml');
      } catch (error) {
        return error instanceof Error ? error.message : '';
      }
      return '';
    })();
    expect(message).toContain('map.yaml:1:1: "membr" is not known here. Did you mean "member"?');
    expect(message).toContain('map.yaml:4:9: "Mars/Olympus" is no IANA time zone');
    expect(message).toContain('map.yaml:6:33: "up" is none of exact, half-up, floor, ceil');
    expect(message).toContain('map.yaml:8:20: "startWith" is not known here. Did you mean "startsWith"?');
    expect(message).toContain('needs "because"');
    expect(message).toContain('"currency" is missing');
  });

  it('says where the YAML itself is broken', () => {
    expect(() => parsePurchaseMap('member: "x\namount: y\n', 'map.yaml')).toThrow(/map\.yaml:\d+:\d+: /);
    expect(() => parseMemberMap('- a\n- b\n', 'map.yaml')).toThrow(/must be a mapping/);
  });

  it('names the columns that the file lacks, and what may be meant', () => {
    expect(() => mapped(SIMPLE, ['number', 'day', 'costumer', 'quantity', 'price'], [])).toThrow(
      /file\.csv, line 1: .*\n {2}"customer": did you mean "costumer"\?/,
    );
  });
});

describe('a drafted map', () => {
  it('can be used as it is where the columns have the usual names', () => {
    const columns = ['receipt_no', 'purchased_at', 'customer_id', 'total_eur', 'qty', 'shop'];
    const rows = [
      ['17', '31/12/2020 10:00', 'c5', '12.50', '2', 'north'],
      ['18', '01/02/2021 10:00', '(blank)', '3', '1', 'north'],
    ];
    const draft = draftPurchaseMap('sales.csv', { columns, rows });
    expect(mapped(draft, columns, rows[0] ?? [])).toEqual({
      kind: 'row',
      value: {
        purchaseId: '17',
        member: 'external:c5',
        occurredAt: '2020-12-31T10:00:00Z',
        currency: 'EUR',
        lines: [{ lineId: '1', quantity: '2', amount: 1250 }],
        total: 1250,
        store: 'north',
      },
    });
    expect(mapped(draft, columns, rows[1] ?? [])).toMatchObject({ value: { member: null } });
  });

  it('says what it did not find', () => {
    const draft = draftPurchaseMap('odd.csv', { columns: ['x', 'y'], rows: [] });
    expect(draft).toContain('no column looks like a date');
    expect(draft).toContain('no column looks like an amount');
  });
});
