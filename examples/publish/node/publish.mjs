#!/usr/bin/env node
// Publishes one purchase on Kafka as a structured CloudEvent, and reads on loyalty.points what became of it. It knows the AsyncAPI, and nothing
// else of the club.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import kafkajs from 'kafkajs';

const HELP = `node publish.mjs: publishes a purchase and says what became of it

Settings are environment variables:
  KAFKA_BROKERS         host:port, several with commas          127.0.0.1:9092
  KAFKA_CA              PEM file of the brokers' authority: encrypts the connection
  KAFKA_SASL_MECHANISM  plain, scram-sha-256 or scram-sha-512, with KAFKA_USERNAME and KAFKA_PASSWORD
  KAFKA_GROUP           the consumer group that reads outcomes  publish-example-…, a new one
  TOPIC_PREFIX          what the club puts before its topics
  SOURCE                who sends: a till, a shop; chosen once  /examples/node
  PURCHASE_ID           its number there                        a new one
  MEMBER                member:…, card:… or external:…          external:07592
  AMOUNT                cents of its one line                   1530
  OCCURRED_AT           when it was, with an offset or Z        now
  WAIT_SECONDS          how long the outcome is waited for      30

Exit code: 0 accepted, or waiting for its member; 1 refused, not acknowledged or nothing heard; 2 wrong usage.
`;

const EXIT = { done: 0, failed: 1, usage: 2 };
const DELIVERY_TIMEOUT_MS = 120_000;
const BACKOFF_MS = 200;
const BACKOFF_MS_MAX = 5_000;

function readSettings(env) {
  const settings = {
    brokers: (env.KAFKA_BROKERS || '127.0.0.1:9092').split(','),
    ca: env.KAFKA_CA,
    mechanism: env.KAFKA_SASL_MECHANISM,
    username: env.KAFKA_USERNAME,
    password: env.KAFKA_PASSWORD,
    // A service that listens for ever has one name, and its offsets are kept under it.
    group: env.KAFKA_GROUP || `publish-example-${randomUUID()}`,
    prefix: env.TOPIC_PREFIX || '',
    source: env.SOURCE || '/examples/node',
    purchaseId: env.PURCHASE_ID || randomUUID(),
    member: env.MEMBER || 'external:07592',
    amount: Number(env.AMOUNT || '1530'),
    // The same whenever the purchase is sent again: it belongs to the purchase, and another time would be another content.
    occurredAt: env.OCCURRED_AT || new Date().toISOString(),
    waitMs: Number(env.WAIT_SECONDS || '30') * 1_000,
  };
  if (!Number.isSafeInteger(settings.amount) || settings.amount < 0)
    throw new RangeError('AMOUNT must be a whole number of cents');
  if (!(settings.waitMs > 0)) throw new RangeError('WAIT_SECONDS must be a number above 0');
  if (settings.mechanism !== undefined && (!settings.username || !settings.password))
    throw new RangeError('KAFKA_SASL_MECHANISM needs KAFKA_USERNAME and KAFKA_PASSWORD');
  return settings;
}

const clientOf = ({ brokers, ca, mechanism, username, password }) =>
  new kafkajs.Kafka({
    clientId: 'publish-example',
    brokers,
    logLevel: kafkajs.logLevel.NOTHING,
    ...(ca && { ssl: { ca: [readFileSync(ca)] } }),
    ...(mechanism && { sasl: { mechanism, username, password } }),
  });

/** The purchase as a message. Money is in cents; the key is the member reference, so that all purchases of a member stay in order. */
function messageOf({ source, purchaseId, member, amount, occurredAt }) {
  const data = {
    purchaseId,
    member,
    occurredAt,
    currency: 'EUR',
    lines: [{ lineId: '1', amount, kind: 'goods' }],
    total: amount,
  };
  const event = {
    specversion: '1.0',
    id: randomUUID(),
    source,
    type: 'commerce.purchase.completed',
    time: new Date().toISOString(),
    datacontenttype: 'application/json',
    data,
  };
  return { key: member, value: JSON.stringify(event), headers: { 'content-type': 'application/cloudevents+json' } };
}

