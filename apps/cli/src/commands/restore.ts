import { access } from 'node:fs/promises';
import { resolve } from 'node:path';

import { flag, Refusal, text, type Command, type CommandInput, type ExitCode } from '../command.js';
import { runStandaloneProgram } from '../installation/standalone-program.js';

const readable = async (file: string, given: string): Promise<void> => {
  try {
    await access(file);
  } catch {
    throw new Refusal(`There is no file ${given}.`);
  }
};

const run = async ({ options, positionals, surroundings }: CommandInput): Promise<ExitCode> => {
  const { cwd } = surroundings;
  const [given = ''] = positionals;
  const file = resolve(cwd, given);
  await readable(file, given);
  const keys = text(options, 'keys');
  if (keys !== undefined) await readable(resolve(cwd, keys), keys);
  const words = [
    file,
    ...(flag(options, 'force') ? ['--force'] : []),
    ...(flag(options, 'json') ? ['--json'] : []),
    ...(keys === undefined ? [] : ['--keys', resolve(cwd, keys)]),
  ];
  return runStandaloneProgram('restore-main', words, surroundings);
};

export const restore: Command = {
  name: 'restore',
  summary: 'Puts a backup back into an installation that is stopped and empty.',
  usage: 'FILE',
  options: {
    force: { type: 'boolean', description: 'Replaces what is there, for good.' },
    keys: { type: 'string', value: 'FILE', description: 'The keys of the backup; FILE.keys beside it unless said.' },
    json: { type: 'boolean', description: 'One line of JSON at the end.' },
  },
  notes: [
    'Checks the whole file before it changes anything. A backup of an older version is brought up to this one; one of a newer version is refused. Where it is cut off, the next start says so and serves nothing; run it again then.',
    'Works on VAFA_DATA, or on VAFA_DATABASE_URL. Afterwards "vafa verify" proves the copy.',
  ],
  positionals: { min: 1, max: 1 },
  run,
};
