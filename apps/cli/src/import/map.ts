import { UsageError } from '../command.js';
import { OPERATORS, type CellTest } from './conditions.js';
import { parseDecimal, type Decimal } from './decimal.js';
import { ENCODINGS } from './lines.js';
import type { FileFormat } from './source-file.js';
import type {
  AmountSpec,
  Condition,
  FileSpec,
  ListSpec,
  MemberMap,
  PurchaseMap,
  ReturnSpec,
  TimeSpec,
} from './map-types.js';
import { parseTemplate, type Template } from './template.js';
import { parseTimeFormat } from './time.js';
import { describe, YamlReader, type Path } from './yaml-reader.js';

const FILE_KEYS = ['format', 'encoding', 'delimiter', 'numbers', 'skip', 'reject'] as const;
export const PURCHASE_KEYS = [
  'source',
  'purchaseId',
  'member',
  'anonymous',
  'occurredAt',
  'currency',
  'amount',
  'tax',
  'quantity',
  'kind',
  'sku',
  'brand',
  'categories',
  'coupons',
  'channel',
  'store',
  'attributes',
  'returns',
] as const;
export const MEMBER_KEYS = ['source', 'externalId', 'enrolledAt', 'card'] as const;

const ZERO: Decimal = { unscaled: 0n, scale: 0 };

const template = (yaml: YamlReader, path: Path): Template | null => {
  if (!yaml.has(path)) return null;
  const value = yaml.value(path);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    yaml.keys(path, ['column']);
    const column = yaml.text([...path, 'column']);
    return column === undefined ? null : [{ column }];
  }
  const source = yaml.text(path);
  if (source === undefined) return null;
  const parsed = parseTemplate(source);
  if ('error' in parsed) {
    yaml.complain(path, parsed.error);
    return null;
  }
  return parsed;
};

const required = <Value>(yaml: YamlReader, path: Path, value: Value | null, fallback: Value): Value => {
  if (value === null && !yaml.has(path)) yaml.complain(path, `${describe(path)} is missing: say which column it is`);
  return value ?? fallback;
};

const isZone = (zone: string): boolean => {
  try {
    Temporal.Now.zonedDateTimeISO(zone);
    return true;
  } catch {
    return false;
  }
};

const UNREAD_TIME: TimeSpec = { text: [], format: { kind: 'iso' }, zone: 'UTC', calendar: 'gregory', at: '00:00' };

const time = (yaml: YamlReader, path: Path): TimeSpec | null => {
  if (!yaml.has(path)) return null;
  const value = yaml.value(path);
  if (typeof value === 'string') return { ...UNREAD_TIME, text: [{ column: value }] };
  yaml.keys(path, ['column', 'text', 'format', 'zone', 'calendar', 'at']);
  const column = yaml.has([...path, 'column']) ? yaml.text([...path, 'column']) : undefined;
  const text = column === undefined ? template(yaml, [...path, 'text']) : [{ column }];
  if (text === null) yaml.complain(path, `${describe(path)} needs "column" (or "text" with columns in braces)`);
  const formatPath = [...path, 'format'];
  const format = parseTimeFormat(yaml.has(formatPath) ? (yaml.text(formatPath) ?? 'iso') : 'iso');
  if ('error' in format) yaml.complain(formatPath, format.error);
  const zonePath = [...path, 'zone'];
  const zone = yaml.has(zonePath) ? (yaml.text(zonePath) ?? 'UTC') : 'UTC';
  if (!isZone(zone)) yaml.complain(zonePath, `"${zone}" is no IANA time zone such as Europe/London or Asia/Tehran`);
  const atPath = [...path, 'at'];
  const at = yaml.has(atPath) ? yaml.value(atPath) : '00:00';
  if (typeof at !== 'string' || !/^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$/.test(at))
    yaml.complain(atPath, `${describe(atPath)} must be a time of day in quotes, such as "12:00"`);
  return {
    text: text ?? [],
    format: 'error' in format ? UNREAD_TIME.format : format,
    zone,
    calendar: yaml.choice([...path, 'calendar'], ['gregory', 'persian', 'islamic-umalqura'], 'gregory'),
    at: typeof at === 'string' ? at : '00:00',
  };
};