/**
 * Sends messages until every copy that the topic asks for has them. The producer must not repeat anything itself: when a leader moves, kafkajs
 * 2.2.4 acknowledges what it left out (tulios/kafkajs#1798). So the whole call is sent again, which is harmless: a purchase counts once.
 */
async function deliver(producer, topic, messages) {
  const deadline = performance.now() + DELIVERY_TIMEOUT_MS;
  for (let backoff = BACKOFF_MS; ; backoff = Math.min(backoff * 2, BACKOFF_MS_MAX)) {
    try {
      return await producer.send({ topic, acks: -1, messages });
    } catch (error) {
      if (isForGood(error) || performance.now() > deadline) throw error;
      console.error(`not acknowledged, sent again: ${error.message}`);
      await pause(backoff);
    }
  }
}

// Told by its type: kafkajs calls no error retriable once its own repetitions, of which there are none, are used up.
const isForGood = (error) => {
  const { type } = error.cause ?? error;
  return type === 'MESSAGE_TOO_LARGE' || type === 'TOPIC_AUTHORIZATION_FAILED';
};

/** Hands over what becomes of purchases of this source, from where the topic ends now: what is published afterwards is not missed. */
async function listen(kafka, { group, prefix, source }, onOutcome) {
  const topic = `${prefix}loyalty.points`;
  const admin = kafka.admin();
  let ends;
  try {
    await admin.connect();
    ends = await admin.fetchTopicOffsets(topic);
  } finally {
    await admin.disconnect();
  }
  const consumer = kafka.consumer({ groupId: group, maxWaitTimeInMs: 500 });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: false });
  await consumer.run({
    eachMessage: async ({ message }) => {
      const event = JSON.parse(message.value.toString());
      // Ignore what you do not know: types and fields are added.
      if (/^loyalty\.purchase\.(accepted|waiting|refused)$/.test(event.type) && event.data.source === source)
        onOutcome(event);
    },
  });
  for (const { partition, offset } of ends) consumer.seek({ topic, partition, offset });
  return consumer;
}

/** @returns the first event that tells of the purchase; undefined where none comes in time */
async function publish(kafka, settings) {
  const { promise: heard, resolve } = promiseOf();
  const consumer = await listen(kafka, settings, (event) => {
    if (event.data.purchaseId === settings.purchaseId) resolve(event);
  });
  const producer = kafka.producer({
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    retry: { retries: 0 },
  });
  const cancel = new AbortController();
  try {
    await producer.connect();
    const topic = `${settings.prefix}commerce.purchases`;
    const [{ partition, baseOffset }] = await deliver(producer, topic, [messageOf(settings)]);
    console.error(`acknowledged: ${topic}, partition ${partition}, offset ${baseOffset}`);
    return await Promise.race([heard, pause(settings.waitMs, undefined, { signal: cancel.signal })]);
  } finally {
    cancel.abort();
    await Promise.allSettled([producer.disconnect(), consumer.disconnect()]);
  }
}

// Promise.withResolvers is of Node 22.
function promiseOf() {
  let resolve;
  const promise = new Promise((settle) => (resolve = settle));
  return { promise, resolve };
}

async function main() {
  if (process.argv.slice(2).some((word) => word === '--help' || word === '-h')) {
    console.log(HELP);
    return EXIT.done;
  }
  let settings;
  try {
    settings = readSettings(process.env);
    if (process.argv.length > 2) throw new RangeError(`nothing is expected on the command line; see --help`);
  } catch (error) {
    console.error(error.message);
    return EXIT.usage;
  }
  try {
    const event = await publish(clientOf(settings), settings);
    if (event === undefined) {
      console.error(
        `${settings.source} ${settings.purchaseId}: acknowledged, and nothing heard of it. An outcome is told once; over HTTP it can be asked for.`,
      );
      return EXIT.failed;
    }
    console.log(JSON.stringify({ type: event.type, ...event.data }));
    return event.type === 'loyalty.purchase.refused' ? EXIT.failed : EXIT.done;
  } catch (error) {
    console.error(error.message);
    return EXIT.failed;
  }
}

process.exitCode = await main();
