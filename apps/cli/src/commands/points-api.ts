import { line, text, UsageError, type CommandInput, type OptionSpec } from '../command.js';
import { Api } from '../installation/api.js';
import { credentials } from '../installation/credentials.js';
import { apiAddress } from '../installation/run-file.js';

const PATIENCE_MS = 10_000;
const LANGUAGES = ['en', 'fa', 'ar'];

/** The two times that every read of the ledger takes. */
export const MOMENT_OPTIONS = {
  'as-of': {
    type: 'string',
    value: 'TIME',
    description: 'What counted by then: a date and time such as 2026-03-31T20:29:59Z. Now by default.',
  },
  'known-at': { type: 'string', value: 'TIME', description: 'By what had been recorded until then. Now by default.' },
} as const satisfies Readonly<Record<string, OptionSpec>>;

/** @throws UsageError for a language that there is not. */
export const languageOf = ({ options }: CommandInput): string => {
  const language = text(options, 'language') ?? 'en';
  if (LANGUAGES.includes(language)) return language;
  throw new UsageError(`--language takes ${LANGUAGES.join(', ')}, not "${language}".`);
};

/** The API, asked as support. */
export const pointsApi = ({ surroundings }: CommandInput): Api =>
  new Api({
    address: () => apiAddress(surroundings),
    credentials: credentials(surroundings, 'support'),
    patienceMs: PATIENCE_MS,
    onTrouble: (message) => line(surroundings.stderr, message),
    signal: surroundings.signal,
  });
