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
} from '@vafa/testing';
import { setTimeout as pause } from 'node:timers/promises';
import type { Subscription } from '../message-bus.js';
import { messagingMigrations } from '../postgres/migrations.js';
import { KafkaMessageBus } from './kafka-message-bus.js';
import { KAFKA_DEFAULTS } from './kafka-settings.js';

const kafka = testKafka();
const HOUR_MS = 3_600_000;
const WISHES_MS = 150;
const SESSION_MS = 6_000;
/** Longer than the rest of a join takes once the other member has left. */
const STAYS_MS = 3_000;

(kafka === undefined ? describe.skip : describe)('a member of a group', () => {
  const brokers = kafka?.brokers ?? [];
  const prefix = kafkaPrefix();
  let database: Database;
  let bus: KafkaMessageBus;
  afterAll(async () => {
    await bus.close();
    await database.close();
    await dropKafkaTopics(brokers, prefix);
  });
  const test = withTestDatabase();

  beforeAll(async () => {
    await migrate(test.url, [messagingMigrations], () => undefined);
    const { schema, role } = messagingMigrations;
    const onError = (): void => undefined;
    database = await Database.connect({ url: test.url, schema, role, poolSize: 4, applicationName: 'kafka', onError });
    // Longer than the test waits: nobody is gone because a session ran out.
    const settings = { ...KAFKA_DEFAULTS, brokers, prefix, sessionTimeoutMs: 5 * 60_000 };
    const onFatal = (error: Error): never => expect(error).toBeUndefined() as never;
    bus = new KafkaMessageBus({ settings, database, startDeadlineMs: 20_000, publishDeadlineMs: 2_000, onFatal });
    await bus.ensureTopics([{ name: 'orders', partitions: 3, retentionMs: HOUR_MS }]);
  });

  const join = (): Promise<Subscription> =>
    bus.subscribe({ group: 'g', topics: ['orders'], pageSize: 10, handler: () => Promise.resolve() });
  const group = async (): Promise<{ state: string; members: number }> => {
    const { groups } = await withAdmin(brokers, (admin) => admin.describeGroups([`${prefix}g`]));
    return { state: groups[0]?.state ?? '', members: groups[0]?.members.length ?? 0 };
  };

  it('that is closed while it joins is gone for good', async () => {
    const first = await join();
    await eventually(async () => expect(await group()).toEqual({ state: 'Stable', members: 1 }));
    const second = await join();
    // The coordinator has its wish by then, and answers it once the first has heard of it or left.
    await pause(WISHES_MS);
    await Promise.all([second.close(), first.close()]);
    await eventually(async () => expect(await group()).toEqual({ state: 'Empty', members: 0 }));
    await pause(STAYS_MS);
    expect(await group()).toEqual({ state: 'Empty', members: 0 });
  }, 120_000);
});

/** What the client does when its wish to join, or its question for its partitions, is lost: it goes on as if nothing had happened. */
(kafka === undefined ? describe.skip : describe)('a member whose way into the group is lost', () => {
  const brokers = kafka?.brokers ?? [];
  const prefix = kafkaPrefix();
  const buses: KafkaMessageBus[] = [];
  let database: Database;
  let proxy: KafkaProxy;
  let direct: KafkaMessageBus;
  let proxied: KafkaMessageBus;
  const topics: string[] = [];
  let topic: string;
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
    const open = (addresses: readonly string[]): KafkaMessageBus => {
      const settings = { ...KAFKA_DEFAULTS, brokers: addresses, prefix, sessionTimeoutMs: SESSION_MS };
      const bus = new KafkaMessageBus({ settings, database, startDeadlineMs: 20_000, publishDeadlineMs: 10_000 });
      buses.push(bus);
      return bus;
    };
    direct = open(brokers);
    proxied = open(proxy.brokers);
  });

  beforeEach(async () => {
    topics.push((topic = `orders-${topics.length}`));
    await direct.ensureTopics([{ name: topic, partitions: 3, retentionMs: HOUR_MS }]);
    await proxied.ensureTopics([{ name: topic, partitions: 3, retentionMs: HOUR_MS }]);
  });

  afterEach(() => {
    proxy.fateOf = () => 'pass';
    proxy.mend();
  });

  const members = async (): Promise<number> => {
    const { groups } = await withAdmin(brokers, (admin) => admin.describeGroups([prefix + topic]));
    return groups[0]?.state === 'Stable' || groups[0]?.state === 'Empty' ? groups[0].members.length : NaN;
  };
  const consume = async (bus: KafkaMessageBus): Promise<{ taken: Set<string>; subscription: Subscription }> => {
    const taken = new Set<string>();
    const subscription = await bus.subscribe({
      group: topic,
      topics: [topic],
      pageSize: 10,
      handler: ({ messages, isStale }) => {
        if (isStale()) return Promise.reject(new Error('somebody else has it'));
        for (const { value } of messages) taken.add(value.toString());
        return Promise.resolve();
      },
    });
    return { taken, subscription };
  };
  /** Keys of all partitions. */
  const publish = (name: string): Promise<string[]> => {
    const texts = Array.from({ length: 30 }, (_, i) => `${name}-${i}`);
    return direct.publish(texts.map((text) => ({ topic, key: text, value: Buffer.from(text) }))).then(() => texts);
  };
  const all = (taken: ReadonlySet<string>, texts: readonly string[]): void =>
    expect(texts.filter((text) => !taken.has(text))).toEqual([]);

  it('takes what comes after its wish to join was lost', async () => {
    const { taken, subscription } = await consume(proxied);
    const before = await publish('before');
    await eventually(() => all(taken, before), 20_000);
    proxy.cut();
    await eventually(async () => expect(await members()).toBe(0), 3 * SESSION_MS);
    let lost = 0;
    proxy.fateOf = (request) => (request === KAFKA_REQUEST.joinGroup && lost++ < 1 ? 'lose' : 'pass');
    proxy.mend();
    const after = await publish('after');
    await eventually(() => all(taken, after), 30_000);
    expect(lost).toBeGreaterThan(0);
    await subscription.close();
  }, 120_000);

  it('takes its new partitions after word of them was lost', async () => {
    const { taken, subscription } = await consume(proxied);
    const other = await consume(direct);
    await eventually(async () => expect(await members()).toBe(2), 20_000);
    const before = await publish('before');
    await eventually(() => all(new Set([...taken, ...other.taken]), before), 20_000);
    expect([taken.size, other.taken.size]).not.toContain(0);
    let lost = 0;
    proxy.fateOf = (request) => (request === KAFKA_REQUEST.syncGroup && lost++ < 1 ? 'lose-answer' : 'pass');
    await other.subscription.close();
    await eventually(() => expect(lost).toBeGreaterThan(0), 20_000);
    await eventually(async () => expect(await members()).toBe(1), 20_000);
    // One after the other: what comes of a partition that it had all along would tell it.
    const strangers = before.filter((text) => other.taken.has(text));
    await direct.publish(strangers.map((key) => ({ topic, key, value: Buffer.from(`after-${key}`) })));
    await eventually(
      () =>
        all(
          taken,
          strangers.map((key) => `after-${key}`),
        ),
      30_000,
    );
    await subscription.close();
  }, 120_000);
});
