import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeCursor, encodeCursor } from './cursor.js';
import { idempotencyKey, preferredLanguage, preferredWaitMs, requiredIdempotencyKey } from './headers.js';
import { findFault } from './json-fault.js';
import { parseJson } from './json.js';
import { PROBLEMS, ProblemException, defineProblems, problemBody } from './problems.js';

describe('headers', () => {
  it('reads an idempotency key with or without quotes', () => {
    expect(idempotencyKey({ 'idempotency-key': '"abc-1"' })).toBe('abc-1');
    expect(idempotencyKey({ 'idempotency-key': ' abc-1 ' })).toBe('abc-1');
    expect(idempotencyKey({})).toBeNull();
  });

  it.each(['', '""', 'a b', 'é', 'x'.repeat(256)])('refuses the idempotency key "%s"', (key) => {
    expect(() => idempotencyKey({ 'idempotency-key': key })).toThrow(ProblemException);
    expect(() => requiredIdempotencyKey({})).toThrow(/Idempotency-Key/);
  });

  it.each([
    ['wait=5', 5_000],
    ['respond-async, wait=10', 10_000],
    ['wait="7"; foo', 7_000],
    ['wait=9999', 30_000],
    ['wait=-1', 0],
    ['wait=1.5', 0],
    ['await=5', 0],
    ['', 0],
  ])('would wait as "%s" says', (header, ms) => {
    expect(preferredWaitMs({ prefer: header }, 30_000)).toBe(ms);
  });

  it.each([
    [undefined, 'en'],
    ['*', 'en'],
    ['fa', 'fa'],
    ['FA-ir', 'fa'],
    ['de-DE, ar;q=0.8, en;q=0.9', 'en'],
    ['fr', 'en'],
    ['fa;q=0, ar;q=0.1', 'ar'],
    ['fa;q=x', 'en'],
  ])('speaks as "%s" asks', (header, language) => {
    expect(preferredLanguage(header)).toBe(language);
  });
});

describe('cursors', () => {
  const parse = (place: unknown): number | undefined => (typeof place === 'number' ? place : undefined);

  it('come back as they were', () => {
    fc.assert(fc.property(fc.integer(), (place) => decodeCursor(encodeCursor(place), parse) === place));
  });

  it.each(['', 'x', encodeCursor('text'), `${encodeCursor(5)}=`, `${encodeCursor(5)}A`, 'x'.repeat(2_000)])(
    'are refused where they are not ours: %s',
    (cursor) => {
      expect(() => decodeCursor(cursor, parse)).toThrow(ProblemException);
    },
  );
});

describe('JSON', () => {
  // The generator makes such keys by itself now and then: it tries what is dangerous as a name.
  it('is parsed as JSON.parse does, and refused where a key is __proto__ at any depth', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const parsed: unknown = JSON.parse(text);
        const parse = (): unknown => parseJson(Buffer.from(text));
        if (holdsProto(parsed)) expect(parse).toThrow(ProblemException);
        else expect(parse()).toEqual(parsed);
      }),
      { examples: [['{"__proto__":[]}'], ['[{"a":{"__proto__":1}}]'], ['{"\\u005F_proto__":{}}'], ['"__proto__"']] },
    );
  });

  it('has its first fault found where it is cut off', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), (text, cut) => {
        const part = text.slice(0, cut % text.length);
        fc.pre(part.trim() !== '' && !isJson(part));
        expect(findFault(part).at).toBeLessThanOrEqual(part.length);
      }),
    );
  });

  it.each([
    ['', 0, 'a value'],
    ['{"a":1,}', 7, 'a key in double quotes'],
    ['{"a" 1}', 5, 'a colon'],
    ['[1 2]', 3, 'a comma or ]'],
    ['{"a":1 "b":2}', 7, 'a comma or }'],
    ['"abc', 4, 'the rest of a text and its closing quote'],
    ['"a\nb"', 2, 'the rest of a text and its closing quote'],
    ['1 2', 2, 'its end'],
    ['01', 1, 'its end'],
    ['[NaN]', 1, 'a value'],
  ])('says of %j what is wrong', (text, at, expected) => {
    expect(isJson(text)).toBe(false);
    expect(findFault(text)).toEqual({ at, expected });
  });

  it('stops where a text nests deeper than a stack may hold', () => {
    expect(findFault('['.repeat(1_000_000))).toEqual({ at: 1_000, expected: 'less nesting' });
  });

  it('may be as deep as the limit, and no deeper, brackets in texts aside', () => {
    const nested = (depth: number): Buffer => Buffer.from('['.repeat(depth) + ']'.repeat(depth));
    expect(() => parseJson(nested(64))).not.toThrow();
    expect(() => parseJson(nested(65))).toThrow(/deeper than 64/);
    expect(parseJson(Buffer.from(JSON.stringify('"[{\\'.repeat(100))))).toBe('"[{\\'.repeat(100));
  });
});

const holdsProto = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (Object.hasOwn(value, '__proto__') || Object.values(value).some(holdsProto));

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

describe('problems', () => {
  it('have a title in every language, and a code of their own', () => {
    for (const kind of Object.values(PROBLEMS)) {
      expect(kind.status).toBeGreaterThanOrEqual(400);
      expect(Object.values(kind.title).every((title) => title.length > 3)).toBe(true);
    }
  });

  it('are answered with the members of RFC 9457 and their own', () => {
    const own = defineProblems({
      'insufficient-points': { status: 409, title: { en: 'Not enough points', fa: 'امتیاز کافی نیست', ar: 'لا نقاط' } },
    });
    const problem = new ProblemException(own['insufficient-points'], { extensions: { requested: 11 } });
    expect(JSON.parse(problemBody(problem, 'en'))).toEqual({
      type: '/problems/insufficient-points',
      title: 'Not enough points',
      status: 409,
      requested: 11,
    });
  });
});
