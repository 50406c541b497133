import type { Line } from './lines.js';

/** A record of a CSV file with the line it begins on, or what is wrong with it. */
export type CsvRecord =
  | { readonly line: number; readonly cells: readonly string[] }
  | { readonly line: number; readonly error: string; readonly text: string };

/** A quoted cell may run over several lines; beyond this many, the quote was never meant to be open. */
export const RECORD_LINES_MAX = 100;

const QUOTE = '"';

type Parsed = readonly string[] | 'open' | { readonly error: string };

/** Splits one record (RFC 4180). `open` says that a quoted cell goes on beyond the text. */
export const parseRecord = (text: string, delimiter: string): Parsed => {
  if (!text.includes(QUOTE)) return text.split(delimiter);
  const cells: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] !== QUOTE) {
      const end = text.indexOf(delimiter, at);
      const cell = end === -1 ? text.slice(at) : text.slice(at, end);
      // A quote amid a bare cell is how people write inches; it is read as it stands.
      cells.push(cell);
      if (end === -1) return cells;
      at = end + 1;
      continue;
    }
    const quoted = readQuoted(text, at + 1);
    if (quoted === undefined) return 'open';
    cells.push(quoted.cell);
    if (quoted.end === text.length) return cells;
    if (text[quoted.end] !== delimiter)
      return {
        error: `character ${quoted.end + 1}: after a closing quote comes "${delimiter}" or the end of the line`,
      };
    at = quoted.end + 1;
  }
};

/** Reads from behind an opening quote to the closing one; a doubled quote stands for one. */
const readQuoted = (text: string, from: number): { cell: string; end: number } | undefined => {
  let cell = '';
  let start = from;
  for (;;) {
    const quote = text.indexOf(QUOTE, start);
    if (quote === -1) return undefined;
    cell += text.slice(start, quote);
    if (text[quote + 1] !== QUOTE) return { cell, end: quote + 1 };
    cell += QUOTE;
    start = quote + 2;
  }
};

/**
 * Puts lines together to records. A quote that is never closed costs its own line only: the lines swallowed after it are
 * read again as records of their own, so that one stray mark does not eat the rest of the file.
 */
export class CsvReader {
  private open: Line[] = [];

  constructor(private readonly delimiter: string) {}

  push(line: Line): CsvRecord[] {
    const first = this.open[0];
    if (line.error !== undefined) {
      const broken: CsvRecord = { line: line.number, error: line.error, text: '' };
      return first === undefined ? [broken] : [...this.giveUp(), ...this.end(), broken];
    }
    if (first === undefined && line.text.trim() === '') return [];
    this.open.push(line);
    const parsed = parseRecord(
      this.open.length === 1 ? line.text : this.open.map((part) => part.text).join('\n'),
      this.delimiter,
    );
    if (parsed === 'open') return this.open.length >= RECORD_LINES_MAX ? this.giveUp() : [];
    const begin = first ?? line;
    const text = this.open.map((part) => part.text).join('\n');
    this.open = [];
    return 'error' in parsed
      ? [{ line: begin.number, error: parsed.error, text }]
      : [{ line: begin.number, cells: parsed }];
  }

  /** What is left at the end of the file. */
  end(): CsvRecord[] {
    const records: CsvRecord[] = [];
    while (this.open.length > 0) records.push(...this.giveUp());
    return records;
  }

  private giveUp(): CsvRecord[] {
    const [first, ...rest] = this.open;
    this.open = [];
    if (first === undefined) return [];
    const column = first.text.indexOf(QUOTE) + 1;
    const error = `character ${column}: a quote is opened and never closed`;
    return [{ line: first.number, error, text: first.text }, ...rest.flatMap((line) => this.push(line))];
  }
}

const DELIMITERS = [',', ';', '\t', '|'] as const;

/** The delimiter that a header line most likely uses. */
export const guessDelimiter = (header: string): string => {
  const counts = DELIMITERS.map((delimiter) => ({ delimiter, cells: header.split(delimiter).length }));
  return counts.reduce((best, next) => (next.cells > best.cells ? next : best)).delimiter;
};
