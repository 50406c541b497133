import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';

import {
  flag,
  line,
  text,
  UsageError,
  wholeNumber,
  type CommandInput,
  type ExitCode,
  type OptionSpec,
  type Surroundings,
} from '../command.js';
import { Api } from '../installation/api.js';
import { credentials } from '../installation/credentials.js';
import { apiAddress, dataFolder } from '../installation/run-file.js';
import { formatNumber, formatSeconds, startProgress } from '../io/progress.js';
import { checkpointPath, emptyCheckpoint, loadCheckpoint, removeCheckpoint } from './checkpoint.js';
import { isClean, noCounts, type Counts } from './counts.js';
import { lockImport } from './import-lock.js';
import type { PreparedFile } from './prepared.js';
import { RejectsFile } from './rejects-file.js';
import { dryRun, ImportRun, interrupted, type ImportPlan, type ImportResult } from './run.js';
import type { Rejection } from './segments.js';
import { guessFormat, openSource, type SourceFile } from './source-file.js';
import { sampleCsv, type Sample } from './init-map.js';
import { readMapFile, writeMapFile } from './map-file.js';
import { headText, readHeader } from './rows.js';

const PATIENCE_SECONDS = 120;
const PATIENCE_SECONDS_MAX = 86_400;
const LANES = 8;
const LANES_MAX = 20;
/** Rejected rows that a dry run shows; the file has them all. */
const SHOWN_MAX = 5;

/** The options that both imports have. */
export const IMPORT_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  map: { type: 'string', value: 'FILE', description: 'YAML that says which column is what.' },
  'init-map': {
    type: 'boolean',
    description:
      'Drafts such a map from the header, with comments: to standard output, or to the --map file if there is none yet.',
  },
  'dry-run': { type: 'boolean', description: 'Checks every row, counts, and sends nothing. Nothing needs to run.' },
  rejected: {
    type: 'string',
    value: 'FILE',
    description: 'Where rows that did not get in are written; FILE.rejected.ndjson by default.',
  },
  restart: {
    type: 'boolean',
    description: 'Sends everything again instead of going on where an interrupted import stopped.',
  },
  parallel: {
    type: 'string',
    value: 'N',
    description: `Requests under way at once, 1 to ${LANES_MAX}; ${LANES} by default.`,
  },
  patience: {
    type: 'string',
    value: 'SECONDS',
    description: `How long to try while the service does not answer; ${PATIENCE_SECONDS} by default.`,
  },
  json: { type: 'boolean', description: 'Ends with one line of JSON on standard output: the counts.' },
};

/** The paragraphs of help that both imports have. */
export const IMPORT_NOTES: readonly string[] = [
  'FILE is CSV with a header, or NDJSON, plain or gzip (its content tells, not its name); "-" is standard input. Text is UTF-8 unless the map says otherwise.',
  'Interrupted, by Ctrl-C or a crash, the same command goes on where it stopped. Importing a file twice, or a copy of it under another name, changes nothing.',
  'Exit code: 0 when every row is accounted for and none was rejected, refused, in conflict or quarantined; 1 otherwise; 2 for wrong usage, also a map that does not fit the file.',
];

export type ImportKind = {
  /** What the rows are called in counts. */
  readonly unit: string;
  readonly rowsPerBatch: number;
  /** The options that change what is sent, so that an interrupted import goes on only where it is the same. */
  readonly identity: readonly (string | boolean | null)[];
  readonly summary: (counts: Counts) => string[];
  readonly note: (counts: Counts) => string;
  readonly handlers: (api: Api, signal: AbortSignal, patienceMs: number) => Pick<ImportPlan, 'prepare' | 'send'>;
};

const rejectedPath = (input: CommandInput, file: string): string => {
  const { cwd } = input.surroundings;
  const given = text(input.options, 'rejected');
  if (given !== undefined) return resolve(cwd, given);
  return file === '-' ? join(cwd, 'stdin.rejected.ndjson') : `${resolve(cwd, file)}.rejected.ndjson`;
};

