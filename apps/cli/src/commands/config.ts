import { flag, line, type Command, type CommandInput, type ExitCode } from '../command.js';

const run = async ({ options, surroundings }: CommandInput): Promise<ExitCode> => {
  const service = await import('@vafa/service/commands');
  const settings = service.listSettings(surroundings.env);
  const unknown = service.unknownSettings(surroundings.env).filter(({ nearest }) => nearest !== null);
  const wrong = settings.some(({ problem }) => problem !== null) || unknown.length > 0;
  const { stdout } = surroundings;
  if (flag(options, 'json')) {
    line(stdout, JSON.stringify({ settings, unknown }));
    return wrong ? 1 : 0;
  }
  const width = Math.max(...settings.map(({ name }) => name.length));
  const indent = ' '.repeat(width + 2);
  for (const { name, description, expected, value, default: fallback, problem } of settings) {
    const now = value === null ? `${fallback ?? 'not set'}` : `${value}   (set; default: ${fallback ?? 'none'})`;
    line(stdout, `${name.padEnd(width)}  ${now}`);
    line(stdout, `${indent}${description}; ${expected}`);
    if (problem !== null) line(stdout, `${indent}WRONG: ${problem}`);
  }
  for (const { name, nearest } of unknown) line(stdout, `${name} is no setting: ${nearest ?? ''} was probably meant`);
  return wrong ? 1 : 0;
};

export const config: Command = {
  name: 'config',
  summary: 'Lists every setting: what it is for, its default and its value now.',
  options: { json: { type: 'boolean', description: 'One line of JSON.' } },
  notes: [
    'Settings are environment variables. Secrets are not shown. Exit code: 1 where one of them is wrong or misspelt.',
  ],
  positionals: { min: 0, max: 0 },
  run,
};
