import { describe, expect, it } from '@jest/globals';
import { Readable } from 'node:stream';

import { LINE_BYTES_MAX, readLines, type Line } from './lines.js';

const linesOf = async (
  chunks: readonly (string | Buffer)[],
  encoding: 'utf-8' | 'windows-1256' = 'utf-8',
): Promise<Line[]> => {
  const lines: Line[] = [];
  for await (const page of readLines(Readable.from(chunks.map((chunk) => Buffer.from(chunk))), encoding))
    lines.push(...page);
  return lines;
};

describe('lines', () => {
  it('are the same however the bytes arrive', async () => {
    const text = Buffer.from('\uFEFFسلام,1\r\nb,2\n\nlast');
    const whole = await linesOf([text]);
    expect(whole).toEqual([
      { number: 1, text: 'سلام,1' },
      { number: 2, text: 'b,2' },
      { number: 3, text: '' },
      { number: 4, text: 'last' },
    ]);
    const bytes = Array.from({ length: text.length }, (_, at) => text.subarray(at, at + 1));
    expect(await linesOf(bytes)).toEqual(whole);
  });

  it('do not end with an empty one after the last line end', async () => {
    expect(await linesOf(['a\nb\n'])).toEqual([
      { number: 1, text: 'a' },
      { number: 2, text: 'b' },
    ]);
  });

  it('that are no text spoil only themselves', async () => {
    const lines = await linesOf([
      Buffer.concat([Buffer.from('a\n'), Buffer.from([0xff, 0xfe, 0x0a]), Buffer.from('c\n')]),
    ]);
    expect(lines).toEqual([
      { number: 1, text: 'a' },
      { number: 2, text: '', error: 'the line is not valid utf-8 text' },
      { number: 3, text: 'c' },
    ]);
  });

  it('are read in the encoding of the file', async () => {
    expect(await linesOf([Buffer.from([0xd3, 0xe1, 0xc7, 0xe3, 0x0a])], 'windows-1256')).toEqual([
      { number: 1, text: 'سلام' },
    ]);
  });

  it('beyond the limit are passed over in steady memory', async () => {
    const piece = 'x'.repeat(LINE_BYTES_MAX / 2);
    const lines = await linesOf(['a\n', piece, piece, piece, 'y\nb\n', 'c']);
    expect(lines.map(({ number, text, error }) => [number, error === undefined ? text : 'error'])).toEqual([
      [1, 'a'],
      [2, 'error'],
      [3, 'b'],
      [4, 'c'],
    ]);
    expect((await linesOf([piece, piece, piece])).map(({ error }) => error)).toEqual([
      `the line is longer than ${LINE_BYTES_MAX} bytes`,
    ]);
  });
});
