// How fast the ledger's store in EventStoreDB is, against the bare client in the same run: appends with 64 in flight, and catching up with the log.
//
//   node tools/build.mjs && node bench/eventstoredb.mjs [--url esdb://…] [--in-flight 64] [--runs 3] [--seconds 5] [--events 50000]
//
// Without a server (--url, or VAFA_TEST_EVENTSTOREDB_URL) it runs on the stand-in in this process, which says how dear the adapter is and nothing of
// EventStoreDB. Prints one JSON line a run, adapter and client in turn, and one a measure with both and their share. Ends with 1 where an event
// was missing or doubled.
import { EventStoreDBClient, NO_STREAM, START, binaryEvent, streamNameFilter } from '@eventstore/db-client';
import { EventStoreDbEventStore } from '@vafa/event-sourcing';
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
// By its file: the package as a whole loads within a test runner only.
import { EventStoreDbStandIn } from '../libs/testing/dist/eventstoredb-stand-in/stand-in-server.js';

const { values: options } = parseArgs({
  options: {
    url: { type: 'string', default: process.env.VAFA_TEST_EVENTSTOREDB_URL ?? '' },
    'in-flight': { type: 'string', default: '64' },
    runs: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
    events: { type: 'string', default: '50000' },
  },
});
const IN_FLIGHT = Number(options['in-flight']);
const RUNS = Number(options.runs);
const SECONDS = Number(options.seconds);
const EVENTS = Number(options.events);
const WARM_UP_SECONDS = 1;
const EVENTS_PER_APPEND = 100;
const SEARCH_WINDOW = 1_000;
const DATA = JSON.stringify({ purchaseId: 'p-1', amount: 120, at: '2026-01-01T00:00:00Z', lots: ['x'.repeat(120)] });
const METADATA = '{"schema":1}';

const standIn = options.url === '' ? await EventStoreDbStandIn.start() : undefined;
const url = standIn?.url ?? options.url;
const server = standIn === undefined ? 'a real server' : 'the stand-in';
const store = await EventStoreDbEventStore.connect({ url });
const client = EventStoreDBClient.connectionString(url);
let wrong = 0;

try {
  const byAdapter = (streamId) =>
    store.append(streamId, -1, [{ id: randomUUID(), type: 'PointsEarned', data: DATA, metadata: METADATA }]);
  const metadata = new Uint8Array(Buffer.from(METADATA));
  const byClient = (streamId) =>
    client.appendToStream(
      streamId,
      [binaryEvent({ id: randomUUID(), type: 'PointsEarned', data: Buffer.from(DATA), metadata })],
      {
        expectedRevision: NO_STREAM,
      },
    );
  await compare('appends', (way) => measureAppends(way === 'adapter' ? byAdapter : byClient));
  const prefix = `catch-up-${randomUUID()}-`;
  await fill(prefix);
  await compare('catch-up', (way) => (way === 'adapter' ? catchUp(prefix) : catchUpBare(prefix)));
} finally {
  await store.close();
  await client.dispose();
  await standIn?.stop();
}
process.exitCode = wrong === 0 ? 0 : 1;

/** Both in turn, so that neither has the better moment. */
async function compare(measure, run) {
  const rates = { adapter: [], client: [] };
  for (let i = 1; i <= RUNS; i++)
    for (const way of i % 2 === 0 ? ['client', 'adapter'] : ['adapter', 'client']) {
      const perSecond = Math.round(await run(way));
      rates[way].push(perSecond);
      print({ measure, server, run: i, way, perSecond });
    }
  const [adapter, bare] = [rates.adapter, rates.client].map(spread);
  print({ measure, server, adapter, client: bare, share: Number((adapter.median / bare.median).toFixed(2)), wrong });
}

/** Each append opens a stream, as the dearest do. */
async function measureAppends(append) {
  const drive = async (seconds) => {
    const started = performance.now();
    const until = started + seconds * 1_000;
    let done = 0;
    const worker = async () => {
      while (performance.now() < until) {
        await append(`bench-${randomUUID()}`);
        done++;
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
    return (done / (performance.now() - started)) * 1_000;
  };
  await drive(WARM_UP_SECONDS);
  return drive(SECONDS);
}

async function fill(prefix) {
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

async function catchUp(prefix) {
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

async function catchUpBare(prefix) {
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

function spread(rates) {
  const sorted = rates.toSorted((a, b) => a - b);
  return { min: sorted[0], median: sorted[Math.floor(sorted.length / 2)], max: sorted.at(-1) };
}

function print(line) {
  console.log(JSON.stringify(line));
}
