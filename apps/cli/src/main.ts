import './memory.js';

import { fileURLToPath } from 'node:url';

import { commands } from './commands/index.js';
import { runCli } from './cli.js';

/** A second Ctrl-C within this time is the same one twice, as npm and the terminal both pass it on. */
const SAME_KEYPRESS_MS = 500;

const interrupts = (): AbortSignal => {
  const controller = new AbortController();
  let first = 0;
  const onSignal = (): void => {
    if (!controller.signal.aborted) {
      first = performance.now();
      controller.abort(new Error('interrupted'));
      return;
    }
    if (performance.now() - first > SAME_KEYPRESS_MS) process.exit(1);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return controller.signal;
};

const { env } = process;
// The checkout, wherever the command is given: this file is apps/cli/dist/main.js in it.
const root = fileURLToPath(new URL('../../..', import.meta.url)).replace(/[\\/]$/, '');
// npm runs scripts in the folder of the package and says in INIT_CWD where the user stands.
const cwd = process.cwd() === root ? (env['INIT_CWD'] ?? root) : process.cwd();

// A reader that has seen enough (`vafa generate … | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

process.exitCode = await runCli(commands, process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env,
  root,
  cwd,
  signal: interrupts(),
});
process.removeAllListeners('SIGINT');
process.removeAllListeners('SIGTERM');
