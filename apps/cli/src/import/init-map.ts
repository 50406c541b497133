import { latinDigits, parseDecimal } from './decimal.js';
import { parseRecord } from './csv.js';

/** A look at the beginning of a file: its columns and some rows. */
export type Sample = { readonly columns: readonly string[]; readonly rows: readonly (readonly string[])[] };

const SAMPLE_ROWS_MAX = 200;

/** The first rows of a CSV file, as far as the text given reaches; its last line may be cut off and is left out. */
export const sampleCsv = (head: string, delimiter: string, columns: readonly string[]): Sample => {
  const lines = head.split(/\r?\n/).slice(1, -1).slice(0, SAMPLE_ROWS_MAX);
  const rows = lines
    .map((line) => parseRecord(line, delimiter))
    .filter((cells): cells is readonly string[] => Array.isArray(cells) && cells.length === columns.length);
  return { columns, rows };
};

type Role =
  | 'member'
  | 'date'
  | 'amount'
  | 'quantity'
  | 'price'
  | 'currency'
  | 'id'
  | 'sku'
  | 'category'
  | 'brand'
  | 'store'
  | 'channel'
  | 'coupon'
  | 'tax';

/** Words that shops use for a column, in the order of how sure they are. */
const WORDS: Readonly<Record<Role, RegExp>> = {
  member: /customer|client|member|loyalty|card.?(no|num|id)|user|buyer|kunde|مشتری|عضو|عميل|زبون/i,
  date: /date|time|\bat$|datum|occurred|تاریخ|زمان|تاريخ/i,
  price: /price|unit.?cost|preis|قیمت|سعر/i,
  amount: /amount|total|\bsum\b|\bpaid\b|revenue|value|betrag|umsatz|مبلغ|جمع|المبلغ|إجمالي/i,
  quantity: /quantity|qty|\bcount\b|\bunits\b|menge|تعداد|الكمية/i,
  currency: /currency|\bccy\b|währung|ارز|عملة/i,
  id: /(invoice|receipt|order|purchase|transaction|bill|ticket|document)|رسید|فاکتور|فاتورة/i,
  sku: /sku|article|product.?(id|code)|stock.?code|item.?(id|code)|\bean\b|\bgtin\b|کالا/i,
  category: /categor|department|group|گروه|دسته|فئة/i,
  brand: /brand|marke|برند|ماركة/i,
  store: /store|shop|branch|filiale|outlet|شعبه|فرع/i,
  channel: /channel|kanal|کانال|قناة/i,
  coupon: /coupon|promo|voucher|کوپن|قسيمة/i,
  tax: /\b(tax|vat|mwst)\b|مالیات|ضريبة/i,
};

/** `unit_price` and `unitPrice` as words of their own, so that `mean` is no `ean`. */
const words = (column: string): string => column.replace(/([a-z])([A-Z])/g, '$1 $2').replaceAll(/[_.-]+/g, ' ');

const find = (sample: Sample, role: Role, taken: Set<string>): string | undefined => {
  const name = sample.columns.find((column) => !taken.has(column) && WORDS[role].test(words(column)));
  if (name !== undefined) taken.add(name);
  return name;
};

const cellsOf = ({ columns, rows }: Sample, name: string): string[] => {
  const index = columns.indexOf(name);
  return rows.map((row) => (row[index] ?? '').trim()).filter((cell) => cell !== '');
};

const DATE_FORMATS: readonly (readonly [RegExp, string])[] = [
  [/^\d{4}-\d{2}-\d{2}/, 'iso'],
  [/^\d{4}\/\d{2}\/\d{2} \d{2}:\d{2}:\d{2}$/, 'yyyy/MM/dd HH:mm:ss'],
  [/^\d{4}\/\d{2}\/\d{2} \d{2}:\d{2}$/, 'yyyy/MM/dd HH:mm'],
  [/^\d{4}\/\d{1,2}\/\d{1,2}$/, 'yyyy/M/d'],
  [/^\d{1,2}\.\d{1,2}\.\d{4} \d{2}:\d{2}$/, 'd.M.yyyy HH:mm'],
  [/^\d{1,2}\.\d{1,2}\.\d{4}$/, 'd.M.yyyy'],
  [/^\d{8}$/, 'yyyyMMdd'],
  [/^\d{10}$/, 'epoch-seconds'],
  [/^\d{13}$/, 'epoch-milliseconds'],
];

