import { describe, expect, it } from '@jest/globals';
import { copyCell, copyLine, copyStatement } from './copy.js';

describe('the text form of COPY', () => {
  it.each([
    ['plain', 'plain'],
    ['a\tb', 'a\\tb'],
    ['a\nb', 'a\\nb'],
    ['a\r\nb', 'a\\r\\nb'],
    ['\\N', '\\\\N'],
    ['\\.', '\\\\.'],
    ['', ''],
    [null, '\\N'],
    [12, '12'],
    [9_007_199_254_740_993n, '9007199254740993'],
    [true, 't'],
    [false, 'f'],
    [Buffer.from([0, 255, 92]), '\\\\x00ff5c'],
  ])('writes %j as %j', (cell, expected) => {
    expect(copyCell(cell)).toBe(expected);
  });

  it('separates cells by tabs and ends the line', () => {
    expect(copyLine(['a', null, 1])).toBe('a\t\\N\t1\n');
  });

  it('quotes names', () => {
    expect(copyStatement('points.claims', ['kind', 'source'])).toBe(
      'copy "points"."claims" ("kind", "source") from stdin',
    );
  });
});
