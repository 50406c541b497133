import { describe, expect, it } from '@jest/globals';
import type { TimeSpec } from './map-types.js';
import { parseTimeFormat, readInstant } from './time.js';

const spec = (format: string, more: Partial<TimeSpec> = {}): TimeSpec => {
  const parsed = parseTimeFormat(format);
  if ('error' in parsed) throw new Error(parsed.error);
  return { text: [], format: parsed, zone: 'UTC', calendar: 'gregory', at: '00:00', ...more };
};

describe('times', () => {
  it.each([
    ['2021-01-01', spec('iso', { at: '12:00' }), '2021-01-01T12:00:00Z'],
    ['2021-01-01', spec('iso', { zone: 'America/New_York', at: '12:00' }), '2021-01-01T17:00:00Z'],
    ['2010-12-01T08:26:00', spec('iso', { zone: 'Europe/London' }), '2010-12-01T08:26:00Z'],
    ['2011-06-01 08:26:00', spec('iso', { zone: 'Europe/London' }), '2011-06-01T07:26:00Z'],
    ['2021-01-01T10:00:00+03:30', spec('iso', { zone: 'Europe/London' }), '2021-01-01T06:30:00Z'],
    ['31/12/2020 23:59', spec('dd/MM/yyyy HH:mm'), '2020-12-31T23:59:00Z'],
    ['1/2/2020', spec('M/d/yyyy'), '2020-01-02T00:00:00Z'],
    ['20201231', spec('yyyyMMdd'), '2020-12-31T00:00:00Z'],
    ['1609459200', spec('epoch-seconds'), '2021-01-01T00:00:00Z'],
    ['1609459200123', spec('epoch-milliseconds'), '2021-01-01T00:00:00.123Z'],
    [
      '۱۴۰۵/۰۱/۰۱ ۱۰:۳۰',
      spec('yyyy/MM/dd HH:mm', { calendar: 'persian', zone: 'Asia/Tehran' }),
      '2026-03-21T07:00:00Z',
    ],
  ])('reads %s', (cell, how, instant) => {
    expect(readInstant(cell, how)).toEqual({ instant });
  });

  it.each([
    ['2021-02-30', spec('iso')],
    ['yesterday', spec('iso')],
    ['', spec('iso')],
    ['30/02/2021', spec('dd/MM/yyyy')],
    ['2021-01-01', spec('dd/MM/yyyy')],
    ['01/01/2021 25:00', spec('dd/MM/yyyy HH:mm')],
    ['12.5', spec('epoch-seconds')],
  ])('refuses %j and says what is expected', (cell, how) => {
    expect(readInstant(cell, how)).toEqual({ error: expect.stringMatching(/^".*" is not (an?|a number)/) });
  });

  it('names the part of a pattern that is none', () => {
    expect(parseTimeFormat('dd-MMM-yyyy')).toEqual({ error: expect.stringContaining('"MMM"') });
    expect(parseTimeFormat('HH:mm')).toEqual({ error: expect.stringContaining('needs a year') });
  });
});
