// How fast the ledger's store in EventStoreDB is, against the bare client in the same run: appends with 64 in flight, and catching up with the log.
//
//   node tools/build.mjs && node bench/eventstoredb.mjs [--url esdb://…] [--in-flight 64] [--pairs 8] [--seconds 1] [--events 50000]
//
// Without a server (--url, or VAFA_TEST_EVENTSTOREDB_URL) it runs on stand-ins in this process, a fresh one for each pair, which says how dear the
// adapter is and nothing of EventStoreDB. Adapter and client are measured in pairs, one after the other and in turn which begins, after both have
// warmed up; the share is the median of the pairs' ratios, as a machine that is busy for a while is so for both. Prints one JSON line a pair, and one
// a measure. Ends with 1 where an append was anything but new, or an event missing or doubled.
import { EventStoreDBClient, NO_STREAM, START, binaryEvent, streamNameFilter } from '@eventstore/db-client';
import { EventStoreDbEventStore } from '@vafa/event-sourcing';
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
// By its file: the package as a whole loads within a test runner only.
import { EventStoreDbStandIn } from '../libs/testing/dist/eventstoredb-stand-in/stand-in-server.js';
import { print, spread } from './results.mjs';

const { values: options } = parseArgs({
  options: {
    url: { type: 'string', default: process.env.VAFA_TEST_EVENTSTOREDB_URL ?? '' },
    'in-flight': { type: 'string', default: '64' },
    pairs: { type: 'string', default: '8' },
    seconds: { type: 'string', default: '1' },
    events: { type: 'string', default: '50000' },
  },
});
const IN_FLIGHT = Number(options['in-flight']);
const PAIRS = Number(options.pairs);
const SECONDS = Number(options.seconds);
const EVENTS = Number(options.events);
const WARM_UP_SECONDS = 0.3;
const EVENTS_PER_APPEND = 100;
const SEARCH_WINDOW = 1_000;
const DATA = JSON.stringify({ purchaseId: 'p-1', amount: 120, at: '2026-01-01T00:00:00Z', lots: ['x'.repeat(120)] });
const METADATA = '{"schema":1}';
const ENCODER = new TextEncoder();
const BEGIN = { even: ['client', 'adapter'], odd: ['adapter', 'client'] };

const server = options.url === '' ? 'the stand-in' : 'a real server';
let wrong = 0;

await compare('appends', measureAppends);
await compare('catch-up', measureCatchUp);
process.exitCode = wrong === 0 ? 0 : 1;

/** @param {(parts: object, order: string[]) => Promise<{ adapter: number, client: number }>} run measures a pair, in events a second */
async function compare(measure, run) {
  const pairs = [];
  for (let i = 0; i < PAIRS; i++) {
    const rates = await onServer((parts) => run(parts, i % 2 === 0 ? BEGIN.even : BEGIN.odd));
    const [adapter, client] = [rates.adapter, rates.client].map(Math.round);
    pairs.push({ adapter, client, share: Number((rates.adapter / rates.client).toFixed(3)) });
    print({ measure, server, pair: i + 1, ...pairs.at(-1) });
  }
  const of = (name) => spread(pairs.map((pair) => pair[name]));
  print({ measure, server, adapter: of('adapter'), client: of('client'), share: of('share'), wrong });
}

async function onServer(work) {
  const standIn = options.url === '' ? await EventStoreDbStandIn.start() : undefined;
  const url = standIn?.url ?? options.url;
  const store = await EventStoreDbEventStore.connect({ url });
  const client = EventStoreDBClient.connectionString(url);
  try {
    return await work({ store, client });
  } finally {
    await store.close();
    await client.dispose();
    await standIn?.stop();
  }
}

