import { describe, expect, it } from '@jest/globals';
import { boolean, hex, integer, listOf, oneOf, text, url } from './config.js';
import { ConfigError, defineConfig, listSettings, readConfigs, setting, unknownSettings } from './config.js';

const config = defineConfig({
  size: setting('VAFA_SAMPLE_SIZE', integer({ min: 1, max: 10 }), { default: 3, description: 'how large' }),
  mode: setting('VAFA_SAMPLE_MODE', oneOf('fast', 'safe'), { default: null, description: 'which way' }),
  address: setting('VAFA_SAMPLE_ADDRESS', url('https'), { secret: true, description: 'where to' }),
});

const NEEDED = { VAFA_SAMPLE_ADDRESS: 'https://x.example' };

const problemsOf = (env: Record<string, string>): string[] => {
  try {
    config(env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ detail }) => detail);
  }
};

describe('configuration', () => {
  it('reads typed values and defaults into a frozen object', () => {
    const read = config({ ...NEEDED, VAFA_SAMPLE_SIZE: ' 7 ', VAFA_SAMPLE_MODE: '' });
    expect(read).toEqual({ size: 7, mode: null, address: 'https://x.example' });
    expect(Object.isFrozen(read)).toBe(true);
  });

  it('names everything that is wrong, and shows no secret', () => {
    expect(problemsOf({ VAFA_SAMPLE_SIZE: '11', VAFA_SAMPLE_MODE: 'x', VAFA_SAMPLE_ADDRESS: 'hunter2' })).toEqual([
      'VAFA_SAMPLE_SIZE must be a whole number from 1 to 10, not "11"',
      'VAFA_SAMPLE_MODE must be one of fast, safe, not "x"',
      'VAFA_SAMPLE_ADDRESS must be a URL that begins with https://',
    ]);
    expect(problemsOf({})).toEqual([
      'VAFA_SAMPLE_ADDRESS is not set: it must be a URL that begins with https:// (where to)',
    ]);
  });

  it('takes a name that is a slip away for a mistake', () => {
    expect(problemsOf({ ...NEEDED, VAFA_SAMPEL_SIZE: '4' })).toEqual([
      'VAFA_SAMPEL_SIZE is not a setting: VAFA_SAMPLE_SIZE was probably meant',
    ]);
    expect(problemsOf({ ...NEEDED, VAFA_OTHER: '4' })).toEqual([]);
  });

  it('tells of variables that nobody knows', () => {
    const env = { VAFA_SAMPLE_SISE: '1', VAFA_UNHEARD_OF_ENTIRELY: '1', HOME: '/' };
    expect(unknownSettings(env)).toEqual([
      { name: 'VAFA_SAMPLE_SISE', nearest: 'VAFA_SAMPLE_SIZE' },
      { name: 'VAFA_UNHEARD_OF_ENTIRELY', nearest: null },
    ]);
  });

  it('lists settings with what holds now, secrets hidden', () => {
    const listed = listSettings({ VAFA_SAMPLE_SIZE: '12', ...NEEDED }, config.settings);
    expect(listed).toMatchObject([
      { name: 'VAFA_SAMPLE_SIZE', default: '3', value: '12', problem: expect.stringContaining('from 1 to 10') },
      { name: 'VAFA_SAMPLE_MODE', default: null, value: null, problem: null },
      { name: 'VAFA_SAMPLE_ADDRESS', required: true, value: '••••••', problem: null },
    ]);
    expect(JSON.stringify(listed)).not.toContain('x.example');
  });

  it('reads several definitions and reports them together', () => {
    const other = defineConfig({
      flag: setting('VAFA_OTHER_FLAG', boolean(), { default: false, description: 'whether' }),
    });
    expect(readConfigs({ config, other }, NEEDED)).toMatchObject({ config: { size: 3 }, other: { flag: false } });
    expect(() => readConfigs({ config, other }, { VAFA_OTHER_FLAG: 'yes' })).toThrow(
      /VAFA_SAMPLE_ADDRESS[^]*VAFA_OTHER/,
    );
  });

  it('refuses two settings of one name, and names that are not ours', () => {
    const again = setting('VAFA_SAMPLE_SIZE', integer({ min: 1, max: 2 }), { default: 1, description: 'again' });
    expect(() => defineConfig({ again })).toThrow(/twice/);
    expect(() => setting('PORT', boolean(), { default: true, description: 'no' })).toThrow(/VAFA_/);
  });

  it.each([
    [integer({ min: 0, max: 9 }), ['0', '9'], ['', '1.5', '1e1', '-1', '10', '٣', ' ']],
    [boolean(), ['true', 'false'], ['1', 'TRUE']],
    [text({ maxLength: 3 }), ['abc'], ['', 'abcd']],
    [url('https'), ['https://a'], ['http://a', 'https://', 'a']],
    [hex(2), ['00fF'], ['00f', '00fg']],
    [listOf(integer({ min: 1, max: 3 })), ['1', '1, 2'], ['', '1,,2', '4']],
  ])('parses what is expected and nothing else: %#', (parser, good, bad) => {
    for (const one of good) expect([one, parser.parse(one)]).not.toEqual([one, undefined]);
    for (const one of bad) expect([one, parser.parse(one)]).toEqual([one, undefined]);
  });
});
