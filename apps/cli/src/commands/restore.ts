import { spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { flag, Refusal, text, type Command, type CommandInput, type ExitCode } from '../command.js';

const readable = async (file: string, given: string): Promise<void> => {
  try {
    await access(file);
  } catch {
    throw new Refusal(`There is no file ${given}.`);
  }
};

/** The services and their tables are known to the program that starts them; it does the work in a process of its own. */
const run = async ({ options, positionals, surroundings }: CommandInput): Promise<ExitCode> => {
  const { cwd, env, root, signal, stdout, stderr } = surroundings;
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
  const program = join(root, 'apps', 'standalone', 'dist', 'restore-main.js');
  const child = spawn(process.execPath, [program, ...words], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.pipe(stdout, { end: false });
  child.stderr.pipe(stderr, { end: false });
  const stop = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  const code = await new Promise<number | null>((done, failed) => {
    child.once('error', failed);
    child.once('close', done);
  });
  signal.removeEventListener('abort', stop);
  return code === 0 ? 0 : 1;
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
