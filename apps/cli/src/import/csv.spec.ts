import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { CsvReader, guessDelimiter, parseRecord, RECORD_LINES_MAX, type CsvRecord } from './csv.js';

const read = (text: string, delimiter = ','): CsvRecord[] => {
  const reader = new CsvReader(delimiter);
  const lines = text.split('\n').map((line, index) => ({ number: index + 1, text: line }));
  return [...lines.flatMap((line) => reader.push(line)), ...reader.end()];
};

describe('a CSV file', () => {
  it('has cells with delimiters, quotes and line ends in quotes', () => {
    expect(read('a,"b,""c""",d\n"two\nlines",x,\n\nlast,"",y')).toEqual([
      { line: 1, cells: ['a', 'b,"c"', 'd'] },
      { line: 2, cells: ['two\nlines', 'x', ''] },
      { line: 5, cells: ['last', '', 'y'] },
    ]);
  });

  it('takes a quote amid a bare cell as it stands', () => {
    expect(read('5" screw,1')).toEqual([{ line: 1, cells: ['5" screw', '1'] }]);
  });

  it('says where something follows a closing quote', () => {
    expect(read('x,"a"b,c\nd,e,f')).toEqual([
      { line: 1, error: 'character 6: after a closing quote comes "," or the end of the line', text: 'x,"a"b,c' },
      { line: 2, cells: ['d', 'e', 'f'] },
    ]);
  });

  it('loses one line, not the rest of the file, to a quote that is never closed', () => {
    const rest = Array.from({ length: 3 * RECORD_LINES_MAX }, (_, index) => `r${index},1`);
    const records = read(['a,"b', ...rest].join('\n'));
    expect(records).toHaveLength(rest.length + 1);
    expect(records[0]).toMatchObject({ line: 1, error: 'character 3: a quote is opened and never closed' });
    expect(records.slice(1)).toEqual(rest.map((_, index) => ({ line: index + 2, cells: [`r${index}`, '1'] })));
  });

  it('ends an open quote at the end of the file and at a line that cannot be read', () => {
    expect(read('a,"b\nc,d')).toMatchObject([
      { line: 1, error: expect.stringContaining('never closed') },
      { line: 2, cells: ['c', 'd'] },
    ]);
    const reader = new CsvReader(',');
    const records = [
      { number: 1, text: 'a,"b' },
      { number: 2, text: '', error: 'no text' },
      { number: 3, text: 'c,d' },
    ].flatMap((line) => reader.push(line));
    expect(records.map(({ line }) => line)).toEqual([1, 2, 3]);
  });

  it('reads back whatever is written by its rules', () => {
    const cell = fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', ' ', 'ن', '1') });
    fc.assert(
      fc.property(fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 8 }), (rows) => {
        const text = rows.map((row) => row.map((value) => `"${value.replaceAll('"', '""')}"`).join(',')).join('\n');
        expect(read(text).map((record) => 'cells' in record && record.cells)).toEqual(rows);
      }),
    );
  });

  it('tells its delimiter by the header', () => {
    expect(guessDelimiter('a;b;c')).toBe(';');
    expect(guessDelimiter('a\tb,c\td')).toBe('\t');
    expect(guessDelimiter('alone')).toBe(',');
    expect(parseRecord('a|b', '|')).toEqual(['a', 'b']);
  });
});
