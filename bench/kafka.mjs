// How fast messages of a real Kafka reach an `@EventPattern` handler through our transport, against Nest's own with the same validation and handler.
//
//   node tools/build.mjs && node bench/kafka.mjs [--messages 200000] [--keys 23544] [--runs 3] [--dir .vafa-bench]
//
// Prints one JSON line a run and one a measure with min, median and max. Each run is a group of its own that reads everything from the beginning, ours
// and Nest's in turn. Ends with 1 where a message was missing, and with a line where there is no broker.
import { decodeMessage } from '@vafa/contracts';
import {
  connectTransport,
  KAFKA_DEFAULTS,
  KafkaMessageBus,
  messagingMigrations,
  PostgresDeadLetters,
  VafaTransport,
} from '@vafa/messaging';
import { Database, migrate, startEmbeddedPostgres } from '@vafa/persistence';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, Payload, Transport } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import kafkajs from 'kafkajs';
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { openKafka } from '../tools/kafka/engine.mjs';

const { values: options } = parseArgs({
  options: {
    messages: { type: 'string', default: '200000' },
    keys: { type: 'string', default: '23544' },
    runs: { type: 'string', default: '3' },
    dir: { type: 'string', default: '.vafa-bench' },
  },
});
const COUNT = Number(options.messages);
const KEYS = Number(options.keys);
const RUNS = Number(options.runs);
const PAGE_SIZE = 2_000;
const TYPE = 'commerce.purchase.completed';
const PREFIX = `bench-${randomBytes(4).toString('hex')}.`;

async function main(brokers) {
  const folder = resolve(options.dir);
  await rm(folder, { recursive: true, force: true });
  const server = await startEmbeddedPostgres({ dataDir: `${folder}/postgres`, port: 0, log: () => undefined });
  await migrate(server.url, [messagingMigrations], () => undefined);
  const { schema, role } = messagingMigrations;
  const database = await Database.connect({ url: server.url, schema, role, poolSize: 4, applicationName: 'bench' });
  const bus = new KafkaMessageBus({ settings: { ...KAFKA_DEFAULTS, brokers, prefix: PREFIX }, database });
  await bus.ensureTopics([{ name: 'purchases', partitions: 12, retentionMs: 3_600_000 }]);
  const rates = { publish: [], ours: [], pages: [], nest: [] };
  rates.publish.push(await timed('publish, pages', () => publishAll(bus)));
  for (let run = 1; run <= RUNS; run++) {
    rates.nest.push(await consume('consume, Nest’s own transport', (counter) => startNest(brokers, run, counter)));
    for (const [kind, page] of Object.entries({ ours: false, pages: true }))
      rates[kind].push(
        await consume(`consume, our transport${page ? ', pages' : ''}`, (counter) =>
          startOurs(bus, database, { group: `${kind}-${run}`, page }, counter),
        ),
      );
  }
  summarize('publish to Kafka, pages', rates.publish);
  summarize('consume from Kafka, our transport, a message at a time', rates.ours);
  summarize('consume from Kafka, Nest’s own transport', rates.nest);
  summarize('consume from Kafka, our transport, a page at a time', rates.pages);
  const times = (ours) => spreadOf(ours.map((rate, i) => rate / rates.nest[i]));
  print({ measure: 'our transport, times Nest’s own', ...times(rates.ours), unit: 'times' });
  print({ measure: 'our transport in pages, times Nest’s own', ...times(rates.pages), unit: 'times' });
  await bus.close();
  await database.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
  await dropTopics(brokers);
}

async function publishAll(bus) {
  for (let i = 0; i < COUNT; i += PAGE_SIZE) {
    const length = Math.min(PAGE_SIZE, COUNT - i);
    await bus.publish(Array.from({ length }, (_, nth) => purchase(i + nth)));
  }
}

/** Counts what reaches the handler: the rate is that from the first to the last, since joining a group takes its own time. */
class Counter {
  taken = 0;
  #done = Promise.withResolvers();
  done = this.#done.promise;

  take(event) {
    if (event.type !== TYPE) throw new Error(`a message of the type ${event.type}`);
    if (this.taken++ === 0) this.first = performance.now();
    if (this.taken === COUNT) {
      this.last = performance.now();
      this.#done.resolve();
    }
  }
}

