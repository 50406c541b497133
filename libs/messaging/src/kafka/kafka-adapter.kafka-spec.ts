import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Database, isTransient, migrate } from '@vafa/persistence';
import { dropKafkaTopics, eventually, kafkaPrefix, testKafka, withAdmin, withTestDatabase } from '@vafa/testing';
import kafkajs from 'kafkajs';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Message, MessageBus, ReceivedMessage, TopicSpec } from '../message-bus.js';
import { messagingMigrations } from '../postgres/migrations.js';
import { KafkaMessageBus } from './kafka-message-bus.js';
import { KAFKA_DEFAULTS, KAFKA_MECHANISMS, type KafkaSettings } from './kafka-settings.js';

const kafka = testKafka();
const secured = kafka?.secured;

const HOUR_MS = 3_600_000;
const TOPIC: TopicSpec = { name: 'orders', partitions: 3, retentionMs: HOUR_MS };
const NOBODY = '127.0.0.1:1';

const order = (key: string, value: unknown): Message => ({
  topic: 'orders',
  key,
  value: Buffer.from(JSON.stringify(value)),
});

(kafka === undefined ? describe.skip : describe)('the adapter for Kafka', () => {
  const brokers = kafka?.brokers ?? [];
  const prefix = kafkaPrefix();
  const test = withTestDatabase();
  let database: Database;
  const buses: KafkaMessageBus[] = [];

  beforeAll(async () => {
    await migrate(test.url, [messagingMigrations], () => undefined);
    const { schema, role } = messagingMigrations;
    const onError = (): void => undefined;
    database = await Database.connect({ url: test.url, schema, role, poolSize: 8, applicationName: 'kafka', onError });
  });

  afterEach(async () => {
    await Promise.all(buses.splice(0).map((bus) => bus.close()));
    await dropKafkaTopics(brokers, prefix);
    await database.query('truncate messaging.log, messaging.offsets, messaging.topics');
  });

  afterAll(() => database.close());

  const fatal: Error[] = [];
  const open = (settings: Partial<KafkaSettings> = {}, startDeadlineMs = 20_000): KafkaMessageBus => {
    const all = { ...KAFKA_DEFAULTS, brokers, prefix, ...settings };
    const onFatal = (error: Error): void => void fatal.push(error);
    const bus = new KafkaMessageBus({ settings: all, database, startDeadlineMs, publishDeadlineMs: 2_000, onFatal });
    buses.push(bus);
    return bus;
  };

  const collect = async (bus: MessageBus, topic = 'orders'): Promise<ReceivedMessage[]> => {
    const received: ReceivedMessage[] = [];
    const handler = async ({ messages }: { messages: readonly ReceivedMessage[] }): Promise<void> =>
      void received.push(...messages);
    await bus.subscribe({ group: 'g', topics: [topic], pageSize: 100, handler });
    return received;
  };

  const external = prefix + TOPIC.name;
  const createTopic = (configEntries: { name: string; value: string }[] = [], numPartitions = 3): Promise<unknown> =>
    withAdmin(brokers, (admin) => admin.createTopics({ topics: [{ topic: external, numPartitions, configEntries }] }));
  const alterTopic = (topic: string, name: string, value: string): Promise<unknown> =>
    withAdmin(brokers, (admin) => {
      const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name, value }] };
      return admin.alterConfigs({ validateOnly: false, resources: [resource] });
    });
  const configOf = (topic: string): Promise<Map<string, string>> =>
    withAdmin(brokers, async (admin) => {
      const type = kafkajs.ConfigResourceTypes.TOPIC;
      const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type, name: topic }] });
      return new Map(resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]));
    });

  (secured === undefined ? describe.skip : describe)('over TLS', () => {
    const tls = { ca: secured === undefined ? '' : readFileSync(secured.ca, 'utf8') };
    const user = { username: secured?.username ?? '', password: secured?.password ?? '' };
    const listener = { brokers: secured?.brokers ?? [], tls };

    it.each(KAFKA_MECHANISMS)('publishes and consumes as a user by %s', async (mechanism) => {
      const bus = open({ ...listener, sasl: { mechanism, ...user } });
      await bus.ensureTopics([TOPIC]);
      const received = await collect(bus);
      await bus.publish([order('a', 1)]);
      await database.transaction((work) => bus.enqueue(work, [order('a', 2)]));
      await eventually(() => expect(received.map(({ value }) => Number(value))).toEqual([1, 2]));
    });

    const wrong: [string, Partial<KafkaSettings>, RegExp][] = [
      [
        'a wrong password (PLAIN)',
        { ...listener, sasl: { mechanism: 'plain', ...user, password: 'x' } },
        /refuses the user .*VAFA_KAFKA_PASSWORD/,
      ],
      [
        'a wrong password (SCRAM-SHA-512)',
        { ...listener, sasl: { mechanism: 'scram-sha-512', ...user, password: 'x' } },
        /refuses the user .*VAFA_KAFKA_PASSWORD/,
      ],
      [
        'an unknown user',
        { ...listener, sasl: { mechanism: 'scram-sha-256', ...user, username: 'nobody' } },
        /refuses the user nobody.*VAFA_KAFKA_USERNAME/,
      ],
      [
        'a mechanism that the brokers do not have',
        // Those that we speak are all there: one of the client's own that is not.
        { ...listener, sasl: { mechanism: 'aws' as 'plain', ...user } },
        /does not take the mechanism aws.*VAFA_KAFKA_SASL_MECHANISM/,
      ],
      [
        'an authority that is not known',
        { ...listener, tls: {}, sasl: { mechanism: 'plain', ...user } },
        /not trusted.*VAFA_KAFKA_CA/,
      ],
      ['TLS on a plain port', { tls }, /does not speak TLS.*VAFA_KAFKA_TLS=false/],
      ['no TLS on a port for it', { brokers: listener.brokers }, /closes the connection.*VAFA_KAFKA_TLS=true/],
      ['no user where one is asked for', { ...listener }, /closes the connection.*VAFA_KAFKA_SASL_MECHANISM/],
      ['a user where none is asked for', { sasl: { mechanism: 'plain', ...user } }, /VAFA_KAFKA_SASL_MECHANISM/],
    ];

    it.each(wrong)('ends the start with a sentence for %s', async (_what, settings, sentence) => {
      const bus = open(settings, 60_000);
      await expect(bus.ensureTopics([TOPIC])).rejects.toMatchObject({
        name: 'StartupError',
        message: expect.stringMatching(sentence),
      });
      await expect(bus.ping()).rejects.toThrow(/VAFA_KAFKA/);
    });
  });

  describe('with brokers that are away', () => {
    it('tries for a while, then ends the start with a sentence', async () => {
      const bus = open({ brokers: [NOBODY] }, 1_000);
      const started = bus.ensureTopics([TOPIC]);
      await expect(started).rejects.toMatchObject({
        name: 'StartupError',
        message: expect.stringMatching(/cannot be reached.*VAFA_KAFKA_BROKERS/),
      });
      await expect(bus.ping()).rejects.toThrow(/VAFA_KAFKA_BROKERS/);
    });

    it('refuses to publish with an error of the moment, and takes what a transaction enqueues', async () => {
      const before = open();
      await before.ensureTopics([TOPIC]);
      await before.close();
      const bus = open({ brokers: [NOBODY] });
      const refused = await bus.publish([order('a', 1)]).catch((error: unknown) => error);
      expect(isTransient(refused)).toBe(true);
      await database.transaction((work) => bus.enqueue(work, [order('a', 2)]));
      const after = open();
      await after.ensureTopics([TOPIC]);
      const received = await collect(after);
      await eventually(() => expect(received.map(({ value }) => Number(value))).toEqual([2]));
    });
  });

  describe('topics', () => {
    it('are created as asked for, also a compacted one', async () => {
      const bus = open({ replication: 1, minInsyncReplicas: 1 });
      await bus.ensureTopics([TOPIC, { ...TOPIC, name: 'latest', compacted: true }]);
      expect((await configOf(external)).get('retention.ms')).toBe(String(HOUR_MS));
      expect((await configOf(external)).get('min.insync.replicas')).toBe('1');
      expect((await configOf(`${prefix}latest`)).get('cleanup.policy')).toBe('compact');
    });

    it('that exist get their retention set, and keep what else they were set to', async () => {
      await createTopic([{ name: 'segment.bytes', value: '2097152' }], 5);
      await open().ensureTopics([TOPIC]);
      await eventually(async () => expect((await configOf(external)).get('retention.ms')).toBe(String(HOUR_MS)));
      expect((await configOf(external)).get('segment.bytes')).toBe('2097152');
    });

    it('that are missing are named where none may be created', async () => {
      const started = open({ createTopics: false }).ensureTopics([TOPIC]);
      await expect(started).rejects.toThrow(`lacks the topics ${external}`);
      await expect(started).rejects.toThrow(/VAFA_KAFKA_CREATE_TOPICS/);
      await createTopic();
      await open({ createTopics: false }).ensureTopics([TOPIC]);
    });

    it('with too few partitions or copies, or for too small messages, end the start', async () => {
      await createTopic([{ name: 'max.message.bytes', value: '1000' }], 2);
      await expect(open().ensureTopics([TOPIC])).rejects.toThrow(/2 partitions, 3.*VAFA_KAFKA_PARTITIONS/);
      const narrow = { ...TOPIC, partitions: 2 };
      await expect(open({ replication: 3 }).ensureTopics([narrow])).rejects.toThrow(/1 copies.*VAFA_KAFKA_REPLICATION/);
      const insync = open({ minInsyncReplicas: 2 }).ensureTopics([narrow]);
      await expect(insync).rejects.toThrow(/min.insync.replicas 1.*VAFA_KAFKA_MIN_INSYNC_REPLICAS/);
      await expect(open().ensureTopics([narrow])).rejects.toThrow(/max.message.bytes/);
    });

    it('cannot have more copies than there are brokers', async () => {
      await expect(open({ replication: 90 }, 1_000).ensureTopics([TOPIC])).rejects.toThrow(/VAFA_KAFKA_REPLICATION/);
    });
  });

  it('ends where the brokers take no session of such a length', async () => {
    const bus = open({ sessionTimeoutMs: 3_000 });
    await bus.ensureTopics([TOPIC]);
    await collect(bus);
    await eventually(() =>
      expect(fatal.splice(0).map(({ message }) => message)).toEqual([
        expect.stringMatching(/VAFA_KAFKA_SESSION_TIMEOUT_MS/),
      ]),
    );
  });

  it('refuses the message that is beyond the limit of the brokers, and no other', async () => {
    const bus = open();
    await bus.ensureTopics([TOPIC]);
    await alterTopic(external, 'max.message.bytes', '2000');
    const received = await collect(bus);
    const large = { ...order('b', 0), value: randomBytes(4_000) };
    await eventually(() => expect(bus.publish([large])).rejects.toThrow(/max.message.bytes/));
    const calls = [order('a', 1), large, order('b', 2), order('c', 3)].map((message) => bus.publish([message]));
    const outcomes = (await Promise.allSettled(calls)).map(({ status }) => status);
    expect(outcomes).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    await eventually(() =>
      expect(new Set(received.map(({ value }) => value.toString()))).toEqual(new Set(['1', '2', '3'])),
    );
  });

  it('goes on with what is well while a topic is gone, and sends none of it more than once again', async () => {
    const bus = open();
    await bus.ensureTopics([TOPIC, { ...TOPIC, name: 'gone' }]);
    const received = await collect(bus);
    const lost = { ...order('a', 0), topic: 'gone' };
    await bus.publish([lost, order('a', 0)]);
    await withAdmin(brokers, (admin) => admin.deleteTopics({ topics: [`${prefix}gone`] }));
    const refused = expect(bus.publish([lost])).rejects.toThrow(/lacks a topic/);
    for (const n of [1, 2, 3]) await bus.publish([order(`key ${n}`, n)]);
    await database.transaction((work) => bus.enqueue(work, [lost, order('a', 4)]));
    await refused;
    const counts = (): number[] => [1, 2, 3, 4].map((n) => received.filter(({ value }) => Number(value) === n).length);
    await eventually(() => expect(Math.min(...counts())).toBeGreaterThanOrEqual(1));
    await expect(bus.publish([lost])).rejects.toThrow(/lacks a topic/);
    expect(Math.max(...counts())).toBeLessThanOrEqual(2);
  });

  it('takes keys, headers and values that other producers send, whatever they are', async () => {
    const bus = open();
    await bus.ensureTopics([TOPIC]);
    const received = await collect(bus);
    const producer = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).producer({
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    const bytes = Buffer.from([0xff, 0xfe, 0x00]);
    await producer.send({
      topic: external,
      messages: [
        { key: 'member:1', value: '{}', headers: { ce_type: Buffer.from('a.b'), twice: ['one', Buffer.from('two')] } },
        { key: bytes, value: '{}' },
        { key: bytes, value: null },
        { key: 'x'.repeat(2_000), value: '{}' },
      ],
    });
    await producer.disconnect();
    await eventually(() => expect(received).toHaveLength(4));
    const keys = received.map(({ key }) => key ?? '');
    expect(keys.filter((key) => /^sha256:[0-9a-f]{64}$/.test(key))).toHaveLength(3);
    expect(new Set(keys).size).toBe(3);
    expect(received.find(({ key }) => key === 'member:1')?.headers).toEqual({ ce_type: 'a.b', twice: 'two' });
    expect(received.filter(({ value }) => value.length === 0)).toHaveLength(1);
  });
});
