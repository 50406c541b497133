import { createHash } from 'node:crypto';

import { seeded } from './random.js';

export type GeneratorOptions = {
  readonly members: number;
  readonly purchases: number;
  readonly seed: number;
  /** ISO 4217, with two decimals. */
  readonly currency: string;
  readonly from: Temporal.Instant;
  readonly days: number;
};

export type GeneratedPurchase = {
  readonly purchaseId: string;
  readonly member: string;
  readonly occurredAt: string;
  readonly currency: string;
  /** Minor units. */
  readonly amount: number;
  readonly quantity: number;
  readonly sku: string;
  readonly category: string;
  readonly store: string;
};

const CATEGORIES = ['books', 'music', 'home', 'garden', 'toys', 'kitchen', 'stationery', 'gifts'];
const SKUS_PER_CATEGORY = 50;
const STORES = 12;
const QUANTITY_MAX = 5;
const SECONDS_PER_DAY = 86_400;
/** How unevenly members buy: 1 is evenly, more gives few members much. */
const SKEW = 2.5;
const PRICE_MIN = 199;
const PRICE_SPAN = 7_800;

const padded = (value: number, width: number): string => String(value).padStart(width, '0');

/**
 * Made-up purchases in the order of their time: few members buy often, most seldom, as in real shops.
 * The same options give the same purchases, so that an import of them can be repeated.
 */
export function* generatedPurchases(options: GeneratorOptions): Generator<GeneratedPurchase> {
  const { members, purchases, seed, currency, from, days } = options;
  const random = seeded(seed);
  const pick = (count: number): number => Math.min(Math.floor(random() * count), count - 1);
  // Other options make other purchases, which must not bear the same ids.
  const run = createHash('sha256')
    .update(JSON.stringify([members, purchases, seed, currency, from, days]))
    .digest('hex')
    .slice(0, 8);
  const width = String(members).length;
  const step = (days * SECONDS_PER_DAY) / Math.max(purchases, 1);
  const start = from.epochMilliseconds / 1_000;
  for (let index = 0; index < purchases; index += 1) {
    const member = Math.min(Math.floor(random() ** SKEW * members), members - 1) + 1;
    const category = pick(CATEGORIES.length);
    const quantity = 1 + pick(QUANTITY_MAX);
    const price = PRICE_MIN + Math.floor(random() ** 2 * PRICE_SPAN);
    const seconds = Math.floor(start + (index + random()) * step);
    yield {
      purchaseId: `${run}-${padded(index + 1, String(purchases).length)}`,
      member: `external:${padded(member, width)}`,
      occurredAt: Temporal.Instant.fromEpochMilliseconds(seconds * 1_000).toString(),
      currency,
      amount: quantity * price,
      quantity,
      sku: `${(CATEGORIES[category] ?? '').slice(0, 2).toUpperCase()}-${padded(1 + pick(SKUS_PER_CATEGORY), 3)}`,
      category: CATEGORIES[category] ?? '',
      store: `store-${padded(1 + pick(STORES), 2)}`,
    };
  }
}
