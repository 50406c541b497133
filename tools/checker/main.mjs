#!/usr/bin/env node
// Checks an installation that has come to rest against the log of what was sent to it. Shares no code with the product: it has its own SQL, its
// own reading of JSON and its own model of the programme.
//
//   node tools/checker/main.mjs --database postgresql://… [--inputs FILE] [--json]
//
// Exit 0: nothing found. 1: violations, listed with what they are about. 2: wrong usage.
import { parseArgs } from 'node:util';
import { check, report } from './check.mjs';
import { readInputs } from './inputs.mjs';

const USAGE = 'usage: node tools/checker/main.mjs --database URL [--inputs FILE] [--json]';

async function main() {
  let options;
  try {
    options = parseArgs({
      options: { database: { type: 'string' }, inputs: { type: 'string' }, json: { type: 'boolean' } },
    }).values;
    if (options.database === undefined) throw new Error('--database is missing');
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    return 2;
  }
  const inputs = options.inputs === undefined ? undefined : await readInputs(options.inputs);
  const { violations, counts } = await check({ url: options.database, ...(inputs && { inputs }) });
  if (options.json) console.log(JSON.stringify({ violations, counts }));
  else {
    console.log(JSON.stringify(counts));
    console.log(violations.length === 0 ? 'Nothing found.' : report(violations).join('\n'));
  }
  return violations.length === 0 ? 0 : 1;
}

process.exitCode = await main();