/** Each append opens a stream, as the dearest do. */
async function measureAppends({ store, client }, order) {
  const prefix = `bench-${randomUUID()}-`;
  const ids = new Set();
  let number = 0;
  const ways = {
    adapter: async (id, streamId) => {
      const outcome = await store.append(streamId, -1, [{ id, type: 'PointsEarned', data: DATA, metadata: METADATA }]);
      return outcome.status === 'appended' && !outcome.repeated;
    },
    client: async (id, streamId) => {
      const metadata = ENCODER.encode(METADATA);
      const event = binaryEvent({ id, type: 'PointsEarned', data: Buffer.from(DATA), metadata });
      return (await client.appendToStream(streamId, [event], { expectedRevision: NO_STREAM })).success;
    },
  };
  const append = async (way) => {
    const id = randomUUID();
    ids.add(id);
    if (!(await ways[way](id, `${prefix}${number++}`))) wrong += 1;
  };
  for (const way of order) await drive(() => append(way), WARM_UP_SECONDS);
  const rates = {};
  for (const way of order) rates[way] = await drive(() => append(way), SECONDS);
  await compareWithLog(client, prefix, ids);
  return rates;
}

async function drive(append, seconds) {
  const started = performance.now();
  const until = started + seconds * 1_000;
  let done = 0;
  const worker = async () => {
    while (performance.now() < until) {
      await append();
      done++;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  return (done / (performance.now() - started)) * 1_000;
}

/** Every event that was appended stands in the log once, and no other. */
async function compareWithLog(client, prefix, ids) {
  const seen = await followToEnd(client, prefix);
  const missing = ids.difference(new Set(seen)).size;
  const surplus = seen.length - (ids.size - missing);
  wrong += missing + surplus;
  if (missing + surplus > 0) print({ error: 'the log differs from what was appended', missing, surplus });
}

/** The ids of all events of a prefix. */
async function followToEnd(client, prefix) {
  const filter = streamNameFilter({ prefixes: [prefix], maxSearchWindow: SEARCH_WINDOW });
  const subscription = client.subscribeToAll({ fromPosition: START, filter }, { highWaterMark: SEARCH_WINDOW });
  const seen = [];
  await new Promise((resolve, reject) => {
    subscription.on('data', ({ event }) => seen.push(event.id));
    subscription.on('error', reject);
    // What was sent before is in the stream's buffer by then, and out of it at the next turn.
    subscription.on('caughtUp', () => setImmediate(resolve));
  });
  await subscription.unsubscribe();
  return seen;
}

async function measureCatchUp({ store, client }, order) {
  const prefix = `catch-up-${randomUUID()}-`;
  await fill(store, prefix);
  const ways = { adapter: () => catchUp(store, prefix), client: () => catchUpBare(client, prefix) };
  for (const way of order) await ways[way]();
  const rates = {};
  for (const way of order) rates[way] = await ways[way]();
  return rates;
}

async function fill(store, prefix) {
  const appends = Math.ceil(EVENTS / EVENTS_PER_APPEND);
  for (let at = 0; at < appends; at += IN_FLIGHT)
    await Promise.all(
      Array.from({ length: Math.min(IN_FLIGHT, appends - at) }, (_, i) => {
        const events = Array.from({ length: EVENTS_PER_APPEND }, () => ({
          id: randomUUID(),
          type: 'PointsEarned',
          data: DATA,
          metadata: METADATA,
        }));
        return store.append(`${prefix}${at + i}`, -1, events);
      }),
    );
}

async function catchUp(store, prefix) {
  const ended = new AbortController();
  const started = performance.now();
  const seen = new Set();
  for await (const page of store.subscribe({ prefix, after: null, pageSize: 2_000, signal: ended.signal })) {
    for (const { id } of page.events) seen.add(id);
    if (page.caughtUp) break;
  }
  ended.abort();
  return rateOf(seen, started);
}

async function catchUpBare(client, prefix) {
  const filter = streamNameFilter({ prefixes: [prefix], maxSearchWindow: SEARCH_WINDOW });
  const started = performance.now();
  const seen = new Set();
  const subscription = client.subscribeToAll({ fromPosition: START, filter }, { highWaterMark: SEARCH_WINDOW });
  for await (const { event } of subscription) {
    seen.add(event.id);
    if (seen.size === expected()) break;
  }
  const rate = rateOf(seen, started);
  await subscription.unsubscribe();
  return rate;
}

function expected() {
  return Math.ceil(EVENTS / EVENTS_PER_APPEND) * EVENTS_PER_APPEND;
}

function rateOf(seen, started) {
  wrong += Math.abs(seen.size - expected());
  return (seen.size / (performance.now() - started)) * 1_000;
}
