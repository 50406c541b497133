// How fast the ledger takes appends: many in flight, each waited for, every one with its expected revision, on an embedded PostgreSQL with fsync on.
//
//   node tools/build.mjs && node bench/append.mjs [--in-flight 64] [--runs 5] [--seconds 5] [--streams 20000] [--dir .vafa-bench]
//
// Prints one JSON line a run and one with min, median and max. At the end the log is compared with what was acknowledged; a difference is exit code 1.
import { Database, migrate, startEmbeddedPostgres } from '@vafa/persistence';
import { eventIdOf, eventStoreMigrations, NO_STREAM, PostgresEventStore } from '@vafa/event-sourcing';
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: {
    'in-flight': { type: 'string', default: '64' },
    runs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    streams: { type: 'string', default: '20000' },
    dir: { type: 'string', default: '.vafa-bench' },
  },
});
const IN_FLIGHT = Number(options['in-flight']);
const WARM_UP_SECONDS = 2;
const PAGE_SIZE = 2_000;

const folder = resolve(options.dir);
await rm(folder, { recursive: true, force: true });
const server = await startEmbeddedPostgres({ dataDir: `${folder}/postgres`, port: 0, log: () => undefined });
await migrate(server.url, [eventStoreMigrations], () => undefined);
const { schema, role } = eventStoreMigrations;
const database = await Database.connect({ url: server.url, schema, role, poolSize: 2, applicationName: 'bench' });
const store = new PostgresEventStore(database);

/** What the store has acknowledged: the ids of each stream in order. */
const acknowledged = new Map();
const streamsPerWorker = Math.max(1, Math.floor(Number(options.streams) / IN_FLIGHT));
const workers = Array.from({ length: IN_FLIGHT }, (_, worker) => makeWorker(worker));

await drive(WARM_UP_SECONDS);
const rates = [];
for (let run = 1; run <= Number(options.runs); run++) {
  const { latencies, seconds, cpuSeconds } = await drive(Number(options.seconds));
  latencies.sort((a, b) => a - b);
  const perSecond = Math.round(latencies.length / seconds);
  rates.push(perSecond);
  print({ run, inFlight: IN_FLIGHT, appends: latencies.length, perSecond, ...percentiles(latencies), cpuSeconds });
}
rates.sort((a, b) => a - b);
print({
  measure: 'append',
  min: rates[0],
  median: rates[Math.floor(rates.length / 2)],
  max: rates.at(-1),
  unit: 'appends/s',
});
const differences = await compare();
await store.close();
await database.close();
await server.stop();
await rm(folder, { recursive: true, force: true });
process.exitCode = differences === 0 ? 0 : 1;

/** Each worker has streams of its own, so that every expected revision is known and every append must succeed. */
function makeWorker(worker) {
  const streams = Array.from({ length: streamsPerWorker }, () => `account-${randomUUID()}`);
  let turn = worker;
  return async () => {
    turn += 7;
    const streamId = streams[turn % streams.length];
    const ids = acknowledged.get(streamId) ?? [];
    acknowledged.set(streamId, ids);
    const event = makeEvent(turn);
    const outcome = await store.append(streamId, NO_STREAM + ids.length, [event]);
    if (outcome.status !== 'appended') throw new Error(`${streamId} answered ${JSON.stringify(outcome)}`);
    ids.push(event.id);
  };
}

/** About as long as an award with its explanation. */
function makeEvent(turn) {
  const purchaseId = `p-${turn}`;
  const data = {
    lotId: purchaseId,
    amount: turn % 500,
    source: '/pos/tehran-12',
    purchaseId,
    occurredAt: '2026-01-01T00:00:00Z',
    availableAt: '2026-01-01T00:00:00Z',
    expiresAt: null,
    explanation: {
      programme: 1,
      components: [
        { rule: 'base', version: 1, rate: [1, 100], base: turn, points: turn % 500, rounding: 'floor', lines: ['1'] },
      ],
      declined: [],
    },
  };
  const metadata = JSON.stringify({ schema: 1, causation: purchaseId });
  return { id: eventIdOf(randomUUID(), 0), type: 'PointsEarned', data: JSON.stringify(data), metadata };
}

async function drive(seconds) {
  const latencies = [];
  const started = performance.now();
  const until = started + seconds * 1000;
  const cpu = process.cpuUsage();
  const loop = async (append) => {
    for (let now = performance.now(); now < until;) {
      await append();
      const then = now;
      now = performance.now();
      latencies.push(now - then);
    }
  };
  await Promise.all(workers.map(loop));
  const { user, system } = process.cpuUsage(cpu);
  const cpuSeconds = Number(((user + system) / 1e6).toFixed(2));
  return { latencies, seconds: (performance.now() - started) / 1000, cpuSeconds };
}

function percentiles(sorted) {
  const at = (share) => Number(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(2));
  return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

/** Reads the whole log through the port: every acknowledged event stands once, in its place, and nothing else does. */
async function compare() {
  const abort = new AbortController();
  const found = new Map();
  let wrong = 0;
  let events = 0;
  const started = performance.now();
  for await (const page of store.subscribe({
    prefix: 'account-',
    after: null,
    pageSize: PAGE_SIZE,
    signal: abort.signal,
  })) {
    for (const { streamId, revision, id } of page.events) {
      events++;
      const next = found.get(streamId) ?? 0;
      if (revision !== next || acknowledged.get(streamId)?.[revision] !== id) wrong++;
      found.set(streamId, next + 1);
    }
    if (page.caughtUp) abort.abort();
  }
  const readPerSecond = Math.round((events / (performance.now() - started)) * 1000);
  for (const [streamId, ids] of acknowledged) wrong += Math.abs(ids.length - (found.get(streamId) ?? 0));
  print({ check: wrong === 0 ? 'the log is what was acknowledged' : 'the log differs', events, wrong, readPerSecond });
  return wrong;
}

function print(line) {
  console.log(JSON.stringify(line));
}
