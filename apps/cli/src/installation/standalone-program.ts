import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { CommandInput, ExitCode } from '../command.js';

/**
 * Runs a program of apps/standalone in a process of its own and passes its lines on: the services and their tables are known there, and the
 * command line imports no app. An abort ends it with SIGTERM.
 */
export const runStandaloneProgram = async (
  name: 'migrate-main' | 'restore-main',
  words: readonly string[],
  { env, root, signal, stdout, stderr }: CommandInput['surroundings'],
): Promise<ExitCode> => {
  const program = join(root, 'apps', 'standalone', 'dist', `${name}.js`);
  const child = spawn(process.execPath, [program, ...words], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.pipe(stdout, { end: false });
  child.stderr.pipe(stderr, { end: false });
  const stop = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  try {
    const code = await new Promise<number | null>((done, failed) => {
      child.once('error', failed);
      child.once('close', done);
    });
    return code === 0 ? 0 : code === 2 ? 2 : 1;
  } finally {
    signal.removeEventListener('abort', stop);
  }
};
