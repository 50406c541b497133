import { findFault } from '@vafa/service/json-fault';
import { Refusal, UsageError } from '../command.js';
import { CsvReader, guessDelimiter, parseRecord } from './csv.js';
import { readLines, type Encoding, type Line } from './lines.js';
import type { SourceFile } from './source-file.js';

/** A row that could not be read, with the line it begins on. */
export type UnreadableRow = { readonly line: number; readonly error: string; readonly text: string };
export type CsvRow = { readonly line: number; readonly cells: readonly string[] } | UnreadableRow;
export type JsonRow = { readonly line: number; readonly json: Readonly<Record<string, unknown>> } | UnreadableRow;

export type CsvLayout = { readonly delimiter: string; readonly columns: readonly string[] };

/** Decodes the beginning of the file for a look at it. A cut character at its end does no harm. */
export const headText = (head: Buffer, encoding: Encoding): string =>
  new TextDecoder(encoding, { ignoreBOM: false }).decode(head);

/** The first record of a CSV file: its column names and what stands between them. @throws UsageError for a header that cannot be used. */
export const readHeader = (file: SourceFile, encoding: Encoding, delimiter: string | null): CsvLayout => {
  const first = headText(file.head, encoding).split(/\r?\n/, 1)[0] ?? '';
  if (first.trim() === '')
    throw new Refusal(`${file.name}, line 1: the first line must be the header with the names of the columns.`);
  const chosen = delimiter ?? guessDelimiter(first);
  const cells = parseRecord(first, chosen);
  if (cells === 'open') throw new UsageError(`${file.name}, line 1: a quote in the header is never closed.`);
  if ('error' in cells) throw new UsageError(`${file.name}, line 1, ${cells.error}.`);
  const columns = cells.map((cell, index) => cell.trim() || `column ${index + 1}`);
  const twice = columns.find((name, index) => columns.indexOf(name) !== index);
  if (twice !== undefined) throw new UsageError(`${file.name}, line 1: the column "${twice}" stands there twice.`);
  return { delimiter: chosen, columns };
};

const shown = (text: string): string => text.slice(0, 2_000);

const plural = (count: number): string => `${count} cell${count === 1 ? '' : 's'}`;

/** The rows of a CSV file after its header. A row with too few or too many cells is wrong, not padded. */
export async function* readCsv(file: SourceFile, encoding: Encoding, layout: CsvLayout): AsyncGenerator<CsvRow[]> {
  const reader = new CsvReader(layout.delimiter);
  const width = layout.columns.length;
  const toRow = (record: ReturnType<CsvReader['push']>[number]): CsvRow => {
    if ('error' in record) return { ...record, text: shown(record.text) };
    if (record.cells.length === width) return record;
    const error = `the row has ${plural(record.cells.length)}, the header ${width}`;
    return { line: record.line, error, text: shown(record.cells.join(layout.delimiter)) };
  };
  let header = true;
  for await (const lines of readLines(file.content(), encoding)) {
    const rows: CsvRow[] = [];
    for (const line of lines) {
      if (header) header = false;
      else for (const record of reader.push(line)) rows.push(toRow(record));
    }
    if (rows.length > 0) yield rows;
  }
  const rest = reader.end().map(toRow);
  if (rest.length > 0) yield rest;
}

const parseJsonLine = (line: Line): JsonRow => {
  if (line.error !== undefined) return { line: line.number, error: line.error, text: '' };
  try {
    const value: unknown = JSON.parse(line.text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return { line: line.number, json: value as Record<string, unknown> };
    return { line: line.number, error: 'the line is JSON, but no object', text: shown(line.text) };
  } catch {
    // The engine's own message does not always say where.
    const error = `character ${findFault(line.text).at + 1}: the line is not valid JSON`;
    return { line: line.number, error, text: shown(line.text) };
  }
};

/** The rows of an NDJSON file. */
export async function* readNdjson(file: SourceFile, encoding: Encoding): AsyncGenerator<JsonRow[]> {
  for await (const lines of readLines(file.content(), encoding)) {
    const rows = lines.filter((line) => line.error !== undefined || line.text.trim() !== '').map(parseJsonLine);
    if (rows.length > 0) yield rows;
  }
}

const SAMPLE_LINES = 100;

/** The keys of the objects at the beginning of an NDJSON file: what a map may call a column. */
export const jsonColumns = (head: string): string[] => {
  const names = new Set<string>();
  for (const text of head.split('\n', SAMPLE_LINES)) {
    const row = parseJsonLine({ number: 0, text });
    if ('json' in row) for (const name of Object.keys(row.json)) names.add(name);
  }
  return [...names];
};

/** The values of an object as cells; lists are joined, and objects cannot be cells. */
export const cellsOfJson = (json: Readonly<Record<string, unknown>>, names: readonly string[]): string[] =>
  names.map((name) => {
    const value = json[name];
    if (typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    return Array.isArray(value) ? value.map(String).join(',') : '';
  });
