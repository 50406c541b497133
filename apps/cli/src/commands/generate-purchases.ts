import { once } from 'node:events';

import { text, UsageError, wholeNumber, type Command, type CommandInput, type ExitCode } from '../command.js';
import { generatedPurchases, type GeneratedPurchase, type GeneratorOptions } from '../generate/purchases.js';

const FORMATS = ['ndjson', 'csv'] as const;
type Format = (typeof FORMATS)[number];

const COUNT_MAX = 1_000_000_000;
const SEED_MAX = 2 ** 32 - 1;
const CHUNK_BYTES = 64 * 1024;
const DAYS = 365;
const DAYS_MAX = 36_500;
const SOURCE = '/generated';
const HEADER = 'purchaseId,member,occurredAt,currency,amount,quantity,sku,categories,store\n';
const EXPONENT = 100;

const writers: Readonly<Record<Format, (purchase: GeneratedPurchase) => string>> = {
  csv: ({ purchaseId, member, occurredAt, currency, amount, quantity, sku, category, store }) =>
    `${[purchaseId, member, occurredAt, currency, (amount / EXPONENT).toFixed(2), quantity, sku, category, store].join(',')}\n`,
  ndjson: ({ purchaseId, member, occurredAt, currency, amount, quantity, sku, category, store }) =>
    `${JSON.stringify({
      specversion: '1.0',
      id: purchaseId,
      source: SOURCE,
      type: 'commerce.purchase.completed',
      time: occurredAt,
      data: {
        purchaseId,
        member,
        occurredAt,
        currency,
        lines: [{ lineId: '1', sku, categories: [category], quantity: String(quantity), amount }],
        total: amount,
        store,
      },
    })}\n`,
};

const optionsOf = ({ options }: CommandInput): GeneratorOptions => {
  const days = wholeNumber(options, 'days', { min: 1, max: DAYS_MAX, fallback: DAYS });
  const given = text(options, 'from') ?? '2025-01-01T00:00:00Z';
  try {
    return {
      members: wholeNumber(options, 'members', { min: 1, max: COUNT_MAX, fallback: 1_000 }),
      purchases: wholeNumber(options, 'purchases', { min: 0, max: COUNT_MAX, fallback: 10_000 }),
      seed: wholeNumber(options, 'seed', { min: 0, max: SEED_MAX, fallback: 1 }),
      currency: 'EUR',
      from: Temporal.Instant.from(given.includes('T') ? given : `${given}T00:00:00Z`),
      days,
    };
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`--from takes a date such as 2025-01-01, not "${given}".`);
    throw error;
  }
};

const run = async (input: CommandInput): Promise<ExitCode> => {
  const { stdout, signal } = input.surroundings;
  const wanted = text(input.options, 'format') ?? 'ndjson';
  const format = FORMATS.find((name) => name === wanted);
  if (format === undefined) throw new UsageError(`--format is ndjson or csv, not "${wanted}".`);
  const write = writers[format];
  let chunk = format === 'csv' ? HEADER : '';
  for (const purchase of generatedPurchases(optionsOf(input))) {
    chunk += write(purchase);
    if (chunk.length < CHUNK_BYTES) continue;
    if (signal.aborted) return 1;
    // Whoever reads the output sets the pace.
    if (!stdout.write(chunk)) await once(stdout, 'drain');
    chunk = '';
  }
  stdout.write(chunk);
  return 0;
};

export const generatePurchases: Command = {
  name: 'generate purchases',
  summary:
    'Writes made-up purchases to standard output, for trying things out: the same seed gives the same purchases.',
  options: {
    members: { type: 'string', value: 'N', description: 'How many members buy; 1,000 by default.' },
    purchases: { type: 'string', value: 'N', description: 'How many purchases; 10,000 by default.' },
    seed: { type: 'string', value: 'N', description: 'The seed; 1 by default.' },
    format: {
      type: 'string',
      value: 'FORMAT',
      description: 'ndjson (CloudEvents) or csv (needs no map); ndjson by default.',
    },
    from: { type: 'string', value: 'DATE', description: 'The day of the first purchase; 2025-01-01 by default.' },
    days: { type: 'string', value: 'N', description: `Over how many days; ${DAYS} by default.` },
  },
  notes: [
    '  vafa generate purchases --members 1000 --purchases 20000 > purchases.ndjson',
    '  vafa import purchases purchases.ndjson --enrol',
  ],
  positionals: { min: 0, max: 0 },
  run,
};