/** The API with the patience of an import. */
const openApi = (surroundings: Surroundings, patienceMs: number, say: (message: string) => void): Api =>
  new Api({
    address: () => apiAddress(surroundings),
    credentials: credentials(surroundings, 'service'),
    patienceMs,
    onTrouble: say,
    signal: surroundings.signal,
  });

const whyRejected = (counts: Counts, path: string): string[] => {
  const parts = (['rejected', 'refused', 'conflict', 'quarantined'] as const)
    .filter((status) => counts[status] > 0)
    .map((status) => `${formatNumber(counts[status])} ${status}`);
  return parts.length === 0 ? [] : [`  ${parts.join(', ')}: see ${path}`];
};

const skippedLines = (counts: Counts): string[] =>
  Object.entries(counts.skippedBecause).map(([because, count]) => `  ${formatNumber(count)} left out: ${because}`);

const report = (input: CommandInput, kind: ImportKind, file: SourceFile, path: string, result: ImportResult): void => {
  const { stdout } = input.surroundings;
  const { counts, seconds } = result;
  if (flag(input.options, 'json')) {
    const rejected = result.rejected > 0 ? path : null;
    line(
      stdout,
      JSON.stringify({ file: file.name, ...counts, seconds: Math.round(seconds * 10) / 10, rejectedFile: rejected }),
    );
    return;
  }
  const rate = seconds > 0 ? ` (${formatNumber(Math.round(counts.rows / seconds))}/s)` : '';
  line(stdout, `${file.name}: ${formatNumber(counts.rows)} rows in ${formatSeconds(seconds)}${rate}`);
  for (const part of [...kind.summary(counts), ...skippedLines(counts), ...whyRejected(counts, path)])
    line(stdout, part);
};

const runDry = async (
  input: CommandInput,
  kind: ImportKind,
  file: SourceFile,
  prepared: PreparedFile,
): Promise<ExitCode> => {
  const { stdout, stderr, signal } = input.surroundings;
  const path = rejectedPath(input, input.positionals[0] ?? '-');
  const rejects = new RejectsFile(path, 0);
  const progress = startProgress(stderr, { total: file.lines - prepared.headerLines, done: 0, unit: 'rows' });
  const counts = noCounts();
  const first: Rejection[] = [];
  const sendable = await dryRun(prepared, counts, progress, signal, async (rejections) => {
    first.push(...rejections.slice(0, SHOWN_MAX - first.length));
    await rejects.append(rejections);
  }).finally(async () => {
    progress.stop();
    await rejects.close();
  });
  if (flag(input.options, 'json')) {
    const rejectedFile = counts.rejected > 0 ? path : null;
    line(stdout, JSON.stringify({ file: file.name, dryRun: true, sendable, ...counts, rejectedFile }));
    return counts.rejected === 0 ? 0 : 1;
  }
  line(stdout, `${file.name}: ${formatNumber(counts.rows)} rows checked, nothing sent`);
  line(stdout, `  ${formatNumber(sendable)} ${kind.unit} could be sent`);
  for (const part of [...skippedLines(counts), ...whyRejected(counts, path)]) line(stdout, part);
  for (const { line: at, column, reason } of first)
    line(stdout, `    line ${at}${column === undefined ? '' : `, ${column}`}: ${reason}`);
  return counts.rejected === 0 ? 0 : 1;
};

/** Sends a prepared file, or only checks it, and reports what became of the rows. */
export const runImport = async (
  input: CommandInput,
  kind: ImportKind,
  file: SourceFile,
  prepared: PreparedFile,
): Promise<ExitCode> => {
  const { options, surroundings } = input;
  const lanes = wholeNumber(options, 'parallel', { min: 1, max: LANES_MAX, fallback: LANES });
  const limits = { min: 1, max: PATIENCE_SECONDS_MAX, fallback: PATIENCE_SECONDS };
  const patienceMs = wholeNumber(options, 'patience', limits) * 1_000;
  if (flag(options, 'dry-run')) return runDry(input, kind, file, prepared);

  await apiAddress(surroundings);
  const identity = createHash('sha256')
    .update(JSON.stringify([kind.unit, file.sha256, ...kind.identity]))
    .digest('hex');
  const path = checkpointPath(dataFolder(surroundings), identity);
  const unlock = await lockImport(path);
  try {
    return await send(input, kind, file, prepared, { path, lanes, patienceMs });
  } finally {
    await unlock();
  }
};

