// How fast the bus takes and gives messages, on an embedded PostgreSQL with fsync on.
//
//   node tools/build.mjs && node bench/bus.mjs [--messages 200000] [--keys 23544] [--runs 3] [--page 2000] [--dir .vafa-bench]
//
// Prints one JSON line a run and one a measure with min, median and max. Every run is compared with what was published: each message once,
// each key in its order; a difference is exit code 1.
import { decodeMessage } from '@vafa/contracts';
import {
  connectTransport,
  enqueueEvents,
  messagingMigrations,
  PostgresDeadLetters,
  PostgresMessageBus,
  VafaTransport,
} from '@vafa/messaging';
import { Database, migrate, startEmbeddedPostgres } from '@vafa/persistence';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: {
    messages: { type: 'string', default: '200000' },
    keys: { type: 'string', default: '23544' },
    runs: { type: 'string', default: '3' },
    page: { type: 'string', default: '2000' },
    dir: { type: 'string', default: '.vafa-bench' },
  },
});
const COUNT = Number(options.messages);
const KEYS = Number(options.keys);
const RUNS = Number(options.runs);
const PAGE_SIZE = Number(options.page);
const IN_FLIGHT = 64;
const TYPE = 'commerce.purchase.completed';
const TOPICS = ['purchases', 'singles', 'points', 'latency'];

const folder = resolve(options.dir);
await rm(folder, { recursive: true, force: true });
const server = await startEmbeddedPostgres({ dataDir: `${folder}/postgres`, port: 0, log: () => undefined });
await migrate(server.url, [messagingMigrations], () => undefined);
const { schema, role } = messagingMigrations;
const database = await Database.connect({ url: server.url, schema, role, poolSize: 4, applicationName: 'bench' });
const bus = new PostgresMessageBus(database);
await bus.ensureTopics(TOPICS.map((name) => ({ name, partitions: 12, retentionMs: 3_600_000 })));

let differences = 0;
const messages = Array.from({ length: COUNT }, (_, i) => purchase('purchases', i));
let published = 0;

await measure('publish, pages', async () => {
  for (let i = 0; i < COUNT; i += PAGE_SIZE) await bus.publish(messages.slice(i, i + PAGE_SIZE));
  published += COUNT;
  return COUNT;
});
await measure(`publish, one a call, ${IN_FLIGHT} in flight`, async () => {
  const count = Math.min(COUNT, 50_000);
  let next = 0;
  const loop = async () => {
    while (next < count) await bus.publish([purchase('singles', next++)]);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop));
  return count;
});
await measure('enqueue with sequences, pages', async () => {
  for (let i = 0; i < COUNT; i += PAGE_SIZE) {
    const events = messages.slice(i, i + PAGE_SIZE).map(({ key, event }) => ({ topic: 'points', key, event }));
    await database.transaction((uow) => enqueueEvents(uow, bus, events));
  }
  return COUNT;
});
await measure('consume, raw pages', (run) => consumeRaw(`raw-${run}`));
await measure('consume, Nest page handler with decoding', (run) => consumeByNest(`nest-${run}`));
await latency();
print({ check: differences === 0 ? 'each message once, each key in its order' : 'messages differ', differences });

await bus.close();
await database.close();
await server.stop();
await rm(folder, { recursive: true, force: true });
process.exitCode = differences === 0 ? 0 : 1;

async function consumeRaw(group) {
  const check = checker();
  const handler = async (batch) => check.take(batch.messages);
  const subscription = await bus.subscribe({ group, topics: ['purchases'], pageSize: PAGE_SIZE, handler });
  await check.done;
  await subscription.close();
  return published;
}

