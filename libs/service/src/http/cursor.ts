import { PROBLEMS, ProblemException } from './problems.js';

const CURSOR_LENGTH_MAX = 1_024;

/** A place in a list as an opaque text for URLs. */
export const encodeCursor = (place: unknown): string => Buffer.from(JSON.stringify(place)).toString('base64url');

/**
 * The place that a cursor stands for. `parse` gives undefined for what it did not write: cursors come from outside.
 * @throws ProblemException 400 for anything that `encodeCursor` did not make.
 */
export const decodeCursor = <T>(cursor: string, parse: (place: unknown) => T | undefined): T => {
  const place = decoded(cursor);
  const parsed = place === undefined || encodeCursor(place) !== cursor ? undefined : parse(place);
  if (parsed !== undefined) return parsed;
  throw new ProblemException(PROBLEMS['invalid-cursor'], {
    errors: [{ in: 'query', pointer: '/after', detail: 'must be a cursor that an earlier page gave' }],
  });
};

const decoded = (cursor: string): unknown => {
  if (cursor.length > CURSOR_LENGTH_MAX) return undefined;
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
};
