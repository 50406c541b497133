import { UsageError } from '../command.js';
import { MEMBER_KEYS, parseMemberMap, parsePurchaseMap, PURCHASE_KEYS } from './map.js';
import type { MemberMap, PurchaseMap } from './map-types.js';

const HOW = 'Say with --map FILE which column is what; --init-map drafts such a map from the header.';

/** Columns that name a field of the map itself need no map. */
const lines = (columns: readonly string[], keys: readonly string[], bare: readonly string[]): string[] =>
  columns
    .filter((column) => keys.includes(column))
    .map((column) => (bare.includes(column) ? `${column}: ${column}` : `${column}: '{${column}}'`));

const assertThere = (fileName: string, columns: readonly string[], needed: readonly string[]): void => {
  const missing = needed.filter((name) => !columns.includes(name));
  if (missing.length > 0)
    throw new UsageError(
      `${fileName}, line 1: without a map the header needs ${needed.join(', ')}; ${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} not there. ` +
        `It has: ${columns.join(', ')}. ${HOW}`,
    );
};

/** The map of a file whose columns are called as the fields are. @throws UsageError where needed ones are missing. */
export const directPurchaseMap = (fileName: string, columns: readonly string[]): PurchaseMap => {
  assertThere(fileName, columns, ['occurredAt', 'currency', 'amount']);
  const keys = PURCHASE_KEYS.filter(
    (key) => !['attributes', 'anonymous', 'source', 'categories', 'coupons'].includes(key),
  );
  const lists = ['categories', 'coupons'].filter((key) => columns.includes(key));
  return parsePurchaseMap(
    [
      ...lines(columns, keys, ['occurredAt', 'amount', 'tax', 'quantity']),
      ...lists.map((key) => `${key}: { column: ${key}, separator: '|' }`),
      ...(columns.includes('member') ? ["anonymous: ['']"] : []),
    ].join('\n'),
    'the header',
  );
};

/** The same for members: `externalId`, and if they are there `enrolledAt` and `card`. */
export const directMemberMap = (fileName: string, columns: readonly string[]): MemberMap => {
  assertThere(fileName, columns, ['externalId']);
  return parseMemberMap(lines(columns, MEMBER_KEYS, ['enrolledAt']).join('\n'), 'the header');
};
