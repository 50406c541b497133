#!/usr/bin/env node
// Kills a real installation at random moments under load and during imports, and the importer as well, starts both again, repeats everything that
// was not answered, and has the checker judge what is left. Needs the packages to be built (`npm run build`), which it does itself.
//
//   npm run test:crash -- [--seed N] [--minutes 2] [--keep]
//   npm run test:crash -- --eventstoredb [--seed N] [--minutes 2] [--keep]
//   npm run test:crash -- --kafka [--seed N] [--nodes one|three] [--short] [--only WORDS] [--keep]
//
// With --eventstoredb: the same, with the ledger in the stand-in for EventStoreDB, which is cut off, frozen, gone, slow and unavailable meanwhile.
// With --kafka: services in processes of their own on a real Kafka, of one node and of three, to which each fault is done once; it takes as long
// as that takes, some 18 minutes, or a third of it with --short, which sends less, lets processes sleep for a shorter time, and freezes no node of
// three. --only picks those faults that have these words in their names.
// The same seed gives the same load and the same faults; how far the process is when one strikes is up to the machine.
// Exit 0: nothing found. 1: violations, or a run that did not come to its end; its folder is kept then. 2: wrong usage.
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { report } from '../checker/check.mjs';
import { kafkaScript } from '../load/kafka-engine.mjs';
import { runOnKafka } from './kafka-run.mjs';
import { run } from './run.mjs';
import { table } from './table.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MINUTES_MAX = 24 * 60;

function readOptions() {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      minutes: { type: 'string', default: '2' },
      keep: { type: 'boolean', default: false },
      eventstoredb: { type: 'boolean', default: false },
      kafka: { type: 'boolean', default: false },
      nodes: { type: 'string' },
      short: { type: 'boolean', default: false },
      only: { type: 'string' },
    },
  });
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
  const minutes = Number(values.minutes);
  if (!Number.isInteger(seed) || !(minutes > 0 && minutes <= MINUTES_MAX))
    throw new RangeError(`--seed is a whole number, --minutes one up to ${MINUTES_MAX}`);
  const { keep, eventstoredb, kafka, nodes, short, only } = values;
  if (nodes !== undefined && nodes !== 'one' && nodes !== 'three') throw new RangeError('--nodes is one or three');
  if (!kafka && (nodes !== undefined || short || only !== undefined))
    throw new RangeError('--nodes, --short and --only go with --kafka');
  if (kafka && kafkaScript() === undefined)
    throw new RangeError('--kafka starts a Kafka by a script, which is not there: VAFA_ENGINES names its folder');
  if (kafka && eventstoredb) throw new RangeError('--eventstoredb does not go with --kafka');
  const both = nodes === undefined ? ['one', 'three'] : [nodes];
  return { seed, minutes, keep, eventstoredb, kafka, nodes: both, short, only };
}

async function main() {
  let options;
  try {
    options = readOptions();
  } catch (error) {
    console.error(error.message);
    return 2;
  }
  execFileSync(process.execPath, ['tools/build.mjs'], { cwd: ROOT, stdio: 'inherit' });
  try {
    return options.kafka ? await onKafka(options) : await standalone(options);
  } catch (error) {
    console.error(error);
    say(`The run did not come to its end. Again with --seed ${options.seed}.`);
    return 1;
  }
}

const say = (line) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);

async function standalone(options) {
  const where = options.eventstoredb ? ', the ledger in the stand-in for EventStoreDB' : '';
  say(`seed ${options.seed}, ${options.minutes} minutes${where}`);
  const { violations, counts, faults, faultsTold, imports, folder } = await run({ ...options, say });
  say(JSON.stringify({ seed: options.seed, faults, faultsTold, imports, ...counts }));
  if (violations.length === 0) say('Nothing lost, nothing counted twice.');
  else tell(violations, folder, options.seed);
  return violations.length === 0 ? 0 : 1;
}

async function onKafka(options) {
  say(`seed ${options.seed}, on Kafka`);
  const all = [];
  for (const nodes of options.nodes) {
    const { violations, counts, rows, folder } = await runOnKafka({ ...options, nodes, say });
    all.push(...rows);
    say(JSON.stringify({ seed: options.seed, nodes, ...counts }));
    if (violations.length > 0) {
      tell(violations, folder, options.seed);
      return 1;
    }
  }
  console.log(table(all).join('\n'));
  say('Nothing lost, nothing counted twice, nothing out of order.');
  return 0;
}

function tell(violations, folder, seed) {
  console.log(report(violations).join('\n'));
  say(`The folder is kept: ${folder} (inputs.ndjson, the output of each process, data). Again with --seed ${seed}.`);
}

process.exitCode = await main();
