import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';

const TOPIC = 'commerce.purchases';
const EVERY_MS = 200;
const TIMEOUT_MS = 180_000;
/** How much longer the plain consumer is waited for. It does not come back from everything: that is a figure of its own, and no fault of ours. */
const PLAIN_WAIT_MS = 30_000;
const SESSION_TIMEOUT_MS = 6_000;

/** Who buys what is published to probe a partition, so that it goes through the ledger: always the same, and nobody else speaks of him. */
export const probeBuyer = (partition) => `probe-buyer-${partition}`;

const HEAD = 'select coalesce(max(position), 0) as head from messaging.log';
/** The purchases of which Kafka has acknowledged what is told of them: the relay's place in the outbox is behind it. */
const TOLD = `
  select distinct substring(convert_from(l.value, 'UTF8') from '"purchaseId":"(probe-\\d+)"') as id
  from messaging.log l join messaging.topics t on t.id = l.topic
  join messaging.offsets o on o.topic = l.topic and o.partition = l.partition
  where t.name = 'loyalty.points' and l.position > $1 and l.position <= o.position and position('probe-'::bytea in l.value) > 0`;

/**
 * Finds out how long it takes until purchases flow again: on every partition one is published until what is told of the first of them is out on
 * `loyalty.points`, for which somebody has to take the partition, to follow the ledger and to send the outbox. A plain consumer of kafkajs
 * beside it, in a group of its own, tells how long the client alone needs to take them.
 */
export class Probes {
  #kafka;
  #log;
  #connect;
  #plain;
  #brokers;
  #seen = new Map();
  #number = 0;

  /** @param {{ kafka: import('../load/kafka-client.mjs').KafkaClient, log: import('../load/input-log.mjs').InputLog, connect: () => Promise<import('pg').Client> }} parts */
  constructor({ kafka, log, connect }) {
    this.#kafka = kafka;
    this.#log = log;
    this.#connect = connect;
  }

  /** Begins to consume as somebody does who uses kafkajs as it comes. */
  async open(brokers) {
    this.#brokers = brokers;
    const client = new kafkajs.Kafka({
      brokers,
      clientId: 'plain',
      logLevel: kafkajs.logLevel.NOTHING,
      retry: { retries: 20, initialRetryTime: 100, maxRetryTime: 2_000 },
    });
    this.#plain = client.consumer({
      groupId: 'harness-plain',
      sessionTimeout: SESSION_TIMEOUT_MS,
      heartbeatInterval: 1_000,
      maxWaitTimeInMs: 100,
    });
    await this.#plain.connect();
    await this.#plain.subscribe({ topic: TOPIC });
    await this.#plain.run({
      partitionsConsumedConcurrently: 6,
      eachMessage: async ({ message: { value } }) => {
        const id = /"id":"(probe-\d+)"/.exec(value?.toString('latin1') ?? '')?.[1];
        if (id !== undefined && !this.#seen.has(id)) this.#seen.set(id, performance.now());
      },
    });
  }

  async close() {
    await this.#plain?.disconnect().catch(() => undefined);
  }

  /**
   * Resolves when every partition flows. `oursMs` and `plainMs` are from now until the last of them did; `plainMs` is undefined where nobody
   * waited for it, and infinite where it did not come back.
   * @throws where ours did not flow in time
   * @param {number} partitions
   * @param {{ beside?: boolean }} options `beside`: whether the plain consumer was in the same trouble, and is waited for
   */
  async flowing(partitions, { beside = false } = {}) {
    const from = performance.now();
    const sent = Array.from({ length: partitions }, () => []);
    const ours = Array.from({ length: partitions }, () => undefined);
    const plain = Array.from({ length: partitions }, () => undefined);
    const pending = new Set();
    const client = await this.#connect();
    try {
      const [{ head }] = (await client.query(HEAD)).rows;
      for (let plainUntil = Infinity; ;) {
        const isWaiting = beside && performance.now() < plainUntil;
        const asked = [...sent.keys()].filter(
          (partition) => ours[partition] === undefined || (isWaiting && plain[partition] === undefined),
        );
        if (asked.length === 0) break;
        if (ours.every((at) => at !== undefined)) plainUntil = Math.min(plainUntil, performance.now() + PLAIN_WAIT_MS);
        if (performance.now() > from + TIMEOUT_MS)
          throw new Error(`after ${TIMEOUT_MS / 1_000} s purchases did not flow: ${JSON.stringify({ ours, plain })}`);
        // Not awaited: a producer that is still looking for the leader must not keep us from looking.
        for (const partition of asked) {
          if (pending.has(partition)) continue;
          pending.add(partition);
          void this.#publish(partition, sent[partition]).finally(() => pending.delete(partition));
        }
        await sleep(EVERY_MS);
        const now = performance.now();
        const told = new Set((await client.query(TOLD, [head])).rows.map(({ id }) => id));
        for (const partition of asked) {
          if (sent[partition].some((id) => told.has(id))) ours[partition] ??= now;
          plain[partition] ??= sent[partition].map((id) => this.#seen.get(id)).find((at) => at !== undefined);
        }
      }
    } finally {
      await client.end();
    }
    const plainMs = beside ? Math.max(...plain.map((at) => at ?? Infinity)) - from : undefined;
    if (plainMs === Infinity) {
      // The next fault finds one that works.
      await this.close();
      await this.open(this.#brokers);
    }
    return { oursMs: Math.max(...ours) - from, plainMs };
  }

  async #publish(partition, sent) {
    const member = `external:${probeBuyer(partition)}`;
    const id = `probe-${(this.#number += 1)}`;
    const event = {
      specversion: '1.0',
      id,
      source: '/probe',
      type: 'commerce.purchase.completed',
      data: {
        purchaseId: id,
        member,
        occurredAt: '2026-01-01T00:00:00Z',
        currency: 'EUR',
        lines: [{ lineId: '1', amount: 100 }],
        total: 100,
      },
    };
    const n = this.#log.sent({ op: 'purchase', door: 'bus', event });
    sent.push(id);
    try {
      await this.#kafka.publish(TOPIC, [{ key: member, partition, value: Buffer.from(JSON.stringify(event)) }]);
      this.#log.acknowledged(n);
    } catch {
      // The next one is as good.
    }
  }
}