/** Day and month of `3/4/2026` cannot be told apart by one row; a day beyond 12 anywhere tells. */
const slashFormat = (cells: readonly string[]): { format: string; sure: boolean } => {
  const time = cells.some((cell) => /\d \d{1,2}:\d{2}:\d{2}$/.test(cell))
    ? ' H:mm:ss'
    : cells.some((cell) => cell.includes(':'))
      ? ' H:mm'
      : '';
  const parts = cells.map((cell) => cell.split('/').map((part) => Number.parseInt(part, 10)));
  if (parts.some(([first]) => (first ?? 0) > 12)) return { format: `d/M/yyyy${time}`, sure: true };
  if (parts.some(([, second]) => (second ?? 0) > 12)) return { format: `M/d/yyyy${time}`, sure: true };
  return { format: `d/M/yyyy${time}`, sure: false };
};

const dateLines = (sample: Sample, column: string): string[] => {
  const cells = cellsOf(sample, column).map(latinDigits);
  const first = cells[0] ?? '';
  const persian = /^1[34]\d{2}\D/.test(first);
  const slash = /^\d{1,2}\/\d{1,2}\/\d{4}/.test(first) ? slashFormat(cells) : undefined;
  const format = slash?.format ?? DATE_FORMATS.find(([pattern]) => pattern.test(first))?.[1] ?? 'iso';
  const unsure = slash?.sure === false ? '   # or M/d/yyyy: the first rows do not tell' : '';
  return [
    '# format: iso, epoch-seconds, epoch-milliseconds, or a pattern of yyyy MM dd HH mm ss (M, d, H without a leading zero).',
    '# zone: where the shop is; used for values without an offset. at: the time of day for a date alone.',
    'occurredAt:',
    `  column: ${yaml(column)}`,
    `  format: ${yaml(persian && format === 'iso' ? 'yyyy-MM-dd' : format)}${unsure}`,
    `  zone: ${persian ? 'Asia/Tehran' : 'UTC'}`,
    ...(persian ? ['  calendar: persian'] : []),
    ...(cells.some((cell) => cell.includes(':')) ? [] : ["  at: '12:00'"]),
  ];
};

