import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Database, migrate } from '@vafa/persistence';
import {
  dropKafkaTopics,
  eventually,
  KAFKA_REQUEST,
  kafkaPrefix,
  KafkaProxy,
  testKafka,
  withTestDatabase,
  type RequestFate,
} from '@vafa/testing';
import { setTimeout as pause } from 'node:timers/promises';
import type { Message } from '../message-bus.js';
import { messagingMigrations } from '../postgres/migrations.js';
import { KafkaMessageBus } from './kafka-message-bus.js';
import { KAFKA_DEFAULTS } from './kafka-settings.js';

const kafka = testKafka();
const seeds = (process.env['VAFA_TEST_KAFKA_LOSSY_SEEDS'] ?? '1,2').split(',').map(Number);

const HOUR_MS = 3_600_000;
const SESSION_MS = 6_000;
const LOSSY_MS = 20_000;
const PAGE = 20;
const KEYS = 20;
/** Of a thousand requests. */
const LOST: readonly (readonly [RequestFate, number])[] = [
  ['lose', 40],
  ['lose-answer', 40],
  ['forget', 5],
];

/** The same numbers for the same seed. */
const randomOf = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};

(kafka === undefined ? describe.skip : describe)('on a network that loses requests and answers of every kind', () => {
  const brokers = kafka?.brokers ?? [];
  const prefix = kafkaPrefix();
  const buses: KafkaMessageBus[] = [];
  let database: Database;
  let proxy: KafkaProxy;
  afterAll(async () => {
    await Promise.all(buses.map((bus) => bus.close()));
    await proxy.close();
    await database.close();
    await dropKafkaTopics(brokers, prefix);
  });
  const test = withTestDatabase();

  beforeAll(async () => {
    await migrate(test.url, [messagingMigrations], () => undefined);
    const { schema, role } = messagingMigrations;
    const onError = (): void => undefined;
    database = await Database.connect({ url: test.url, schema, role, poolSize: 4, applicationName: 'kafka', onError });
    proxy = await KafkaProxy.open(brokers);
  });

  const open = (addresses: readonly string[]): KafkaMessageBus => {
    const settings = { ...KAFKA_DEFAULTS, brokers: addresses, prefix, sessionTimeoutMs: SESSION_MS };
    const bus = new KafkaMessageBus({ settings, database, startDeadlineMs: 20_000, publishDeadlineMs: 30_000 });
    buses.push(bus);
    return bus;
  };

  it.each(seeds)(
    'takes everything, each key in its order, and goes on (seed %i)',
    async (seed) => {
      const random = randomOf(seed);
      const topic = `orders-${seed}`;
      const [one, other, publisher] = [open(proxy.brokers), open(proxy.brokers), open(proxy.brokers)];
      for (const bus of [one, other, publisher])
        await bus.ensureTopics([{ name: topic, partitions: 6, retentionMs: HOUR_MS }]);
      const seen = new Map<string | null, number[]>();
      for (const bus of [one, other])
        await bus.subscribe({
          group: topic,
          topics: [topic],
          pageSize: 100,
          handler: async ({ messages, isStale }) => {
            await pause(random() * 20);
            if (isStale()) throw new Error('somebody else has them');
            for (const { key, value } of messages) seen.set(key, [...(seen.get(key) ?? []), Number(value)]);
          },
        });
      proxy.fateOf = (request) => {
        let at = random() * 1_000;
        const fate = LOST.find(([, share]) => (at -= share) < 0)?.[0] ?? 'pass';
        // The client waits over a minute for the answer to a wish to join, which is as long as the group may take.
        return fate === 'forget' && request === KAFKA_REQUEST.joinGroup ? 'lose' : fate;
      };
      let next = 0;
      const unknown = new Set<number>();
      const publish = async (): Promise<void> => {
        const page = Array.from({ length: PAGE }, (): Message => {
          const n = next++;
          return { topic, key: `k${n % KEYS}`, value: Buffer.from(String(n)) };
        });
        await publisher.publish(page).catch(() => page.forEach(({ value }) => unknown.add(Number(value))));
      };
      for (const until = performance.now() + LOSSY_MS; performance.now() < until; await pause(20)) await publish();
      proxy.fateOf = () => 'pass';
      await publish();
      await eventually(() => {
        const taken = new Set([...seen.values()].flat());
        const missing = Array.from({ length: next }, (_, n) => n).filter((n) => !taken.has(n) && !unknown.has(n));
        expect(missing).toEqual([]);
      }, 60_000);
      // What comes twice may come after what was taken in between: the first sight of each is in order.
      for (const numbers of seen.values()) {
        const first = [...new Set(numbers)].filter((n) => !unknown.has(n));
        expect(first).toEqual(first.toSorted((a, b) => a - b));
      }
      await Promise.all([one, other, publisher].map((bus) => bus.close()));
    },
    180_000,
  );
});
