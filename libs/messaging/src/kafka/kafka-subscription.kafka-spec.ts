import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Database, migrate } from '@vafa/persistence';
import {
  dropKafkaTopics,
  eventually,
  KAFKA_REQUEST,
  kafkaPrefix,
  KafkaProxy,
  testKafka,
  withAdmin,
  withTestDatabase,
  type RequestFate,
} from '@vafa/testing';
import kafkajs from 'kafkajs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Batch, Message, Subscription } from '../message-bus.js';
import { messagingMigrations } from '../postgres/migrations.js';
import { KafkaMessageBus } from './kafka-message-bus.js';
import { KAFKA_DEFAULTS } from './kafka-settings.js';

const kafka = testKafka();
const seeds = (process.env['VAFA_TEST_KAFKA_LOSSY_SEEDS'] ?? '1,2').split(',').map(Number);

const HOUR_MS = 3_600_000;
const SESSION_MS = 6_000;
/** Longer than a test waits: nobody is gone because a session ran out. */
const LONG_SESSION_MS = 5 * 60_000;
const WISHES_MS = 150;
/** Longer than the rest of a join takes once the other member has left. */
const STAYS_MS = 3_000;

/** Sooner than the client asks anew for what it could not read: by then it would have given up its connections by itself. */
const HEALED_MS = 8_000;

const LOSSY_MS = 20_000;
/** What was forgotten is waited for, ten seconds each time. */
const HEALED_MS_MAX = 120_000;
const PAGE = 20;
const KEYS = 20;
/** Of a thousand requests. */
const LOST: readonly (readonly [RequestFate, number])[] = [
  ['lose', 40],
  ['lose-answer', 20],
  ['halve-answer', 20],
  ['forget', 2],
];

/** The same numbers for the same seed (mulberry32). */
const randomOf = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};

/** Bytes as a frame of LZ4 that keeps them as they are: one block, marked as not compressed. */
const lz4Frame = (bytes: Buffer): Buffer => {
  const header = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE((bytes.length | 0x80_00_00_00) >>> 0);
  return Buffer.concat([header, length, bytes, Buffer.alloc(4)]);
};

