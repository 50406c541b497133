import { flag, line, wholeNumber, type Command, type CommandInput, type ExitCode } from '../command.js';
import { askPeriods, closePeriod, closingText, type Closing } from '../installation/periods.js';

type Page = { readonly zone: string; readonly calendar: string; readonly items: readonly Closing[] };

const list = async ({ options, surroundings }: CommandInput): Promise<ExitCode> => {
  const limit = wholeNumber(options, 'limit', { min: 1, max: 500, fallback: 50 });
  const page = await askPeriods<Page>(surroundings, { method: 'GET', path: `/v1/periods?limit=${limit}` });
  if (flag(options, 'json')) {
    line(surroundings.stdout, JSON.stringify(page));
    return 0;
  }
  if (page.items.length === 0) line(surroundings.stdout, 'No period is closed yet.');
  for (const { period, start, end, knownAt } of page.items)
    line(
      surroundings.stdout,
      `  ${period}  ${start ?? 'the beginning'} to ${end}  knows what was recorded until ${knownAt}`,
    );
  return 0;
};

const close = async ({ options, positionals, surroundings }: CommandInput): Promise<ExitCode> => {
  const [period = ''] = positionals;
  const closing = await closePeriod(surroundings, period);
  line(surroundings.stdout, flag(options, 'json') ? JSON.stringify(closing) : closingText(period, closing));
  return 0;
};

const JSON_OPTION = { json: { type: 'boolean', description: 'One line of JSON.' } } as const;

export const listPeriods: Command = {
  name: 'periods list',
  summary: 'Lists the periods that are closed, the latest first.',
  options: {
    limit: { type: 'string', value: 'N', description: 'Closings shown, 50 unless told, 500 at most.' },
    ...JSON_OPTION,
  },
  positionals: { min: 0, max: 0 },
  run: list,
};

export const closePeriods: Command = {
  name: 'periods close',
  summary: 'Closes a period that is over, with every one before it, for good.',
  usage: 'PERIOD',
  options: JSON_OPTION,
  notes: [
    'PERIOD is a month in the calendar of the programme: 2026-10, or 1405-07 in a Persian one. Its statements never change from then on.',
    'There is no way back. Closing it again changes nothing.',
  ],
  positionals: { min: 1, max: 1 },
  run: close,
};
