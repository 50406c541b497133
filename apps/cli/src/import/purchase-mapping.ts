import { currencyExponent } from '@vafa/contracts';

import { Columns, type Cells, type TextOf } from './cells.js';
import { formatDecimal, multiply, parseDecimal, toMinorUnits, type Decimal, type DecimalMarks } from './decimal.js';
import type { AmountSpec, ListSpec, PurchaseMap } from './map-types.js';
import { readInstant } from './time.js';

/** What a row came to before it is sent. `column` is where the mistake stands, if it stands in one. */
export type Mapped<Value> =
  | { readonly kind: 'row'; readonly value: Value }
  | { readonly kind: 'skipped'; readonly because: string }
  | { readonly kind: 'rejected'; readonly column?: string; readonly reason: string };

export type JsonObject = Readonly<Record<string, unknown>>;

/** A cell that cannot be used. */
class CellError extends Error {
  constructor(
    readonly column: string | undefined,
    message: string,
  ) {
    super(message);
  }
}

const firstColumn = (text: TextOf): string | undefined => text.columns[0];

const amountReader = (spec: AmountSpec, columns: Columns, marks: DecimalMarks) => {
  const factors = spec.factors.map((factor) =>
    'column' in factor ? { name: factor.column, index: columns.index(factor.column) } : factor,
  );
  const decimalOf = (factor: (typeof factors)[number], cells: Cells): Decimal => {
    if (!('name' in factor)) return factor;
    const cell = cells[factor.index] ?? '';
    const value = parseDecimal(cell, marks);
    if (value === undefined) throw new CellError(factor.name, `"${cell.slice(0, 60)}" is not a decimal number`);
    return value;
  };
  const column = factors.flatMap((factor) => ('name' in factor ? [factor.name] : [])).join(', ');
  return (cells: Cells, currency: string, exponent: number): number => {
    const product = factors.map((factor) => decimalOf(factor, cells)).reduce(multiply);
    const minor = toMinorUnits(product, spec.unit === 'minor' ? 0 : exponent, spec.round);
    if (minor === undefined)
      throw new CellError(
        column,
        `${formatDecimal(product)} has more decimals than ${currency} has (${exponent}); say "round: half-up" in the map if they are to be rounded`,
      );
    if (minor > BigInt(Number.MAX_SAFE_INTEGER) || minor < -BigInt(Number.MAX_SAFE_INTEGER))
      throw new CellError(column, `${formatDecimal(product)} is too large an amount`);
    return Number(minor);
  };
};

const listReader = (spec: ListSpec | null, columns: Columns): ((cells: Cells) => string[]) => {
  if (spec === null) return () => [];
  const items = spec.items.map((item) => columns.text(item));
  const { separator } = spec;
  return (cells) =>
    items
      .flatMap((item) => (separator === null ? [item.of(cells)] : item.of(cells).split(separator)))
      .map((part) => part.trim())
      .filter((part) => part !== '');
};

const optionalText = (template: PurchaseMap['sku'], columns: Columns): ((cells: Cells) => string) =>
  template === null ? () => '' : columns.text(template).of;

const present = (fields: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(fields).filter(
      ([, value]) => value !== '' && value !== undefined && !(Array.isArray(value) && value.length === 0),
    ),
  );

const needed = (text: TextOf, cells: Cells, what: string): string => {
  const value = text.of(cells);
  if (value === '') throw new CellError(firstColumn(text), `the ${what} is blank`);
  return value;
};

const memberReader = (map: PurchaseMap, columns: Columns): ((cells: Cells) => string | null) => {
  if (map.member === null) return () => null;
  const text = columns.text(map.member);
  const indexes = text.columns.map((name) => columns.index(name));
  const anonymous = new Set(map.anonymous.map((value) => value.trim()));
  return (cells) => {
    if (indexes.some((index) => anonymous.has((cells[index] ?? '').trim()))) return null;
    const value = text.of(cells);
    if (value !== '') return value;
    throw new CellError(
      firstColumn(text),
      'the member is blank; say "anonymous: [\'\']" in the map if that means that nobody is known',
    );
  };
};

const quantityReader = (
  map: PurchaseMap,
  columns: Columns,
): ((cells: Cells, isReturn: boolean) => string | undefined) => {
  const name = map.quantity;
  if (name === null) return () => undefined;
  const index = columns.index(name);
  return (cells, isReturn) => {
    const cell = cells[index] ?? '';
    const value = parseDecimal(cell, map.numbers);
    if (value === undefined) throw new CellError(name, `"${cell.slice(0, 60)}" is not a decimal number`);
    if (isReturn) return formatDecimal({ ...value, unscaled: value.unscaled < 0n ? -value.unscaled : value.unscaled });
    if (value.unscaled < 0n)
      throw new CellError(name, `the quantity ${formatDecimal(value)} is negative: a return is no purchase`);
    return formatDecimal(value);
  };
};