const factor = (yaml: YamlReader, path: Path): { column: string } | Decimal => {
  const value = yaml.value(path);
  if (typeof value === 'string') return { column: value };
  const constant = typeof value === 'number' ? parseDecimal(String(value)) : undefined;
  if (constant === undefined) yaml.complain(path, 'a factor is the name of a column or a number');
  return constant ?? ZERO;
};

const amount = (yaml: YamlReader, path: Path): AmountSpec | null => {
  if (!yaml.has(path)) return null;
  const value = yaml.value(path);
  if (typeof value === 'string') return { factors: [{ column: value }], round: 'exact', unit: 'major' };
  yaml.keys(path, ['column', 'multiply', 'round', 'unit']);
  const single = yaml.has([...path, 'column']) ? [[...path, 'column']] : [];
  const paths = [...single, ...yaml.list([...path, 'multiply'])];
  if (paths.length === 0) yaml.complain(path, `${describe(path)} needs "column" or "multiply: [column, column]"`);
  return {
    factors: paths.map((at) => factor(yaml, at)),
    round: yaml.choice([...path, 'round'], ['exact', 'half-up', 'floor', 'ceil'], 'exact'),
    unit: yaml.choice([...path, 'unit'], ['major', 'minor'], 'major'),
  };
};

const templates = (yaml: YamlReader, path: Path): Template[] =>
  yaml.list(path).flatMap((at) => {
    const item = template(yaml, at);
    return item === null ? [] : [item];
  });

const list = (yaml: YamlReader, path: Path): ListSpec | null => {
  if (!yaml.has(path)) return null;
  const value = yaml.value(path);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    yaml.keys(path, ['column', 'separator']);
    const column = yaml.text([...path, 'column']);
    const separator = yaml.has([...path, 'separator']) ? yaml.text([...path, 'separator']) : undefined;
    return { items: column === undefined ? [] : [[{ column }]], separator: separator ?? null };
  }
  return { items: templates(yaml, path), separator: null };
};

const limit = (yaml: YamlReader, path: Path): Decimal => {
  const value = yaml.value(path);
  const number = parseDecimal(String(value));
  if (number === undefined) yaml.complain(path, `${describe(path)} must be a number`);
  return number ?? ZERO;
};

const cellTest = (yaml: YamlReader, path: Path): CellTest => {
  const value = yaml.value(path);
  if (typeof value !== 'object' || value === null) return { equals: yaml.text(path) ?? '' };
  if (Array.isArray(value)) return { in: value.map(String) };
  const test: { -readonly [Key in keyof CellTest]: CellTest[Key] } = {};
  for (const key of yaml.keys(path, OPERATORS)) {
    const at = [...path, key];
    if (key === 'equals' || key === 'startsWith' || key === 'endsWith' || key === 'contains')
      test[key] = yaml.text(at) ?? '';
    else if (key === 'in') test.in = yaml.list(at).map((item) => yaml.text(item) ?? '');
    else if (key === 'below' || key === 'above') test[key] = limit(yaml, at);
    else if (key === 'not') test.not = cellTest(yaml, at);
    else if (typeof yaml.value(at) === 'boolean') test.blank = yaml.value(at) === true;
    else yaml.complain(at, `${describe(at)} must be true or false`);
  }
  return test;
};

/** The test of each column under `when`; nothing, and a complaint, where there is none. */
const tests = (yaml: YamlReader, path: Path): Condition['when'] | undefined => {
  const whenPath = [...path, 'when'];
  const when = yaml.value(whenPath);
  if (typeof when === 'object' && when !== null && !Array.isArray(when))
    return new Map(Object.keys(when).map((column) => [column, cellTest(yaml, [...whenPath, column])]));
  yaml.complain(path, `${describe(path)} needs "when: { column: test }"`);
  return undefined;
};

const returns = (yaml: YamlReader): ReturnSpec | null => {
  const path = ['returns'];
  if (!yaml.has(path)) return null;
  yaml.keys(path, ['when', 'returnId', 'purchaseId']);
  return {
    when: tests(yaml, path) ?? new Map(),
    returnId: template(yaml, [...path, 'returnId']),
    purchaseId: template(yaml, [...path, 'purchaseId']),
  };
};