/** A plain scalar where YAML reads it back as the same text, a quoted one otherwise. */
const yaml = (text: string): string =>
  /^[A-Za-z_][\w.\- /:+]*$/.test(text) && !/[:#] |: *$|^(true|false|null|yes|no|on|off|y|n)$/i.test(text)
    ? text
    : `'${text.replaceAll("'", "''")}'`;

const placeholder = (column: string): string => yaml(`{${column}}`);

const currencyIn = (name: string | undefined): string | undefined =>
  /(?:^|[_\s(])(usd|eur|gbp|irr|aed|try|sar|chf|jpy|inr)(?:$|[_\s)])/i.exec(name ?? '')?.[1]?.toUpperCase();

const hasDecimals = (sample: Sample, column: string, beyond: number): boolean =>
  cellsOf(sample, column).some((cell) => (parseDecimal(cell)?.scale ?? 0) > beyond);

type Guesses = Readonly<Partial<Record<Role, string>>>;

const guess = (sample: Sample): Guesses => {
  const taken = new Set<string>();
  const order: Role[] = [
    'currency',
    'tax',
    'date',
    'sku',
    'id',
    'member',
    'price',
    'amount',
    'quantity',
    'category',
    'brand',
    'store',
    'channel',
    'coupon',
  ];
  return Object.fromEntries(
    order.flatMap((role) => {
      const column = find(sample, role, taken);
      return column === undefined ? [] : [[role, column]];
    }),
  );
};

const amountLines = (sample: Sample, found: Guesses): string[] => {
  const intro =
    '# A decimal number in whole units (11.77); unit: minor for cents. round: exact refuses more decimals than the currency has; half-up rounds.';
  if (found.amount !== undefined)
    return [
      intro,
      'amount:',
      `  column: ${yaml(found.amount)}`,
      `  round: ${hasDecimals(sample, found.amount, 2) ? 'half-up' : 'exact'}`,
    ];
  if (found.price !== undefined && found.quantity !== undefined)
    return [intro, 'amount:', `  multiply: [${yaml(found.quantity)}, ${yaml(found.price)}]`, '  round: half-up'];
  return [intro, `amount: ${yaml(found.price ?? 'WHICH COLUMN?')}   # no column looks like an amount`];
};

const memberLines = (sample: Sample, found: Guesses): string[] => {
  const note =
    '# Who bought: external:{your own customer id}, card:{card number} or member:{member id}. Cells listed under anonymous mean nobody.';
  if (found.member === undefined)
    return [note, "# member: 'external:{customer_id}'   # no column looks like a customer"];
  const index = sample.columns.indexOf(found.member);
  const odd = [...new Set(sample.rows.map((row) => (row[index] ?? '').trim()))].filter((cell) =>
    /^\(?(blank|null|none|n\/a|unknown|-)\)?$/i.test(cell),
  );
  return [
    note,
    `member: ${yaml(`external:{${found.member}}`)}`,
    `anonymous: [${['', ...odd].map((cell) => `'${cell}'`).join(', ')}]`,
  ];
};

const optionalLines = (found: Guesses): string[] => [
  ...(found.quantity === undefined ? [] : [`quantity: ${yaml(found.quantity)}`]),
  ...(found.tax === undefined ? [] : [`tax: ${yaml(found.tax)}`]),
  ...(found.sku === undefined ? [] : [`sku: ${placeholder(found.sku)}`]),
  ...(found.category === undefined ? [] : [`categories: [${placeholder(found.category)}]`]),
  ...(found.brand === undefined ? [] : [`brand: ${placeholder(found.brand)}`]),
  ...(found.store === undefined ? [] : [`store: ${placeholder(found.store)}`]),
  ...(found.channel === undefined ? [] : [`channel: ${placeholder(found.channel)}`]),
  ...(found.coupon === undefined ? [] : [`coupons: [${placeholder(found.coupon)}]`]),
];

/** Drafts the map of a file of purchases: what can be guessed is filled in, and comments say what to check. */
export const draftPurchaseMap = (fileName: string, sample: Sample): string => {
  const found = guess(sample);
  const used = new Set(Object.values(found));
  const rest = sample.columns.filter((column) => !used.has(column));
  const currency = found.currency === undefined ? (currencyIn(found.amount ?? found.price) ?? 'EUR') : undefined;
  return `${[
    `# How the columns of ${fileName} make purchases. Drafted from its header: check every line, then try it with --dry-run.`,
    '# Texts may contain columns in braces, such as external:{customer_id}; everything else is taken as it stands.',
    '',
    '# With the purchase id this makes a purchase unique for ever. Choose it once and keep it.',
    'source: /import/history',
    '',
    ...(found.id === undefined
      ? [
          '# Without an id of its own a row is known by the SHA-256 of the file and its line.',
          "# purchaseId: '{receipt_number}'",
        ]
      : ['# Must be unique within the source.', `purchaseId: ${placeholder(found.id)}`]),
    '',
    ...memberLines(sample, found),
    '',
    ...(found.date === undefined
      ? ['occurredAt: WHICH COLUMN?   # no column looks like a date']
      : dateLines(sample, found.date)),
    '',
    '# ISO 4217. IRR has no decimals here: write amounts in Toman as multiply: [column, 10].',
    currency === undefined ? `currency: ${placeholder(found.currency ?? '')}` : `currency: ${currency}`,
    ...amountLines(sample, found),
    ...optionalLines(found),
    ...(rest.length === 0
      ? []
      : [
          '',
          '# Columns not used; attributes keeps those that your programme declares.',
          '# attributes:',
          ...rest.map((column) => `#   ${yaml(column)}: ${placeholder(column)}`),
        ]),
    '',
    '# Rows to leave out, or to put into the file of rejected rows. Tests: equals, in, startsWith, endsWith, contains, blank, below, above, not.',
    '# skip:',
    `#   - when: { ${yaml(sample.columns[0] ?? 'column')}: { startsWith: TEST } }`,
    '#     because: a test purchase',
  ].join('\n')}\n`;
};

/** Drafts the map of a file of members. */
export const draftMemberMap = (fileName: string, sample: Sample): string => {
  const taken = new Set<string>();
  const date = find(sample, 'date', taken);
  const member =
    find(sample, 'member', taken) ??
    sample.columns.find((column) => /id$/i.test(column)) ??
    sample.columns[0] ??
    'customer_id';
  const joined =
    date === undefined
      ? ['# enrolledAt: { column: joined, format: iso, zone: UTC }']
      : dateLines(sample, date).map((line) => line.replace('occurredAt:', 'enrolledAt:'));
  return `${[
    `# How the columns of ${fileName} make members. Drafted from its header: check every line, then try it with --dry-run.`,
    '',
    '# Your own id of the customer, opaque to the club: no phone number, no e-mail address.',
    `externalId: ${placeholder(member)}`,
    '',
    ...joined,
    '',
    '# card: issue   # gives each member a card number',
  ].join('\n')}\n`;
};
