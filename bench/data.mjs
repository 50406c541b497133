import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { Random } from '../tools/load/random.mjs';

const BESIDE = fileURLToPath(new URL('../../shared/data', import.meta.url));

/**
 * @typedef {{ name: string, members: string[], count: number, expected: { purchases: number, members: number, points: number, largest?: number },
 *   purchases: (source: string) => object[] }} DataSet
 *   `purchases` makes the events anew, under a source of their own, so that one installation can take the set several times
 */

/**
 * CDNOW: what 23,544 customers of a music shop bought in 18 months, from the folder that `VAFA_DATA_SETS` names or the one beside the checkout.
 * @returns {DataSet | undefined} undefined where the file is not there: it is research data and no part of this repository
 */
export function cdnow() {
  const file = join(process.env.VAFA_DATA_SETS ?? BESIDE, 'cdnow.csv.gz');
  if (!existsSync(file)) return undefined;
  const [, ...lines] = gunzipSync(readFileSync(file)).toString().trim().split('\n');
  const rows = lines.map((line) => {
    const [customer, date, quantity, dollars] = line.split(',');
    return { member: customer, occurredAt: `${date}T00:00:00Z`, quantity, amount: cents(dollars) };
  });
  const expected = { purchases: 69_659, members: 23_544, points: 2_453_159, largest: 13_860 };
  return {
    name: 'CDNOW',
    members: unique(rows),
    count: rows.length,
    expected,
    purchases: (source) => events(source, rows),
  };
}

/** Purchases of members drawn with equal chances, the same for the same numbers. @returns {DataSet} */
export function uniform({ purchases: count, members }) {
  const random = new Random(members);
  const rows = Array.from({ length: count }, (_, i) => ({
    member: `u${random.between(0, members - 1)}`,
    occurredAt: new Date(Date.UTC(2026, 0, 1) + i * 1_000).toISOString(),
    quantity: '1',
    amount: random.between(0, 20_000),
  }));
  const names = unique(rows);
  const points = rows.reduce((sum, { amount }) => sum + Math.floor(amount / 100), 0);
  const expected = { purchases: count, members: names.length, points };
  const name = `${count.toLocaleString('en')} purchases of ${members.toLocaleString('en')} members`;
  return { name, members: names, count, expected, purchases: (source) => events(source, rows) };
}

const unique = (rows) => [...new Set(rows.map(({ member }) => member))];

/** Decimal text to cents, without floating point. */
function cents(dollars) {
  const [whole, fraction = ''] = dollars.split('.');
  return Number(whole) * 100 + Number(fraction.padEnd(2, '0').slice(0, 2));
}

function events(source, rows) {
  return rows.map(({ member, occurredAt, quantity, amount }, i) => ({
    specversion: '1.0',
    id: `${source}-${i}`,
    source,
    type: 'commerce.purchase.completed',
    time: occurredAt,
    datacontenttype: 'application/json',
    data: {
      purchaseId: `p-${i}`,
      member: `external:${member}`,
      occurredAt,
      currency: 'USD',
      lines: [{ lineId: '1', sku: 'cd', quantity, amount, kind: 'goods' }],
      total: amount,
    },
  }));
}
