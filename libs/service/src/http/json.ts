import { findFault } from './json-fault.js';
import { PROBLEMS, ProblemException } from './problems.js';

/** How deep arrays and objects may nest: far more than any contract has, far less than a stack holds. */
export const JSON_DEPTH_MAX = 64;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Parses a body strictly: UTF-8, one JSON value, nested at most `JSON_DEPTH_MAX` deep, no key `__proto__`.
 * @throws ProblemException 400 that says where.
 */
export const parseJson = (bytes: Buffer): unknown => {
  const text = decodeUtf8(bytes);
  if (isTooDeep(bytes)) {
    throw new ProblemException(PROBLEMS['malformed-json'], {
      detail: `The body nests arrays and objects deeper than ${JSON_DEPTH_MAX}.`,
    });
  }
  const value = parseText(text);
  if (MAY_HOLD_PROTO.test(text)) refuseProto(value, '');
  return value;
};

const decodeUtf8 = (bytes: Buffer): string => {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new ProblemException(PROBLEMS['malformed-json'], { detail: 'The body is not valid UTF-8.' });
  }
};

const parseText = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // The engine's own message quotes the body and does not always say where.
    throw malformedAt(text, findFault(text));
  }
};

const malformedAt = (text: string, { at, expected }: { at: number; expected: string }): ProblemException => {
  const lines = text.slice(0, at).split('\n');
  const column = (lines.at(-1)?.length ?? 0) + 1;
  return new ProblemException(PROBLEMS['malformed-json'], {
    detail: `The body should have ${expected} at line ${lines.length}, column ${column}.`,
    extensions: { position: at, line: lines.length, column },
  });
};

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

const isTooDeep = (bytes: Buffer): boolean => {
  let depth = 0;
  let inText = false;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index];
    if (inText) {
      if (byte === BACKSLASH) index++;
      else if (byte === QUOTE) inText = false;
    } else if (byte === QUOTE) inText = true;
    // [ and {, ] and } differ by one bit from each other.
    else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > JSON_DEPTH_MAX) return true;
    } else if (byte === 0x5d || byte === 0x7d) depth--;
  }
  return false;
};

// Spelt out or with escapes: only then is the value searched.
const MAY_HOLD_PROTO = /__proto__|\\u00(?:5f|7[0-4]|6f)/i;

const refuseProto = (value: unknown, pointer: string): void => {
  if (value === null || typeof value !== 'object') return;
  if (Object.hasOwn(value, '__proto__')) {
    throw new ProblemException(PROBLEMS['malformed-json'], {
      detail: 'The body has a key that is never taken.',
      errors: [{ pointer: `${pointer}/__proto__`, detail: 'must not be there' }],
    });
  }
  for (const [key, item] of Object.entries(value)) refuseProto(item, `${pointer}/${escapePointer(key)}`);
};

/** A key as it stands in a JSON Pointer (RFC 6901). */
export const escapePointer = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');
