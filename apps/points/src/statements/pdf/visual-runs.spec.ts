import { describe, expect, it } from '@jest/globals';
import { code, visualRuns, withoutMarks } from './visual-runs.js';

/** What stands on the paper from left to right, with Arabic letters as the shaper is given them: it turns those round itself. */
const seen = (line: string, direction: 'ltr' | 'rtl'): string[] => visualRuns(line, direction).map(({ text }) => text);

describe('a line in the order in which it is seen', () => {
  it('leaves Latin text alone', () => {
    expect(seen('Page 1 of 2', 'ltr')).toEqual(['Page 1 of 2']);
  });

  it('puts a code into Persian text from left to right, and to the left of what stands before it', () => {
    expect(seen(`خرید ${code('P-1000 x')}`, 'rtl')).toEqual(['P-1000\u00a0x', ' ', 'خرید']);
  });

  it('keeps digits of both scripts in their order: the shaper would turn them', () => {
    expect(seen('۱۴۰۵', 'rtl')).toEqual(['۵۰۴۱']);
    expect(seen('مانده ۱۲', 'rtl')).toEqual(['۲۱', ' ', 'مانده']);
    expect(seen('١٢', 'rtl')).toEqual(['٢١']);
  });

  it('mirrors brackets where reading goes to the left', () => {
    expect(seen('«base»', 'rtl')).toEqual(['«', 'base', '»']);
  });

  it('has no shape for marks of direction', () => {
    expect(withoutMarks(`\u200e${code('x')}\u061c`)).toBe('x');
    expect(seen('\u200ea\u200f', 'ltr')).toEqual(['a']);
  });
});