const attributesReader = (map: PurchaseMap, columns: Columns): ((cells: Cells) => JsonObject) => {
  const attributes = [...map.attributes].map(([name, spec]) => ({ name, of: columns.text(spec).of }));
  return (cells) => {
    const found = present(Object.fromEntries(attributes.map(({ name, of }): [string, string] => [name, of(cells)])));
    return Object.keys(found).length === 0 ? {} : { attributes: found };
  };
};

/** What a line says of the goods. */
const goodsReader = (map: PurchaseMap, columns: Columns): ((cells: Cells) => JsonObject) => {
  const quantity = quantityReader(map, columns);
  const [sku, brand] = [map.sku, map.brand].map((spec) => optionalText(spec, columns));
  const categories = listReader(map.categories, columns);
  return (cells) =>
    present({
      sku: sku?.(cells),
      categories: categories(cells),
      brand: brand?.(cells),
      quantity: quantity(cells, false),
    });
};

const RETURN = 'commerce.purchase.returned';
const PURCHASE = 'commerce.purchase.completed';

/** The data of an event that a row is, and its type. */
export type MappedEvent = { readonly type: typeof RETURN | typeof PURCHASE; readonly data: JsonObject };

/** Turns rows into returns: of a purchase of one line, as this import makes them, or of one that the file does not name. */
const returnReader = (map: PurchaseMap, columns: Columns) => {
  if (map.returns === null) return null;
  const [returnId, purchaseId] = [map.returns.returnId, map.returns.purchaseId].map((spec) =>
    spec === null ? null : columns.text(spec),
  );
  const quantity = quantityReader(map, columns);
  const is = columns.conditions([{ when: map.returns.when, because: RETURN }], map.numbers);
  return {
    is: (cells: Cells): boolean => is(cells) !== undefined,
    read: (cells: Cells, identity: string, total: number, currency: string): Record<string, unknown> => {
      const amount = Math.abs(total);
      const of = purchaseId?.of(cells) ?? '';
      const line = { lineId: '1', amount, ...present({ quantity: quantity(cells, true) }) };
      return {
        returnId: returnId ? needed(returnId, cells, 'return id') : identity,
        ...(of === '' ? { amount, currency } : { purchaseId: of, lines: [line] }),
      };
    },
  };
};

/** Turns rows into the data of purchases, and of returns where the map says which rows are. `identity` stands for the purchase id of a row that has none of its own. */
export const purchaseMapper = (map: PurchaseMap, columns: Columns) => {
  const skip = columns.conditions(map.skip, map.numbers);
  const reject = columns.conditions(map.reject, map.numbers);
  const purchaseId = map.purchaseId === null ? null : columns.text(map.purchaseId);
  const member = memberReader(map, columns);
  const occurredAt = columns.text(map.occurredAt.text);
  const currencyText = columns.text(map.currency);
  const amount = amountReader(map.amount, columns, map.numbers);
  const tax = map.tax === null ? null : amountReader(map.tax, columns, map.numbers);
  const goods = goodsReader(map, columns);
  const [kind, channel, store] = [map.kind, map.channel, map.store].map((spec) => optionalText(spec, columns));
  const coupons = listReader(map.coupons, columns);

  const instant = (cells: Cells): string => {
    const read = readInstant(needed(occurredAt, cells, 'date'), map.occurredAt);
    if ('error' in read) throw new CellError(firstColumn(occurredAt), read.error);
    return read.instant;
  };
  const returned = returnReader(map, columns);
  const attributesOf = attributesReader(map, columns);
  const read = (cells: Cells, identity: string): MappedEvent => {
    const currency = needed(currencyText, cells, 'currency').toUpperCase();
    const exponent = currencyExponent(currency);
    if (exponent === undefined)
      throw new CellError(firstColumn(currencyText), `"${currency.slice(0, 20)}" is not a currency of ISO 4217`);
    const total = amount(cells, currency, exponent);
    const extra = attributesOf(cells);
    if (returned?.is(cells) === true) {
      const who = { member: member(cells), occurredAt: instant(cells) };
      return { type: RETURN, data: { ...returned.read(cells, identity, total, currency), ...who, ...extra } };
    }
    const data = {
      purchaseId: purchaseId === null ? identity : needed(purchaseId, cells, 'purchase id'),
      member: member(cells),
      occurredAt: instant(cells),
      currency,
      lines: [
        {
          lineId: '1',
          ...goods(cells),
          amount: total,
          ...present({ tax: tax?.(cells, currency, exponent), kind: kind?.(cells) }),
        },
      ],
      total,
      ...present({ channel: channel?.(cells), store: store?.(cells), coupons: coupons(cells) }),
      ...extra,
    };
    return { type: PURCHASE, data };
  };

  return (cells: Cells, identity: string): Mapped<MappedEvent> => {
    const skipped = skip(cells);
    if (skipped !== undefined) return { kind: 'skipped', because: skipped };
    const refused = reject(cells);
    if (refused !== undefined) return { kind: 'rejected', reason: refused };
    try {
      return { kind: 'row', value: read(cells, identity) };
    } catch (error) {
      if (!(error instanceof CellError)) throw error;
      return {
        kind: 'rejected',
        ...(error.column === undefined ? {} : { column: error.column }),
        reason: error.message,
      };
    }
  };
};
