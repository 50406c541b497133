import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { CopyCell, CopyColumns } from './unit-of-work.js';

/** Rows are handed to the socket in pieces of about this many characters, so that a big page is not one big string. */
const CHUNK_CHARACTERS = 1 << 20;

const SPECIAL = /[\\\t\n\r]/;
const SPECIALS = /[\\\t\n\r]/g;
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

const escapeText = (text: string): string =>
  SPECIAL.test(text) ? text.replace(SPECIALS, (character) => ESCAPES[character] ?? character) : text;

/** One cell in the text format of `COPY … FROM STDIN`. */
export const copyCell = (cell: CopyCell): string => {
  if (typeof cell === 'string') return escapeText(cell);
  if (cell === null) return '\\N';
  if (typeof cell === 'boolean') return cell ? 't' : 'f';
  // A bytea in hex form begins with a backslash, which COPY wants doubled.
  if (Buffer.isBuffer(cell)) return `\\\\x${cell.toString('hex')}`;
  return String(cell);
};

/** One row in the text format of `COPY … FROM STDIN`, with its line end. */
export const copyLine = (row: readonly CopyCell[]): string => {
  let line = '';
  for (let i = 0; i < row.length; i++) line += i === 0 ? copyCell(row[i] ?? null) : `\t${copyCell(row[i] ?? null)}`;
  return `${line}\n`;
};

/** `copy "schema"."table" ("a", "b") from stdin`. */
export const copyStatement = (table: string, columns: CopyColumns): string =>
  `copy ${quoteName(table)} (${columns.map((column) => pg.escapeIdentifier(column)).join(', ')}) from stdin`;

/** Quotes a name that may carry its schema: `points.claims` → `"points"."claims"`. */
export const quoteName = (name: string): string =>
  name
    .split('.')
    .map((part) => pg.escapeIdentifier(part))
    .join('.');

/**
 * Runs a COPY statement and feeds it the rows. `statement` may carry further statements behind a semicolon, which then run in the
 * same round trip (a commit, say). Resolves when the server has answered that all of it is done.
 * @throws the server's error, after which a surrounding transaction has failed; the connection's error where it broke.
 */
export const copyRows = (
  client: pg.ClientBase,
  statement: string,
  rows: readonly (readonly CopyCell[])[],
): Promise<void> =>
  new Promise((resolve, reject) => {
    const stream = client.query(copyFrom(statement));
    stream.on('finish', resolve).on('error', reject);
    let chunk = '';
    for (const row of rows) {
      chunk += copyLine(row);
      if (chunk.length >= CHUNK_CHARACTERS) {
        stream.write(chunk);
        chunk = '';
      }
    }
    stream.end(chunk);
  });
