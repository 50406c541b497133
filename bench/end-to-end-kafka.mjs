import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';

const POLL_MS = 100;
const REST_TIMEOUT_MS = 600_000;
const { Kafka, logLevel, Partitioners } = kafkajs;

/**
 * Kafka as the bus of an installation: its settings, a producer as anybody's, and the wait until its consumers have taken everything. Topics have a
 * prefix of their own and are dropped at the end.
 * @param {string[]} brokers
 */
export async function kafkaBus(brokers) {
  const prefix = `bench-${randomBytes(4).toString('hex')}.`;
  const kafka = new Kafka({ clientId: 'bench', brokers, logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  const headers = { 'content-type': 'application/cloudevents+json' };
  return {
    env: { VAFA_KAFKA_BROKERS: brokers.join(','), VAFA_KAFKA_PREFIX: prefix },
    send: async (messages) => {
      const topic = `${prefix}commerce.purchases`;
      await producer.send({ topic, messages: messages.map((message) => ({ ...message, headers })) });
    },
    close: async () => {
      await producer.disconnect();
      const admin = kafka.admin();
      await admin.connect();
      const topics = (await admin.listTopics()).filter((name) => name.startsWith(prefix));
      if (topics.length > 0) await admin.deleteTopics({ topics });
      await admin.disconnect();
    },
  };
}

/** Waits until no consumer of an installation is behind. */
export async function consumersAtRest({ run: { api } }) {
  const until = performance.now() + REST_TIMEOUT_MS;
  for (;;) {
    const { services = {} } = await (await fetch(`${api}/health/ready`)).json();
    const consumers = Object.values(services).flatMap(({ checks }) => checks.consumer ?? []);
    if (consumers.length > 0 && consumers.every(({ ok, figures }) => ok && figures?.messagesBehind === 0)) return;
    if (performance.now() > until) throw new Error(`consumers are behind after ${REST_TIMEOUT_MS / 1_000} s`);
    // Readiness keeps its answer for half a second.
    await sleep(POLL_MS);
  }
}
