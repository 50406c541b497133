#!/usr/bin/env node
// Kills a real installation at random moments under load, starts it again, repeats everything that was not answered, and has the checker judge
// what is left. Needs the packages to be built (`npm run build`), which it does itself.
//
//   npm run test:crash -- [--seed N] [--minutes 2] [--keep]
//
// The same seed gives the same load and the same faults; how far the process is when one strikes is up to the machine.
// Exit 0: nothing found. 1: violations, or a run that did not come to its end; its folder is kept then. 2: wrong usage.
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { report } from '../checker/check.mjs';
import { run } from './run.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MINUTES_MAX = 24 * 60;

function readOptions() {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      minutes: { type: 'string', default: '2' },
      keep: { type: 'boolean', default: false },
    },
  });
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
  const minutes = Number(values.minutes);
  if (!Number.isInteger(seed) || !(minutes > 0 && minutes <= MINUTES_MAX))
    throw new RangeError(`--seed is a whole number, --minutes one up to ${MINUTES_MAX}`);
  return { seed, minutes, keep: values.keep };
}

async function main() {
  let options;
  try {
    options = readOptions();
  } catch (error) {
    console.error(error.message);
    return 2;
  }
  const say = (line) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);
  execFileSync(process.execPath, ['tools/build.mjs'], { cwd: ROOT, stdio: 'inherit' });
  say(`seed ${options.seed}, ${options.minutes} minutes`);
  try {
    const { violations, counts, faults, faultsTold, folder } = await run({ ...options, say });
    say(JSON.stringify({ seed: options.seed, faults, faultsTold, ...counts }));
    if (violations.length === 0) {
      say('Nothing lost, nothing counted twice.');
      return 0;
    }
    console.log(report(violations).join('\n'));
    say(`The folder is kept: ${folder} (inputs.ndjson, output.log, data). Again with --seed ${options.seed}.`);
    return 1;
  } catch (error) {
    console.error(error);
    say(`The run did not come to its end. Again with --seed ${options.seed}.`);
    return 1;
  }
}

process.exitCode = await main();
