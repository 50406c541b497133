#!/usr/bin/env node
// Runs the benchmarks on real processes and a real disk, proves that what they did is right, and writes bench/RESULTS.md.
//
//   npm run bench -- [--quick] [--only pipeline,rebuild,returns,floor,append,eventstoredb,bus,kafka,http,past,start,import] [--runs 3] [--import-rows 1000000] [--profile DIR] [--dir FOLDER]
//
// --quick: one small run of each, to see that everything works; writes no results. --profile: CPU profiles of the standalone go there.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openKafka } from '../tools/kafka/engine.mjs';
import { Installation } from '../tools/load/installation.mjs';
import { runColdStart } from './cold-start.mjs';
import { cdnow, uniform } from './data.mjs';
import { consumersAtRest, kafkaBus } from './end-to-end-kafka.mjs';
import { runFloor } from './floor.mjs';
import { runHttp } from './http.mjs';
import { runImporter } from './importer.mjs';
import { enrol, prove, runPipeline, runReturns } from './pipeline.mjs';
import { fillAccount, fillOthers, runPast } from './past.mjs';
import { runRebuild } from './rebuild.mjs';
import { describeMachine, print, spread, writeResults } from './results.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PARTS = [
  'pipeline',
  'rebuild',
  'returns',
  'floor',
  'append',
  'eventstoredb',
  'bus',
  'kafka',
  'http',
  'past',
  'start',
  'import',
];
const WARM_UP = 5_000;
const APPEND_GATES = { gate: '15,000', goal: '22,000' };

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    runs: { type: 'string' },
    'import-rows': { type: 'string' },
    profile: { type: 'string' },
    dir: { type: 'string', default: '.vafa-bench' },
  },
});
const runs = Number(options.runs ?? (options.quick ? 1 : 3));
const parts = new Set(options.only?.split(',') ?? PARTS.filter((part) => part !== 'import' || options['import-rows']));
const within = resolve(ROOT, options.dir);
const rows = [];
const notes = [];

await main();

async function main() {
  const unknown = [...parts].filter((part) => !PARTS.includes(part));
  if (unknown.length > 0 || !(runs > 0)) throw new RangeError(`--only takes ${PARTS.join(', ')}; --runs a number`);
  execFileSync(process.execPath, ['tools/build.mjs'], { cwd: ROOT, stdio: 'inherit' });
  mkdirSync(within, { recursive: true });
  const machine = describeMachine(within);
  print(machine);
  try {
    for (const set of sets()) await measureSet(set);
    if (parts.has('append')) await measureAppend();
    if (parts.has('eventstoredb')) await measureEventStoreDb();
    if (parts.has('bus')) await measureBus();
    if (parts.has('kafka')) await measureKafka();
    if (parts.has('http')) await measureHttp();
    if (parts.has('past')) await measurePast();
    if (parts.has('start')) await measureStart();
    if (parts.has('import')) await measureImport();
  } finally {
    rmSync(within, { recursive: true, force: true });
  }
  for (const row of rows) print(row);
  if (options.quick || options.only !== undefined) return;
  writeResults({ root: ROOT, file: join(ROOT, 'bench', 'RESULTS.md'), machine, rows, notes });
}

/** The purchases to take: real ones where they are there, and always generated ones. */
function sets() {
  if (!['pipeline', 'rebuild', 'returns', 'floor'].some((part) => parts.has(part))) return [];
  if (options.quick) return [uniform({ purchases: 5_000, members: 2_000 })];
  const real = cdnow();
  const made = uniform({ purchases: 200_000, members: 1_000_000 });
  if (real !== undefined) return [real, made];
  notes.push('CDNOW is not there (see VAFA_DATA_SETS): generated purchases of 23,544 members stand in for it.');
  print({ note: notes.at(-1) });
  return [uniform({ purchases: 69_659, members: 23_544 }), made];
}

async function measureSet(set) {
  const taken = ['pipeline', 'rebuild', 'returns'].some((part) => parts.has(part))
    ? await inInstallation((one) => takeAndRebuild(one, set))
    : [];
  const floors = [];
  for (let run = 0; parts.has('floor') && run < runs; run++) floors.push((await runFloor({ within, set })).perSecond);
  const measure = `bus → claim → ledger → read models and outgoing events, ${set.name}`;
  if (taken.length > 0) add(measure, 'purchases/s', spread(taken), { gate: '2,500', goal: '6,000' });
  if (floors.length === 0) return;
  add(`floor: the same writes and nothing else, ${set.name}`, 'purchases/s', spread(floors));
  if (taken.length === 0) return;
  const floor = spread(floors).median;
  add(
    `share of the floor, ${set.name}`,
    'of the median',
    spread(taken.map((rate) => Number((rate / floor).toFixed(3)))),
    {
      gate: '0.25',
      goal: '0.6',
    },
  );
}