async function consumeByNest(group) {
  const check = checker();
  class Purchases {
    on(events, context) {
      check.take(context.messages);
    }
  }
  const descriptor = Object.getOwnPropertyDescriptor(Purchases.prototype, 'on');
  Payload()(Purchases.prototype, 'on', 0);
  Ctx()(Purchases.prototype, 'on', 1);
  EventPattern(TYPE, { page: true })(Purchases.prototype, 'on', descriptor);
  Controller()(Purchases);
  class Service {}
  Module({ controllers: [Purchases] })(Service);
  const deadLetters = new PostgresDeadLetters(database, bus, randomBytes(32));
  const transport = new VafaTransport({
    bus,
    group,
    topics: ['purchases'],
    decode: decodeMessage,
    deadLetters,
    pageSize: PAGE_SIZE,
    onDeadLetters: (letters) => {
      differences += letters.length;
      print({ deadLetters: letters.length, reason: letters[0].reason });
    },
    onError: (error) => print({ error: String(error) }),
  });
  const app = await NestFactory.create(Service, new FastifyAdapter(), { logger: false });
  connectTransport(app, transport);
  await app.startAllMicroservices();
  await check.done;
  await app.close();
  return published;
}

/** Sees every message once and each key in its order; repetitions of the whole stream are counted as further runs. */
function checker() {
  const next = new Map();
  let taken = 0;
  const done = Promise.withResolvers();
  const take = (received) => {
    for (const { key, headers } of received) {
      const sequence = Number(headers.n);
      if ((next.get(key) ?? 0) % perKey(key) !== sequence) differences++;
      next.set(key, (next.get(key) ?? 0) + 1);
    }
    taken += received.length;
    if (taken > published) differences += taken - published;
    if (taken >= published) done.resolve();
  };
  return { take, done: done.promise };
}

/** From publish to handler, one message at a time at a modest rate. */
async function latency() {
  const latencies = [];
  const sent = new Map();
  const handler = async (batch) => {
    const now = performance.now();
    for (const { headers } of batch.messages) latencies.push(now - sent.get(headers.n));
  };
  const subscription = await bus.subscribe({ group: 'latency', topics: ['latency'], pageSize: PAGE_SIZE, handler });
  await pause(500);
  const count = 2_000;
  for (let i = 0; i < count; i++) {
    const message = purchase('latency', i);
    message.headers.n = String(i);
    sent.set(message.headers.n, performance.now());
    void bus.publish([message]);
    await pause(1);
  }
  while (latencies.length < count) await pause(10);
  await subscription.close();
  latencies.sort((a, b) => a - b);
  const at = (share) => Number(latencies[Math.floor((count - 1) * share)].toFixed(2));
  print({ measure: 'publish to handler, about 800/s', p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) });
}

async function measure(name, work) {
  const rates = [];
  for (let run = 1; run <= RUNS; run++) {
    const started = performance.now();
    const cpu = process.cpuUsage();
    const count = await work(run);
    const seconds = (performance.now() - started) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    rates.push(Math.round(count / seconds));
    const nodeCpuMicroseconds = Number(((user + system) / count).toFixed(1));
    print({
      run,
      name,
      messages: count,
      seconds: Number(seconds.toFixed(2)),
      perSecond: rates.at(-1),
      nodeCpuMicroseconds,
    });
  }
  rates.sort((a, b) => a - b);
  const median = rates[Math.floor(rates.length / 2)];
  print({ measure: name, min: rates[0], median, max: rates.at(-1), unit: 'messages/s' });
}

function perKey(key) {
  const number = Number(key.slice('card:'.length)) - 1e15;
  return Math.floor((COUNT - 1 - number) / KEYS) + 1;
}

function purchase(topic, i) {
  const member = `card:${1e15 + (i % KEYS)}`;
  const occurredAt = '2026-01-01T00:00:00Z';
  const lines = [{ lineId: '1', sku: '85123A', quantity: '6', amount: 1530, tax: 244, kind: 'goods' }];
  const event = {
    specversion: '1.0',
    id: `p-${i}`,
    source: '/pos/tehran-12',
    type: TYPE,
    time: occurredAt,
    datacontenttype: 'application/json',
    data: {
      purchaseId: `p-${i}`,
      member,
      occurredAt,
      currency: 'EUR',
      lines,
      total: 1530,
      channel: 'pos',
      store: 'tehran-12',
    },
  };
  const headers = { n: String(Math.floor(i / KEYS)) };
  return { topic, key: member, value: Buffer.from(JSON.stringify(event)), headers, event };
}

function print(line) {
  console.log(JSON.stringify(line));
}
