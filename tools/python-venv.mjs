// Python packages that tools and tests use, each set in an environment of its own in node_modules/.cache, installed from PyPI once.
//
//   node tools/python-venv.mjs NAME REQUIREMENT…     prints the folder with its programs; 1: could not be installed, 3: no Python here
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './bootstrap/root.mjs';

const EXIT = { failed: 1, usage: 2, missing: 3 };

/** There is no Python here that could make an environment. */
export class NoPython extends Error {
  name = 'NoPython';
}

/**
 * The folder with the programs of an environment that has these packages, made where it is not there yet. One name stands for one set, for ever.
 * @param {string} name
 * @param {readonly string[]} requirements as pip takes them, pinned
 * @throws NoPython; any other error where the packages could not be had
 */
export function pythonVenv(name, requirements) {
  const folder = join(ROOT, 'node_modules/.cache', name);
  const programs = join(folder, 'bin');
  const whole = join(folder, 'installed');
  if (existsSync(whole)) return programs;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const quiet = { stdio: ['ignore', 'ignore', 'pipe'] };
  try {
    execFileSync('python3', ['-m', 'venv', folder], quiet);
  } catch (cause) {
    throw new NoPython('Python 3.10 or later with its module venv (python3 -m venv) is not here.', { cause });
  }
  try {
    execFileSync(join(programs, 'pip'), ['install', '--quiet', '--disable-pip-version-check', ...requirements], quiet);
  } catch (cause) {
    throw new Error(`${requirements.join(' ')} could not be installed from PyPI: ${cause.stderr ?? cause}`, { cause });
  }
  writeFileSync(whole, `${requirements.join('\n')}\n`);
  return programs;
}

if (import.meta.main) {
  const [name, ...requirements] = process.argv.slice(2);
  try {
    if (requirements.length === 0) throw new RangeError('a name and what is to be installed are needed');
    console.log(pythonVenv(name, requirements));
  } catch (error) {
    console.error(error.message);
    if (error instanceof NoPython) process.exitCode = EXIT.missing;
    else process.exitCode = error instanceof RangeError ? EXIT.usage : EXIT.failed;
  }
}