async function takeSet(installation, set, { send, atRest } = {}) {
  await enrol(installation, set.members, atRest);
  const warmUp = uniform({ purchases: options.quick ? 500 : WARM_UP, members: 1_000 });
  await enrol(installation, warmUp.members, atRest);
  await runPipeline(installation, warmUp, '/bench/warm-up', send);
  const rates = [];
  for (let run = 1; run <= runs; run++)
    rates.push((await runPipeline(installation, set, `/bench/${run}`, send)).perSecond);
  await prove(installation);
  return rates;
}

async function takeAndRebuild(installation, set) {
  const rates = await takeSet(installation, set);
  if (parts.has('rebuild')) await measureRebuild(installation, set);
  if (parts.has('returns')) await measureReturns(installation, set);
  return parts.has('pipeline') ? rates : [];
}

/** Everything that the runs before have taken comes back. */
async function measureReturns(installation, set) {
  const rates = [];
  for (let run = 1; run <= runs; run++) rates.push(await runReturns(installation, set, `/bench/${run}`));
  await prove(installation);
  add(`returns of everything, ${set.name}`, 'returns/s', spread(rates), { gate: 'half of the purchases’: 1,250' });
}

/** Of everything that the runs before have left, and proved again. */
async function measureRebuild(installation, set) {
  const lines = [];
  for (let run = 1; run <= runs; run++) lines.push(await runRebuild(installation));
  await prove(installation);
  const note = `${lines[0].events.toLocaleString('en')} events`;
  const figures = spread(lines.map(({ perSecond }) => perSecond));
  add(`rebuild of all read models, ${set.name}`, 'events/s', figures, { gate: '20,000', goal: '50,000', note });
}

