import { flag, line, text, type Command, type CommandInput, type ExitCode } from '../command.js';
import type { Api } from '../installation/api.js';
import { checkPeriod, closePeriod, closingText } from '../installation/periods.js';
import { formatNumber } from '../io/progress.js';
import type { Counts } from './counts.js';
import { directPurchaseMap } from './direct-map.js';
import { Enroller } from './enroller.js';
import { draftPurchaseMap } from './init-map.js';
import { parsePurchaseMap } from './map.js';
import type { PurchaseMap } from './map-types.js';
import { DEFAULT_SOURCE, prepareCsv, prepareNdjson } from './prepare-purchases.js';
import type { PreparedFile } from './prepared.js';
import { PurchaseSender } from './purchase-sender.js';
import { readHeader } from './rows.js';
import { putAside, type ImportPlan, type RowInFlight } from './run.js';
import { IMPORT_NOTES, IMPORT_OPTIONS, runImport, withFile, type MapText } from './session.js';
import { guessFormat, type SourceFile } from './source-file.js';

const ROWS_PER_BATCH = 500;

/** Counts what became of each row, and puts aside those that a person has to look at. */
const settle = (rows: readonly RowInFlight[], outcomes: Awaited<ReturnType<PurchaseSender['send']>>): void => {
  rows.forEach((row, index) => {
    const outcome = outcomes[index];
    if (outcome === undefined) throw new Error('A purchase was left without an outcome.');
    const { counts } = row.segment;
    counts[outcome.status] += 1;
    counts.points += outcome.points;
    if (outcome.points > 0) counts.withPoints += 1;
    if (outcome.status === 'taken' || outcome.status === 'waiting' || outcome.status === 'anonymous') return;
    putAside(row, outcome.status, outcome.reason ?? outcome.status, outcome.pointer);
  });
};

/** Purchases and returns go different ways, one after the other as they stand in the file. */
const runsOf = (rows: readonly RowInFlight[]): RowInFlight[][] => {
  const runs: RowInFlight[][] = [];
  for (const row of rows) {
    const run = runs.at(-1);
    if (run?.[0]?.path === row.path) run.push(row);
    else runs.push([row]);
  }
  return runs;
};

const handlers =
  (enrol: boolean) =>
  (api: Api, signal: AbortSignal, patienceMs: number): Pick<ImportPlan, 'prepare' | 'send'> => {
    const sender = new PurchaseSender(api, signal, patienceMs);
    const enroller = enrol ? new Enroller(api) : null;
    const send = async (rows: readonly RowInFlight[]): Promise<void> => {
      const [good, refused] = enroller === null ? [rows, []] : enroller.sort(rows);
      for (const { row, reason } of refused) {
        row.segment.counts.rejected += 1;
        putAside(row, 'rejected', reason, '/data/member');
      }
      for (const run of runsOf(good)) {
        const outcomes = await sender.send(
          run[0]?.path ?? '',
          run.map((row) => row.json),
          // Who has just been enrolled is known to the ledger a moment later.
          enroller === null ? () => false : (index) => run[index]?.externalId !== null,
        );
        settle(run, outcomes);
      }
    };
    return { prepare: enroller === null ? null : (rows, countEnrolled) => enroller.enrol(rows, countEnrolled), send };
  };

const summary = (counts: Counts): string[] => [
  `  ${formatNumber(counts.taken)} taken, ${formatNumber(counts.withPoints)} of them with points: ${formatNumber(counts.points)} points`,
  ...(counts.waiting > 0 ? [`  ${formatNumber(counts.waiting)} wait for their member to enrol`] : []),
  ...(counts.anonymous > 0 ? [`  ${formatNumber(counts.anonymous)} anonymous, recorded without points`] : []),
  ...(counts.membersEnrolled > 0 ? [`  ${formatNumber(counts.membersEnrolled)} members enrolled`] : []),
];

const prepare = (
  file: SourceFile,
  map: MapText | null,
  source: string | null,
): { prepared: PreparedFile; source: string } => {
  const given = map === null ? null : parsePurchaseMap(map.source, map.name);
  const format = given?.format ?? guessFormat(file.head);
  const chosen = (fallback: PurchaseMap | null): string => source ?? fallback?.source ?? DEFAULT_SOURCE;
  if (format === 'ndjson') return { prepared: prepareNdjson(file, given, chosen(given)), source: chosen(given) };
  const layout = readHeader(file, given?.encoding ?? 'utf-8', given?.delimiter ?? null);
  const used = given ?? directPurchaseMap(file.name, layout.columns);
  return { prepared: prepareCsv(file, layout, used, chosen(used)), source: chosen(used) };
};

const importFile = (input: CommandInput): Promise<ExitCode> =>
  withFile(input, draftPurchaseMap, (file, map) => {
    const enrol = flag(input.options, 'enrol');
    const { prepared, source } = prepare(file, map, text(input.options, 'source') ?? null);
    return runImport(
      input,
      {
        unit: 'purchases',
        rowsPerBatch: ROWS_PER_BATCH,
        identity: [map?.source ?? null, source, enrol],
        summary,
        note: (counts) => `${formatNumber(counts.points)} points`,
        handlers: handlers(enrol),
      },
      file,
      prepared,
    );
  });

const run = async (input: CommandInput): Promise<ExitCode> => {
  const { options, surroundings } = input;
  const close = text(options, 'close');
  // Looked at first: a slip of the pen should not come out when a long import is through.
  if (close !== undefined) checkPeriod(close);
  const code = await importFile(input);
  if (close === undefined || flag(options, 'dry-run') || flag(options, 'init-map')) return code;
  line(surroundings.stderr, closingText(close, await closePeriod(surroundings, close)));
  return code;
};

export const importPurchases: Command = {
  name: 'import purchases',
  summary: 'Brings in a history of purchases, through the same door as every other purchase.',
  usage: 'FILE',
  options: {
    ...IMPORT_OPTIONS,
    enrol: {
      type: 'boolean',
      description: 'Enrols the members that the file names by external:… on the way, as of their first purchase in it.',
    },
    close: {
      type: 'string',
      value: 'PERIOD',
      description:
        'Closes this period (2026-10, say) and every one before it once the whole file is in: what comes later for them is a correction.',
    },
    source: {
      type: 'string',
      value: 'URI',
      description: `The source of purchases that do not say one; ${DEFAULT_SOURCE} by default.`,
    },
  },
  notes: [
    ...IMPORT_NOTES,
    'A line of NDJSON is a CloudEvent commerce.purchase.completed, or its data alone. A row without a purchase id of its own is known by the SHA-256 of the uncompressed file and its line.',
  ],
  positionals: { min: 1, max: 1 },
  run,
};