/** As a client of another language does; ours knows no LZ4, neither before nor after. */
const publishInLz4 = async (brokers: readonly string[], topic: string, text: string): Promise<void> => {
  const codecs = kafkajs.CompressionCodecs as Record<number, unknown>;
  const { LZ4 } = kafkajs.CompressionTypes;
  const unknown = codecs[LZ4];
  const producer = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).producer({
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  try {
    codecs[LZ4] = () => ({ compress: (encoder: { buffer: Buffer }) => Promise.resolve(lz4Frame(encoder.buffer)) });
    await producer.send({ topic, compression: LZ4, messages: [{ value: text }] });
  } finally {
    codecs[LZ4] = unknown;
    await producer.disconnect();
  }
};

(kafka === undefined ? describe.skip : describe)('a member of a group', () => {
  const brokers = kafka?.brokers ?? [];
  const prefix = kafkaPrefix();
  const buses: KafkaMessageBus[] = [];
  let topics = 0;
  let topic: string;
  let database: Database;
  let proxy: KafkaProxy;
  afterAll(async () => {
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

  beforeEach(() => {
    topic = `orders-${(topics += 1)}`;
  });

  afterEach(async () => {
    proxy.fateOf = () => 'pass';
    proxy.mend();
    await Promise.all(buses.splice(0).map((bus) => bus.close()));
  });

  const open = async (addresses: readonly string[], sessionTimeoutMs = SESSION_MS): Promise<KafkaMessageBus> => {
    const settings = { ...KAFKA_DEFAULTS, brokers: addresses, prefix, sessionTimeoutMs };
    const onFatal = (error: Error): never => expect(error).toBeUndefined() as never;
    const bus = new KafkaMessageBus({
      settings,
      database,
      startDeadlineMs: 20_000,
      publishDeadlineMs: 30_000,
      onFatal,
    });
    buses.push(bus);
    await bus.ensureTopics([{ name: topic, partitions: 6, retentionMs: HOUR_MS }]);
    return bus;
  };
  const join = (bus: KafkaMessageBus, handler: (batch: Batch) => Promise<void>): Promise<Subscription> =>
    bus.subscribe({ group: topic, topics: [topic], pageSize: 10, handler });
  const group = async (): Promise<{ state: string; members: number }> => {
    const { groups } = await withAdmin(brokers, (admin) => admin.describeGroups([prefix + topic]));
    return { state: groups[0]?.state ?? '', members: groups[0]?.members.length ?? 0 };
  };
  const message = (key: string, text: string): Message => ({ topic, key, value: Buffer.from(text) });

  it('that is closed while it joins is gone for good', async () => {
    const bus = await open(brokers, LONG_SESSION_MS);
    const nothing = (): Promise<void> => Promise.resolve();
    const first = await join(bus, nothing);
    await eventually(async () => expect(await group()).toEqual({ state: 'Stable', members: 1 }));
    const second = await join(bus, nothing);
    // The coordinator has its wish by then, and answers it once the first has heard of it or left.
    await pause(WISHES_MS);
    await Promise.all([second.close(), first.close()]);
    await eventually(async () => expect(await group()).toEqual({ state: 'Empty', members: 0 }));
    await pause(STAYS_MS);
    expect(await group()).toEqual({ state: 'Empty', members: 0 });
  }, 120_000);

  /** What the client does when its wish to join, or its question for its partitions, is lost: it goes on as if nothing had happened. */
  describe('whose way into it is lost', () => {
    const consume = async (bus: KafkaMessageBus): Promise<{ taken: Set<string>; subscription: Subscription }> => {
      const taken = new Set<string>();
      const subscription = await join(bus, async ({ messages, isStale }) => {
        if (isStale()) throw new Error('somebody else has them');
        for (const { value } of messages) taken.add(value.toString());
      });
      return { taken, subscription };
    };
    /** As many keys as make sure that every partition has some. */
    const texts = (name: string): string[] => Array.from({ length: 60 }, (_, i) => `${name}-${i}`);
    const hasAll = (taken: ReadonlySet<string>, wanted: readonly string[]): void =>
      expect(wanted.filter((text) => !taken.has(text))).toEqual([]);

    it('takes what comes after its wish to join was lost', async () => {
      const [direct, proxied] = [await open(brokers), await open(proxy.brokers)];
      const { taken } = await consume(proxied);
      await direct.publish(texts('before').map((text) => message(text, text)));
      await eventually(() => hasAll(taken, texts('before')));
      proxy.cut();
      await eventually(async () => expect(await group()).toEqual({ state: 'Empty', members: 0 }));
      let lost = 0;
      proxy.fateOf = (request) => (request === KAFKA_REQUEST.joinGroup && lost++ < 1 ? 'lose' : 'pass');
      proxy.mend();
      await direct.publish(texts('after').map((text) => message(text, text)));
      await eventually(() => hasAll(taken, texts('after')));
      expect(lost).toBeGreaterThan(0);
    }, 180_000);

    it('takes its new partitions after word of them was lost', async () => {
      const [direct, proxied] = [await open(brokers), await open(proxy.brokers)];
      const { taken } = await consume(proxied);
      const other = await consume(direct);
      await eventually(async () => expect(await group()).toEqual({ state: 'Stable', members: 2 }));
      await direct.publish(texts('before').map((text) => message(text, text)));
      await eventually(() => hasAll(new Set([...taken, ...other.taken]), texts('before')));
      const strangers = [...other.taken].filter((text) => !taken.has(text));
      expect(strangers).not.toEqual([]);
      let lost = 0;
      proxy.fateOf = (request) => (request === KAFKA_REQUEST.syncGroup && lost++ < 1 ? 'lose-answer' : 'pass');
      await other.subscription.close();
      await eventually(() => expect(lost).toBeGreaterThan(0));
      await eventually(async () => expect(await group()).toEqual({ state: 'Stable', members: 1 }));
      // Nothing else: what comes of a partition that it had all along would tell it.
      await direct.publish(strangers.map((key) => message(key, `after-${key}`)));
      await eventually(() =>
        hasAll(
          taken,
          strangers.map((key) => `after-${key}`),
        ),
      );
    }, 180_000);
  });

  it('reads on after a connection that broke in the middle of an answer', async () => {
    const [direct, proxied] = [await open(brokers), await open(proxy.brokers)];
    const taken = new Set<string>();
    await join(proxied, async ({ messages }) => messages.forEach(({ value }) => taken.add(value.toString())));
    await eventually(async () => expect(await group()).toEqual({ state: 'Stable', members: 1 }));
    let halved = 0;
    proxy.fateOf = (request) => (request === KAFKA_REQUEST.fetch && halved++ < 3 ? 'halve-answer' : 'pass');
    await eventually(() => expect(halved).toBeGreaterThan(3));
    await direct.publish([message('a', 'x')]);
    await eventually(() => expect([...taken]).toEqual(['x']), HEALED_MS);
  }, 120_000);

  it('reads what is compressed in a way that only the broker knows', async () => {
    const bus = await open(brokers);
    const taken: string[] = [];
    await join(bus, async ({ messages }) => void taken.push(...messages.map(({ value }) => value.toString())));
    await publishInLz4(brokers, prefix + topic, 'compressed');
    await eventually(() => expect(taken).toEqual(['compressed']));
  }, 120_000);

  it.each(seeds)(
    'takes everything in order over a network that loses requests and answers (seed %i)',
    async (seed) => {
      const random = randomOf(seed);
      const [one, other, publisher] = [
        await open(proxy.brokers),
        await open(proxy.brokers),
        await open(proxy.brokers),
      ] as const;
      const seen = new Map<string | null, number[]>();
      for (const bus of [one, other])
        await join(bus, async ({ messages, isStale }) => {
          await pause(random() * 20);
          if (isStale()) throw new Error('somebody else has them');
          for (const { key, value } of messages) seen.set(key, [...(seen.get(key) ?? []), Number(value)]);
        });
      proxy.fateOf = (request) => {
        let at = random() * 1_000;
        const fate = LOST.find(([, share]) => (at -= share) < 0)?.[0] ?? 'pass';
        // The client waits for the answer to a wish to join as long as the group may take to gather, and longer.
        return fate === 'forget' && request === KAFKA_REQUEST.joinGroup ? 'lose' : fate;
      };
      let next = 0;
      const unknown = new Set<number>();
      const publish = async (): Promise<void> => {
        const numbers = Array.from({ length: PAGE }, () => next++);
        const page = numbers.map((n) => message(`k${n % KEYS}`, String(n)));
        await publisher.publish(page).catch(() => numbers.forEach((n) => unknown.add(n)));
      };
      for (const until = performance.now() + LOSSY_MS; performance.now() < until; await pause(20)) await publish();
      proxy.fateOf = () => 'pass';
      await publish();
      await eventually(() => {
        const taken = new Set([...seen.values()].flat());
        const missing = Array.from({ length: next }, (_, n) => n).filter((n) => !taken.has(n) && !unknown.has(n));
        expect(missing).toEqual([]);
      }, HEALED_MS_MAX);
      // What comes twice may come after what was taken in between: the first sight of each is in order.
      for (const numbers of seen.values()) {
        const first = [...new Set(numbers)].filter((n) => !unknown.has(n));
        expect(first).toEqual(first.toSorted((a, b) => a - b));
      }
    },
    300_000,
  );
});
