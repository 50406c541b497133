#!/usr/bin/env node
// Asks a real installation everything that its own description allows, and much that it does not, in several roles: schemathesis makes the
// requests up from /openapi.json. Found is any answer of 5xx, any status, content type or body that is not described.
//
//   npm run test:fuzz -- [--seed N] [--seconds 120] [--keep]
//
// Needs Python 3.10 or later with venv; schemathesis itself is installed from PyPI once, into node_modules/.cache. The same seed makes the same
// requests. Exit 0: nothing found. 1: findings, or no run. 2: wrong usage. 3: no Python here, or schemathesis could not be had.
import { execFileSync, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { HttpClient } from '../load/http-client.mjs';
import { Installation } from '../load/installation.mjs';
import { pythonVenv } from '../python-venv.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const VERSION = '4.32.5';
const SECONDS_MAX = 24 * 60 * 60;
const EXIT = { clean: 0, found: 1, usage: 2, missing: 3 };

/** Who asks, and with what share of the time: whoever may do most is let in furthest. */
const CALLERS = [
  { role: 'admin', share: 0.7 },
  { role: 'member', share: 0.2 },
  { role: 'analyst', share: 0.1 },
];

const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_schema_conformance',
];

/** More is asked here in a minute than anybody else asks. */
const ENV = { VAFA_RATE_READS: '0', VAFA_RATE_WRITES: '0', VAFA_RATE_FAILURES: '0' };

function readOptions() {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      seconds: { type: 'string', default: '120' },
      keep: { type: 'boolean', default: false },
    },
  });
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
  const seconds = Number(values.seconds);
  if (!Number.isInteger(seed) || !(seconds >= 10 && seconds <= SECONDS_MAX))
    throw new RangeError(`--seed is a whole number, --seconds one from 10 to ${SECONDS_MAX}`);
  return { seed, seconds, keep: values.keep };
}

/** A member with a purchase, so that there is something to find. */
async function memberOf(installation) {
  const http = new HttpClient({ api: installation.run.api, token: await installation.token('service') });
  const { body } = await http.call({ path: '/v1/members', body: { externalId: 'fuzz', card: 'issue' } });
  const data = {
    purchaseId: 'fuzz-1',
    member: `member:${body.memberId}`,
    occurredAt: '2026-01-01T10:00:00Z',
    currency: 'EUR',
    lines: [{ lineId: '1', amount: 5_000 }],
    total: 5_000,
  };
  const event = { specversion: '1.0', id: 'fuzz-1', source: '/fuzz', type: 'commerce.purchase.completed', data };
  const { status } = await http.call({ path: '/v1/purchases', body: event, headers: { prefer: 'wait=20' } });
  http.close();
  if (status !== 200) throw new Error(`the first purchase was answered with ${status}`);
  return body.memberId;
}

/** Python knows no classes of Unicode in patterns: what they stand for, as far as a made-up text has it. */
const CLASSES = [
  ['\\p{Cc}', '\\x00-\\x1f\\x7f-\\x9f'],
  ['\\p{Cs}', ''],
  ['\\p{Z}', ' \\u00a0\\u2028\\u2029'],
];

/** The description as the installation gives it, in words that schemathesis can read. */
async function describe(installation) {
  const text = await (await fetch(`${installation.run.api}/openapi.json`)).text();
  const plain = (pattern) => CLASSES.reduce((left, [from, to]) => left.replaceAll(from, to), pattern);
  const document = JSON.parse(text, (name, value) =>
    name === 'pattern' && typeof value === 'string' ? plain(value) : value,
  );
  const file = join(installation.folder, 'openapi.json');
  writeFileSync(file, JSON.stringify(document));
  return file;
}

async function fuzz({ program, installation, description, token, seed, seconds }) {
  const child = spawn(
    program,
    [
      ...['run', description, '--url', installation.run.api],
      ...['--header', `Authorization: Bearer ${token}`],
      ...['--checks', CHECKS.join(',')],
      ...['--phases', 'examples,coverage,fuzzing'],
      ...['--seed', String(seed), '--max-time', String(Math.round(seconds))],
      ...['--continue-on-failure', '--request-timeout', '40', '--suppress-health-check', 'all', '--warnings', 'off'],
    ],
    { cwd: installation.folder, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, NO_COLOR: '1' } },
  );
  const [code] = await once(child, 'exit');
  return code === 0;
}

async function main() {
  let options;
  try {
    options = readOptions();
  } catch (error) {
    console.error(error.message);
    return EXIT.usage;
  }
  let program;
  try {
    program = join(pythonVenv(`schemathesis-${VERSION}`, [`schemathesis==${VERSION}`]), 'schemathesis');
  } catch (error) {
    console.error(error.message);
    return EXIT.missing;
  }
  execFileSync(process.execPath, ['tools/build.mjs'], { cwd: ROOT, stdio: 'inherit' });
  const { seed, seconds, keep } = options;
  const installation = new Installation({ env: ENV });
  let clean = true;
  try {
    await installation.start();
    const memberId = await memberOf(installation);
    const description = await describe(installation);
    for (const { role, share } of CALLERS) {
      console.log(`\nAs ${role}, for ${Math.round(seconds * share)} s, with seed ${seed}:`);
      const token = await installation.token(role, role === 'member' ? memberId : undefined);
      clean = (await fuzz({ program, installation, description, token, seed, seconds: seconds * share })) && clean;
    }
    if (!installation.isRunning) throw new Error(`the installation ended:\n${installation.output.slice(-4_000)}`);
  } catch (error) {
    console.error(error);
    clean = false;
  } finally {
    await installation.dispose({ keep: keep || !clean });
  }
  console.log(
    clean ? 'Nothing found.' : `Found something. Again with --seed ${seed}; the log is in ${installation.folder}/data.`,
  );
  return clean ? EXIT.clean : EXIT.found;
}

process.exitCode = await main();