/** Lends a fresh installation. */
async function inInstallation(work, env = {}) {
  const nodeOptions = options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(options.profile)}`];
  const installation = new Installation({ within, nodeOptions, env });
  try {
    await installation.start();
    const result = await work(installation);
    await installation.stop();
    return result;
  } finally {
    await installation.dispose();
  }
}

async function measureHttp() {
  const set = uniform({ purchases: options.quick ? 2_000 : 60_000, members: options.quick ? 500 : 20_000 });
  await inInstallation(async (installation) => {
    await enrol(installation, set.members);
    const kinds = [
      {
        name: 'HTTP, one purchase a call, outcome waited for, 64 in flight',
        perCall: 1,
        inFlight: 64,
        calls: 20_000,
        gate: '1,000',
        goal: '3,000',
      },
      {
        name: 'HTTP, 500 purchases a call, outcomes waited for, 4 in flight',
        perCall: 500,
        inFlight: 4,
        calls: 120,
        gate: '2,000',
        goal: '5,000',
      },
    ];
    for (const { name, gate, goal, ...kind } of kinds) {
      await runHttp({
        installation,
        set,
        source: `/bench/http-${kind.perCall}-warm-up`,
        ...kind,
        calls: Math.ceil(kind.calls / 10),
      });
      const lines = [];
      for (let run = 1; run <= runs; run++) {
        const source = `/bench/http-${kind.perCall}-${run}`;
        lines.push(await runHttp({ installation, set, source, ...kind }));
      }
      const note = `p50 ${spread(lines.map(({ p50Ms }) => p50Ms)).median} ms, p99 ${spread(lines.map(({ p99Ms }) => p99Ms)).median} ms`;
      add(name, 'purchases/s', spread(lines.map(({ perSecond }) => perSecond)), { gate, goal, note });
    }
    await prove(installation);
  });
}

async function measurePast() {
  const set = uniform({ purchases: options.quick ? 1_000 : 10_000, members: 1 });
  await inInstallation(async (installation) => {
    await enrol(installation, set.members);
    await fillAccount(installation, set);
    await fillOthers(installation, options.quick ? 20_000 : 1_000_000);
    for (const [name, path] of [
      ['balance', ''],
      ['lots, 50 a page', '/lots'],
    ]) {
      const lines = [];
      for (let run = 0; run < runs; run++)
        lines.push(await runPast({ installation, set, reads: options.quick ? 20 : 200, path }));
      const note = `p99 ${spread(lines.map(({ p99Ms }) => p99Ms)).median} ms`;
      const figures = spread(lines.map(({ p50Ms }) => p50Ms));
      add(`${name} as of then, ${set.count.toLocaleString('en')} movements`, 'ms', figures, { gate: '50', note });
    }
  });
}

async function measureAppend() {
  const words = options.quick ? ['--runs', '1', '--seconds', '1'] : ['--runs', String(runs)];
  const lines = await runScript('append.mjs', [...words, '--dir', join(within, 'append')]);
  const each = lines.filter(({ run }) => run !== undefined);
  const p99 = spread(each.map(({ p99Ms }) => p99Ms));
  const note = `p99 ${p99.median} ms (gate: under 10 ms)`;
  add('ledger append, 64 in flight', 'appends/s', spread(each.map(({ perSecond }) => perSecond)), {
    ...APPEND_GATES,
    note,
  });
}

/** The adapter against the bare client, on the server of VAFA_TEST_EVENTSTOREDB_URL or on the stand-in. */
async function measureEventStoreDb() {
  const words = options.quick ? ['--pairs', '2', '--events', '5000'] : [];
  const lines = await runScript('eventstoredb.mjs', words);
  for (const { measure, server, adapter, client, share } of lines) {
    if (adapter?.median === undefined) continue;
    add(`EventStoreDB: ${measure}, on ${server}`, 'events/s', adapter, { note: `bare client ${client.median}` });
    const gate = measure === 'appends' ? '0.8' : '0.5';
    add(`EventStoreDB: ${measure}, share of the bare client`, 'of each pair', share, { gate });
  }
}

async function measureBus() {
  const words = ['--messages', options.quick ? '5000' : '100000', '--keys', options.quick ? '500' : '23544'];
  const lines = await runScript('bus.mjs', [...words, '--runs', String(runs), '--dir', join(within, 'bus')]);
  for (const { measure, unit, min, median, max } of lines)
    if (median !== undefined) add(`bus: ${measure}`, unit, { min, median, max, runs });
}

async function measureKafka() {
  const kafka = await openKafka();
  if (kafka === undefined) {
    notes.push('Kafka was not measured: there was no broker (see VAFA_TEST_KAFKA_BROKERS).');
    print({ note: notes.at(-1) });
    return;
  }
  try {
    await measureKafkaTransport(kafka.brokers);
    await measureKafkaPipeline(kafka.brokers);
  } finally {
    await kafka.close();
  }
}

async function measureKafkaTransport(brokers) {
  const words = ['--messages', options.quick ? '20000' : '200000', '--runs', String(runs)];
  const lines = await runScript('kafka.mjs', [...words, '--dir', join(within, 'kafka')], {
    VAFA_TEST_KAFKA_BROKERS: brokers.join(','),
  });
  for (const { measure, unit, min, median, max } of lines) {
    const gates = measure === 'our transport, times Nest’s own' ? { gate: '1.0', goal: '2' } : {};
    if (median !== undefined) add(`Kafka: ${measure}`, unit, { min, median, max, runs }, gates);
  }
}

/** The same purchases over Kafka and over the bus in PostgreSQL, one after the other. */
async function measureKafkaPipeline(brokers) {
  const set = uniform(options.quick ? { purchases: 5_000, members: 2_000 } : { purchases: 70_000, members: 23_544 });
  const embedded = spread(await inInstallation((one) => takeSet(one, set)));
  const bus = await kafkaBus(brokers);
  try {
    const taken = spread(
      await inInstallation((one) => takeSet(one, set, { send: bus.send, atRest: () => consumersAtRest(one) }), bus.env),
    );
    const note = `${(taken.median / embedded.median).toFixed(2)} of the bus in PostgreSQL in the same run (${embedded.median}/s)`;
    add(`Kafka → claim → ledger → read models and outgoing events, ${set.name}`, 'purchases/s', taken, {
      gate: '1,500',
      note,
    });
  } finally {
    await bus.close();
  }
}

async function measureStart() {
  const [empty, again] = [[], []];
  for (let run = 0; run < runs; run++) {
    const { emptyMs, againMs } = await runColdStart(within);
    empty.push(emptyMs / 1_000);
    again.push(againMs / 1_000);
  }
  add('cold start, `npm start` to the first request, empty folder', 's', spread(empty), { gate: '10', goal: '3' });
  add('the same on existing data', 's', spread(again), { gate: '10', goal: '3' });
}

async function measureImport() {
  const {
    peakMegabytes,
    perSecond,
    rows: count,
  } = await runImporter({ within, rows: Number(options['import-rows'] ?? 20_000), root: ROOT });
  const one = (figure) => ({ min: figure, median: figure, max: figure, runs: 1 });
  const note = `${count.toLocaleString('en')} rows`;
  add('`vafa import purchases`: most memory of the importer', 'MiB', one(peakMegabytes), { gate: '300', note });
  add('`vafa import purchases`', 'rows/s', one(perSecond), { note });
}

/** Runs another benchmark as its own process and collects the JSON lines that it prints. */
async function runScript(name, words, env = {}) {
  const child = spawn(process.execPath, [join('bench', name), ...words], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  const lines = [];
  for await (const line of createInterface({ input: child.stdout })) {
    console.log(line);
    if (line.startsWith('{')) lines.push(JSON.parse(line));
  }
  const [code] = await ended;
  if (code !== 0) throw new Error(`bench/${name} ended with ${code}`);
  return lines;
}

function add(measure, unit, figures, more = {}) {
  rows.push({ measure, unit, ...figures, ...more });
}