type SendOptions = { readonly path: string; readonly lanes: number; readonly patienceMs: number };

const send = async (
  input: CommandInput,
  kind: ImportKind,
  file: SourceFile,
  prepared: PreparedFile,
  { path, lanes, patienceMs }: SendOptions,
): Promise<ExitCode> => {
  const { options, surroundings } = input;
  const { stderr, signal } = surroundings;
  const rejected = rejectedPath(input, input.positionals[0] ?? '-');
  const checkpoint = flag(options, 'restart') ? emptyCheckpoint() : await loadCheckpoint(path);
  if (checkpoint.line > 0)
    line(stderr, `Going on after line ${formatNumber(checkpoint.line)}, where this import stopped.`);
  const total = file.lines - prepared.headerLines;
  const progress = startProgress(stderr, { total, done: checkpoint.counts.rows, unit: 'rows' });
  const api = openApi(surroundings, patienceMs, (message) => progress.say(message));
  const run = new ImportRun({
    file: prepared,
    rowsPerBatch: kind.rowsPerBatch,
    lanes,
    checkpoint,
    checkpointPath: path,
    rejectedPath: rejected,
    ...kind.handlers(api, signal, patienceMs),
    progress,
    note: kind.note,
    signal,
  });
  const stopping = (): void => progress.say('Stopping once what is under way is answered; Ctrl-C again stops at once.');
  signal.addEventListener('abort', stopping);
  try {
    const result = await run.run();
    await removeCheckpoint(path);
    progress.stop();
    report(input, kind, file, rejected, result);
    return isClean(result.counts) ? 0 : 1;
  } catch (error) {
    progress.stop();
    if (signal.aborted) throw interrupted(run.confirmedLine);
    line(stderr, `Confirmed up to line ${formatNumber(run.confirmedLine)}; the same command goes on from there.`);
    throw error;
  } finally {
    signal.removeEventListener('abort', stopping);
  }
};

export type MapText = { readonly name: string; readonly source: string };

const initMap = async (
  input: CommandInput,
  file: SourceFile,
  draft: (fileName: string, sample: Sample) => string,
): Promise<ExitCode> => {
  if (guessFormat(file.head) === 'ndjson')
    throw new UsageError('NDJSON explains itself; a map is drafted for CSV only.');
  const layout = readHeader(file, 'utf-8', null);
  const drafted = draft(file.name, sampleCsv(headText(file.head, 'utf-8'), layout.delimiter, layout.columns));
  const { stdout, cwd } = input.surroundings;
  const name = text(input.options, 'map');
  if (name === undefined) {
    stdout.write(drafted);
    return 0;
  }
  await writeMapFile(resolve(cwd, name), name, drafted);
  line(stdout, `${name} is drafted: check it, then try it with --dry-run.`);
  return 0;
};

/** Opens the file and the map of an import and hands them over, or drafts a map where that is what was asked for. */
export const withFile = async (
  input: CommandInput,
  draft: (fileName: string, sample: Sample) => string,
  work: (file: SourceFile, map: MapText | null) => Promise<ExitCode>,
): Promise<ExitCode> => {
  const { options, surroundings } = input;
  if (flag(options, 'init-map') && flag(options, 'dry-run'))
    throw new UsageError('--init-map and --dry-run do not go together.');
  const [given = '-'] = input.positionals;
  const file = await openSource(given === '-' ? given : resolve(surroundings.cwd, given), surroundings.stdin);
  try {
    if (flag(options, 'init-map')) return await initMap(input, file, draft);
    const name = text(options, 'map');
    const map = name === undefined ? null : { name, source: await readMapFile(resolve(surroundings.cwd, name), name) };
    return await work(file, map);
  } finally {
    await file.dispose();
  }
};