const condition = (yaml: YamlReader, path: Path): Condition => {
  yaml.keys(path, ['when', 'because']);
  const when = tests(yaml, path);
  if (when === undefined) return { when: new Map(), because: '' };
  const because = yaml.has([...path, 'because']) ? (yaml.text([...path, 'because']) ?? '') : '';
  if (because === '') yaml.complain(path, `${describe(path)} needs "because": the reason that is shown for such rows`);
  return { when, because };
};

const file = (yaml: YamlReader): FileSpec => {
  const numbers = yaml.has(['numbers']) ? yaml.keys(['numbers'], ['point', 'group']) : [];
  const delimiter = yaml.has(['delimiter']) ? yaml.text(['delimiter']) : undefined;
  if (delimiter !== undefined && (delimiter.length !== 1 || delimiter === '"'))
    yaml.complain(['delimiter'], 'the delimiter is one character; a tab is written "\\t"');
  return {
    format: yaml.has(['format']) ? yaml.choice<FileFormat>(['format'], ['csv', 'ndjson'], 'csv') : null,
    encoding: yaml.choice(['encoding'], ENCODINGS, 'utf-8'),
    delimiter: delimiter ?? null,
    numbers: {
      point: numbers.includes('point') ? (yaml.text(['numbers', 'point']) ?? '.') : '.',
      group: numbers.includes('group') ? (yaml.text(['numbers', 'group']) ?? '') : '',
    },
    skip: yaml.list(['skip']).map((path) => condition(yaml, path)),
    reject: yaml.list(['reject']).map((path) => condition(yaml, path)),
  };
};

const finish = <Map>(yaml: YamlReader, name: string, map: Map): Map => {
  if (yaml.problems.length === 0) return map;
  const inOrder = yaml.problems.toSorted((one, other) => one.line - other.line || one.column - other.column);
  const places = inOrder.map(({ line, column, message }) => `  ${name}:${line}:${column}: ${message}`);
  throw new UsageError(`The map cannot be used:\n${places.join('\n')}\n`);
};

/** Reads the map of a file of purchases. @throws UsageError that lists every mistake with its line and column. */
export const parsePurchaseMap = (source: string, name: string): PurchaseMap => {
  const yaml = new YamlReader(source);
  yaml.keys([], [...FILE_KEYS, ...PURCHASE_KEYS]);
  const attributes = yaml.has(['attributes']) ? yaml.value(['attributes']) : {};
  const names = typeof attributes === 'object' && attributes !== null ? Object.keys(attributes) : [];
  return finish(yaml, name, {
    ...file(yaml),
    source: yaml.has(['source']) ? (yaml.text(['source']) ?? null) : null,
    purchaseId: template(yaml, ['purchaseId']),
    member: template(yaml, ['member']),
    anonymous: yaml.list(['anonymous']).map((path) => yaml.text(path) ?? ''),
    occurredAt: required(yaml, ['occurredAt'], time(yaml, ['occurredAt']), UNREAD_TIME),
    currency: required(yaml, ['currency'], template(yaml, ['currency']), []),
    amount: required(yaml, ['amount'], amount(yaml, ['amount']), { factors: [], round: 'exact', unit: 'major' }),
    tax: amount(yaml, ['tax']),
    quantity: yaml.has(['quantity']) ? (yaml.text(['quantity']) ?? null) : null,
    kind: template(yaml, ['kind']),
    sku: template(yaml, ['sku']),
    brand: template(yaml, ['brand']),
    categories: list(yaml, ['categories']),
    coupons: list(yaml, ['coupons']),
    channel: template(yaml, ['channel']),
    store: template(yaml, ['store']),
    attributes: new Map(names.map((key) => [key, template(yaml, ['attributes', key]) ?? []])),
    returns: returns(yaml),
  });
};

/** Reads the map of a file of members. @throws UsageError that lists every mistake with its line and column. */
export const parseMemberMap = (source: string, name: string): MemberMap => {
  const yaml = new YamlReader(source);
  yaml.keys([], [...FILE_KEYS, ...MEMBER_KEYS]);
  return finish(yaml, name, {
    ...file(yaml),
    source: yaml.has(['source']) ? (yaml.text(['source']) ?? null) : null,
    externalId: required(yaml, ['externalId'], template(yaml, ['externalId']), []),
    enrolledAt: time(yaml, ['enrolledAt']),
    card: template(yaml, ['card']),
  });
};