async function startOurs(bus, database, { group, page }, counter) {
  class Purchases {
    on(payload) {
      if (page) for (const event of payload) counter.take(event);
      else counter.take(payload);
    }
  }
  const service = serviceOf(Purchases, TYPE, [], page ? { page } : undefined);
  const transport = new VafaTransport({
    bus,
    group,
    topics: ['purchases'],
    decode: decodeMessage,
    deadLetters: new PostgresDeadLetters(database, bus, randomBytes(32)),
    pageSize: PAGE_SIZE,
    onDeadLetters: ([letter]) => {
      throw new Error(letter.reason);
    },
    onError: (error) => print({ error: String(error) }),
  });
  const app = await NestFactory.create(service, new FastifyAdapter(), { logger: false });
  connectTransport(app, transport);
  await app.startAllMicroservices();
  return app;
}

/** Nest hands the bytes over as they are, so that they are parsed and validated once, by the same function. */
async function startNest(brokers, run, counter) {
  class Purchases {
    on(value, context) {
      const { headers, key } = context.getMessage();
      const decoded = decodeMessage(value, { headers, key });
      if (!decoded.ok) throw new Error(decoded.detail);
      counter.take(decoded.event);
    }
  }
  const service = serviceOf(Purchases, `${PREFIX}purchases`, [Ctx()]);
  const app = await NestFactory.create(service, new FastifyAdapter(), { logger: false });
  app.connectMicroservice({
    transport: Transport.KAFKA,
    options: {
      client: { clientId: 'nest', brokers, logLevel: kafkajs.logLevel.NOTHING },
      consumer: { groupId: `${PREFIX}nest-${run}` },
      subscribe: { fromBeginning: true },
      parser: { keepBinary: true },
    },
  });
  await app.startAllMicroservices();
  return app;
}

function serviceOf(Handler, pattern, further, extras) {
  const descriptor = Object.getOwnPropertyDescriptor(Handler.prototype, 'on');
  [Payload(), ...further].forEach((decorate, i) => decorate(Handler.prototype, 'on', i));
  EventPattern(pattern, extras)(Handler.prototype, 'on', descriptor);
  Controller()(Handler);
  class Service {}
  Module({ controllers: [Handler] })(Service);
  return Service;
}

async function consume(name, start) {
  const counter = new Counter();
  const cpu = process.cpuUsage();
  const app = await start(counter);
  await counter.done;
  const { user, system } = process.cpuUsage(cpu);
  await app.close();
  const perSecond = Math.round(COUNT / ((counter.last - counter.first) / 1_000));
  print({
    name,
    messages: counter.taken,
    perSecond,
    nodeCpuMicroseconds: Number(((user + system) / COUNT).toFixed(1)),
  });
  if (counter.taken !== COUNT) process.exitCode = 1;
  return perSecond;
}

async function timed(name, work) {
  const started = performance.now();
  await work();
  const perSecond = Math.round(COUNT / ((performance.now() - started) / 1_000));
  print({ name, messages: COUNT, perSecond });
  return perSecond;
}

const spreadOf = (figures) => {
  const sorted = figures.map((figure) => Number(figure.toFixed(2))).sort((a, b) => a - b);
  return { min: sorted[0], median: sorted[Math.floor((sorted.length - 1) / 2)], max: sorted.at(-1) };
};

function summarize(measure, rates) {
  print({ measure, ...spreadOf(rates), unit: 'messages/s' });
}

async function dropTopics(brokers) {
  const admin = new kafkajs.Kafka({ brokers, logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.deleteTopics({ topics: [`${PREFIX}purchases`] });
  await admin.disconnect();
}

function purchase(i) {
  const member = `card:${1e15 + (i % KEYS)}`;
  const occurredAt = '2026-01-01T00:00:00Z';
  const lines = [{ lineId: '1', sku: '85123A', quantity: '6', amount: 1530, tax: 244, kind: 'goods' }];
  const data = {
    purchaseId: `p-${i}`,
    member,
    occurredAt,
    currency: 'EUR',
    lines,
    total: 1530,
    channel: 'pos',
    store: 'tehran-12',
  };
  const envelope = {
    specversion: '1.0',
    id: `p-${i}`,
    source: '/pos/tehran-12',
    type: TYPE,
    time: occurredAt,
    datacontenttype: 'application/json',
  };
  const headers = { 'content-type': 'application/cloudevents+json' };
  return { topic: 'purchases', key: member, value: Buffer.from(JSON.stringify({ ...envelope, data })), headers };
}

function print(line) {
  console.log(JSON.stringify(line));
}

const kafka = await openKafka();
if (kafka === undefined) {
  console.log('No Kafka: set VAFA_TEST_KAFKA_BROKERS, as in VAFA_TEST_KAFKA_BROKERS=127.0.0.1:9092.');
} else {
  try {
    await main(kafka.brokers);
  } finally {
    await kafka.close();
  }
}
