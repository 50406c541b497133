import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { staleProjects } from './fingerprint.mjs';
import { install, isInstalled } from './install.mjs';
import { withLock } from './lock.mjs';
import { checkNode, findNode } from './node.mjs';
import { CACHE, ROOT, say, Sentence, writeProblem } from './root.mjs';

/** Installs and builds what is missing, then becomes the wanted program: its output, its signals, its exit code. */
export async function main(args) {
  try {
    await prepare().catch((error) => {
      const problem = writeProblem(error);
      throw problem === undefined ? error : new Sentence(problem);
    });
    const node = findNode() ?? checkNode();
    process.exitCode = await run(node, commandFor(args));
  } catch (error) {
    say(error instanceof Sentence ? error.message : String(error.stack));
    process.exitCode = 1;
  }
}

async function prepare() {
  if (isInstalled() && staleProjects().length === 0) return;
  const wait = (pid) => say(`Another start (pid ${pid}) is preparing this checkout; waiting for it.`);
  await withLock(join(CACHE, 'prepare.lock'), wait, async () => {
    // Looked at again: whoever held the lock before us may have done it.
    if (!isInstalled()) await install();
    const stale = staleProjects();
    if (stale.length === 0) return;
    say(`Building ${stale.length === 1 ? stale[0] : `${stale.length} projects`}.`);
    const code = await run(findNode() ?? checkNode(), {
      args: [join(ROOT, 'tools', 'build.mjs'), ...stale],
      cwd: ROOT,
    });
    if (code !== 0) throw new Sentence('The build failed; the messages above say where.');
  });
}

/**
 * What to run for the words of the command line.
 *
 * @param {readonly string[]} args
 * @returns {{ args: string[], cwd?: string, linked?: boolean }}
 */
export function commandFor(args) {
  const [first, ...rest] = args;
  if (first === '--test') {
    const chosen = rest.some((word) => word.startsWith('--selectProjects'));
    const jest = [
      '--experimental-vm-modules',
      '--no-warnings',
      join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js'),
      ...rest,
    ];
    return { args: chosen ? jest : [...jest, '--selectProjects', 'unit', 'int'], cwd: ROOT };
  }
  if (first === '--run') return { args: ['--no-warnings', ...rest], cwd: ROOT };
  if (first === 'start') return { args: [join(ROOT, 'apps', 'standalone', 'dist', 'main.js'), ...rest], linked: true };
  return { args: [join(ROOT, 'apps', 'cli', 'dist', 'main.js'), ...args] };
}

function environment(node) {
  const path = [join(node, '..'), join(ROOT, 'node_modules', '.bin'), process.env.PATH].join(delimiter);
  // Compiled code is kept between starts: half of a start is reading JavaScript.
  return { NODE_COMPILE_CACHE: join(CACHE, 'compile'), ...process.env, PATH: path };
}

/** Runs a program to its end and gives its exit code, 128 and the number of the signal that ended it as shells do. */
function run(node, { args, cwd, linked = false }) {
  // The link tells the server when we are gone, however that came about: it then stops in order by itself.
  const stdio = linked ? ['inherit', 'inherit', 'inherit', 'ipc'] : 'inherit';
  const child = spawn(node, args, { cwd, stdio, env: environment(node) });
  const forward = (signal) => {
    // A terminal sends Ctrl-C to the child as well, and to some programs a second one means hurry.
    if (signal === 'SIGINT' && !linked && process.stdin.isTTY === true) return;
    child.kill(signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, forward);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      for (const name of signals) process.off(name, forward);
      resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]);
    });
  });
}
