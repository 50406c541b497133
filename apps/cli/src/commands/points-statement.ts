import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { line, Refusal, text, UsageError, type Command, type CommandInput, type ExitCode } from '../command.js';
import { problemErrors, problemText } from '../installation/api.js';
import { languageOf, MOMENT_OPTIONS, pointsApi } from './points-api.js';

const TIMEOUT_MS = 120_000;
const FORMS: Readonly<Record<string, string>> = {
  json: 'application/json',
  csv: 'text/csv',
  pdf: 'application/pdf',
};
const QUERY = { period: 'period', from: 'from', to: 'to', 'as-of': 'asOf', 'known-at': 'knownAt' } as const;

const run = async (input: CommandInput): Promise<ExitCode> => {
  const { options, positionals, surroundings } = input;
  const [reference = ''] = positionals;
  const format = text(options, 'format') ?? 'json';
  const accept = FORMS[format];
  if (accept === undefined) throw new UsageError(`--format takes json, csv or pdf, not "${format}".`);
  const out = text(options, 'out');
  if (out === undefined && format === 'pdf' && surroundings.stdout.isTTY === true)
    throw new UsageError('A PDF does not go onto a terminal: --out FILE says where to.');
  const query = new URLSearchParams();
  for (const [option, name] of Object.entries(QUERY)) {
    const given = text(options, option);
    if (given !== undefined) query.set(name, given);
  }
  const answer = await pointsApi(input).request({
    method: 'GET',
    path: `/v1/members/${encodeURIComponent(reference)}/points/statement?${query.toString()}`,
    headers: { accept, 'accept-language': languageOf(input) },
    timeoutMs: TIMEOUT_MS,
    bytes: true,
  });
  if (answer.status !== 200) {
    const [error] = problemErrors(answer.body);
    const option = Object.entries(QUERY).find(([, name]) => `/${name}` === error?.pointer)?.[0];
    if (error && option !== undefined) throw new UsageError(`--${option} ${error.detail}.`);
    throw new Refusal(`${reference}: ${problemText(answer.body)}.`);
  }
  const bytes = answer.body as Uint8Array;
  if (out === undefined)
    surroundings.stdout.write(format === 'json' ? Buffer.concat([bytes, Buffer.from('\n')]) : bytes);
  else {
    await writeFile(resolve(surroundings.cwd, out), bytes);
    line(surroundings.stderr, `${out}: ${bytes.byteLength} bytes`);
  }
  return 0;
};

export const pointsStatement: Command = {
  name: 'points statement',
  summary: "A statement of a member's points, as JSON, CSV or PDF.",
  usage: 'REF',
  options: {
    period: { type: 'string', value: 'PERIOD', description: 'A month such as 2026-10; the current one by default.' },
    from: { type: 'string', value: 'DAY', description: 'The first day, instead of a period.' },
    to: { type: 'string', value: 'DAY', description: 'The last day, inclusive; today by default.' },
    ...MOMENT_OPTIONS,
    format: { type: 'string', value: 'FORMAT', description: 'json (the default), csv or pdf.' },
    language: { type: 'string', value: 'LANGUAGE', description: 'en, fa or ar, for its words.' },
    out: { type: 'string', value: 'FILE', description: 'Where it goes; standard output by default.' },
    json: { type: 'boolean', description: 'The same as --format json.' },
  },
  notes: [
    'REF is the id of a member, card:<number> or external:<id>. Periods and days are written in the calendar of the programme.',
  ],
  positionals: { min: 1, max: 1 },
  run,
};
