import { randomBytes } from 'node:crypto';
import kafkajs from 'kafkajs';

const READ_TIMEOUT_MS = 120_000;
const METADATA_AGE_MAX_MS = 5_000;

/**
 * What another team would use: a plain client of Kafka, by the names of topics alone. It shares nothing with the adapter of the services.
 * A call that fails in any part is sent again by whoever calls, as a whole.
 */
export class KafkaClient {
  #kafka;
  #prefix;
  #producer;
  #connecting;
  #admin;

  /** @param {{ brokers: string[], prefix?: string }} options */
  constructor({ brokers, prefix = '' }) {
    this.#prefix = prefix;
    this.#kafka = new kafkajs.Kafka({
      // Each client begins with another, of which one may be frozen.
      brokers: () => brokers.toSorted(() => Math.random() - 0.5),
      clientId: 'vafa-harness',
      logLevel: kafkajs.logLevel.NOTHING,
      connectionTimeout: 2_000,
      requestTimeout: 10_000,
      retry: { retries: 2, initialRetryTime: 100, maxRetryTime: 500 },
    });
  }

  /** One that asks a frozen node where the others are would ask it for ever. */
  #leave(producer) {
    if (producer !== this.#producer) return;
    this.#producer = undefined;
    this.#connecting = undefined;
    void producer.disconnect().catch(() => undefined);
  }

  /**
   * Publishes in one call. Where it throws, the outcome is unknown.
   * @param {string} topic
   * @param {{ key: string | null, value: Buffer, headers?: object, partition?: number }[]} messages
   * @returns {Promise<{ partition: number, position: string }[]>} where the first of each partition is
   */
  async publish(topic, messages) {
    this.#producer ??= this.#kafka.producer({
      allowAutoTopicCreation: false,
      // Of a node that is frozen it would not ask by itself.
      metadataMaxAge: METADATA_AGE_MAX_MS,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      retry: { retries: 0 },
    });
    this.#connecting ??= this.#producer.connect();
    try {
      await this.#connecting;
    } catch (error) {
      this.#connecting = undefined;
      throw error;
    }
    const producer = this.#producer;
    const batch = {
      topic: this.#prefix + topic,
      acks: -1,
      messages: messages.map((message) => ({
        headers: { 'content-type': 'application/cloudevents+json' },
        ...message,
      })),
    };
    const sent = await producer.send(batch).catch((error) => {
      this.#leave(producer);
      throw error;
    });
    return sent.map(({ partition, baseOffset }) => ({ partition, position: baseOffset }));
  }

  /** Every message that a topic holds now, by partition and offset. Values that were deleted are left out. */
  async read(topic) {
    const admin = await this.admin();
    const name = this.#prefix + topic;
    const open = new Map();
    for (const { partition, low, high } of await admin.fetchTopicOffsets(name))
      if (BigInt(high) > BigInt(low)) open.set(partition, BigInt(high));
    const messages = [];
    if (open.size === 0) return messages;
    const groupId = `${this.#prefix}harness-${randomBytes(6).toString('hex')}`;
    const consumer = this.#kafka.consumer({ groupId, maxWaitTimeInMs: 100, sessionTimeout: 10_000 });
    try {
      await consumer.connect();
      await consumer.subscribe({ topic: name, fromBeginning: true });
      await new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${topic} could not be read to its end`)), READ_TIMEOUT_MS);
        const eachBatch = async ({ batch }) => {
          for (const { offset, key, value, headers } of batch.messages)
            messages.push({ partition: batch.partition, offset, key: key?.toString() ?? null, value, headers });
          if (BigInt(batch.lastOffset()) + 1n >= (open.get(batch.partition) ?? 0n)) open.delete(batch.partition);
          if (open.size > 0) return;
          clearTimeout(timer);
          resolve();
        };
        consumer.run({ autoCommit: false, eachBatch }).catch(reject);
      });
    } finally {
      await consumer.disconnect();
      await admin.deleteGroups([groupId]).catch(() => undefined);
    }
    return messages.sort((a, b) => a.partition - b.partition || Number(BigInt(a.offset) - BigInt(b.offset)));
  }

  /** The places of messages with exactly these bytes. */
  async find(topic, value) {
    return (await this.read(topic))
      .filter((message) => (message.value ?? Buffer.alloc(0)).equals(value))
      .map(({ partition, offset }) => ({ partition, position: offset }));
  }

  /** What groups of services have not taken yet. */
  async lag() {
    const admin = await this.admin();
    const { groups } = await admin.listGroups();
    const behind = [];
    for (const { groupId } of groups) {
      if (!this.#isOfService(groupId)) continue;
      for (const { topic, partitions } of await admin.fetchOffsets({ groupId })) {
        const taken = new Map(partitions.map(({ partition, offset }) => [partition, Math.max(0, Number(offset))]));
        const rest = (await admin.fetchTopicOffsets(topic)).reduce(
          (sum, { partition, low, high }) =>
            sum + Number(high) - Math.max(Number(low), Math.min(Number(high), taken.get(partition) ?? 0)),
          0,
        );
        if (rest > 0) behind.push({ group_name: groupId, topic: topic.slice(this.#prefix.length), behind: rest });
      }
    }
    return behind;
  }

  /** How many consumers are in the groups of services; undefined while one of these is being divided anew. */
  async members() {
    const admin = await this.admin();
    const names = (await admin.listGroups()).groups.map(({ groupId }) => groupId);
    const { groups } = await admin.describeGroups(names.filter((name) => this.#isOfService(name)));
    if (groups.some(({ state }) => state !== 'Stable')) return undefined;
    return groups.reduce((sum, { members }) => sum + members.length, 0);
  }

  async partitions(topic) {
    return (await (await this.admin()).fetchTopicOffsets(this.#prefix + topic)).length;
  }

  /** Whether every copy of every partition of the cluster, those of its own topics included, is in step with its leader. */
  async isInStep() {
    const { topics } = await (await this.admin()).fetchTopicMetadata();
    return topics.every(({ partitions }) => partitions.every(({ isr, replicas }) => isr.length === replicas.length));
  }

  #isOfService(groupId) {
    return groupId.startsWith(this.#prefix) && !groupId.startsWith(`${this.#prefix}harness-`);
  }

  async admin() {
    if (this.#admin === undefined) {
      const admin = this.#kafka.admin();
      await admin.connect();
      this.#admin = admin;
    }
    return this.#admin;
  }

  async deleteTopics() {
    const admin = await this.admin();
    const topics = (await admin.listTopics()).filter((name) => name.startsWith(this.#prefix));
    if (topics.length > 0) await admin.deleteTopics({ topics });
  }

  async close() {
    await this.#producer?.disconnect().catch(() => undefined);
    await this.#admin?.disconnect().catch(() => undefined);
    this.#producer = undefined;
    this.#connecting = undefined;
    this.#admin = undefined;
  }
}
