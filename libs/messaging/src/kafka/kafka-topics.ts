import { pause } from '@vafa/persistence';
import kafkajs, { type Admin, type ITopicConfig } from 'kafkajs';
import { assertTopic, fewerPartitions, unknownTopic } from '../limits.js';
import { HEADERS_BYTES_MAX, KEY_BYTES_MAX, MESSAGE_BYTES_MAX, type TopicSpec } from '../message-bus.js';
import { KafkaFault } from './kafka-faults.js';
import type { KafkaSettings } from './kafka-settings.js';

const { ConfigResourceTypes, ConfigSource } = kafkajs;

const ALTER_TIMEOUT_MS = 10_000;
const LEADERS_TIMEOUT_MS = 15_000;
const LEADERS_PAUSE_MS = 50;
const NEVER = new AbortController().signal;
/** A message at our limits with what Kafka puts around it. */
const RECORD_BYTES_MAX = MESSAGE_BYTES_MAX + HEADERS_BYTES_MAX + KEY_BYTES_MAX + 1_024;
/** What topics that we create take in one batch: Kafka's own default, whatever these brokers have in its place. */
const BATCH_BYTES = 1_048_588;

/** So many brokers are there to outlive one of them. */
const CLUSTER_BROKERS_MIN = 3;

type Found = { readonly partitions: number; readonly replicas: number };
type Entry = { readonly value: string; readonly ownToTopic: boolean };

/** The topics that were seen; a topic's name here is ours, without the prefix. */
export class KafkaTopics {
  private readonly known = new Set<string>();
  private copiesToldOf = false;

  constructor(
    private readonly admin: Admin,
    private readonly settings: KafkaSettings,
    private readonly warn: (message: string) => void,
  ) {}

  /** The name that the brokers know a topic or group by. */
  external(name: string): string {
    return this.settings.prefix + name;
  }

  internal(name: string): string {
    return name.slice(this.settings.prefix.length);
  }

  /** Creates what is missing, where that is allowed, and checks what is there. @throws what the client threw, or a sentence. */
  async ensure(specs: readonly TopicSpec[]): Promise<void> {
    specs.forEach(assertTopic);
    const there = await this.found(specs.map(({ name }) => name));
    for (const { name, partitions } of specs) {
      const topic = there.get(name);
      if (topic === undefined || topic.partitions >= partitions) continue;
      const { message } = fewerPartitions(this.external(name), topic.partitions, partitions);
      throw new KafkaFault('partitions', `${message}. VAFA_KAFKA_PARTITIONS says how many.`, false, undefined);
    }
    const missing = specs.filter(({ name }) => !there.has(name));
    if (missing.length > 0) await this.create(missing);
    const present = specs.filter(({ name }) => there.has(name));
    if (present.length > 0) await this.check(present, there);
    for (const { name } of specs) this.known.add(name);
    if (this.settings.replication === null && !this.copiesToldOf) await this.checkCopies(specs);
  }

  /** Those that were not seen yet. */
  unseen(names: readonly string[]): string[] {
    return [...new Set(names)].filter((name) => !this.known.has(name));
  }

  /** Looks for topics. @throws RangeError for one that does not exist. */
  async look(unseen: readonly string[]): Promise<void> {
    const there = await this.found(unseen);
    for (const name of unseen) {
      if (!there.has(name)) throw unknownTopic(this.external(name));
      this.known.add(name);
    }
  }

  private async found(names: readonly string[]): Promise<Map<string, Found>> {
    const listed = new Set(await this.admin.listTopics());
    const there = names.filter((name) => listed.has(this.external(name)));
    if (there.length === 0) return new Map();
    const { topics } = await this.admin.fetchTopicMetadata({ topics: there.map((name) => this.external(name)) });
    return new Map(
      topics.map(({ name, partitions }) => [
        this.internal(name),
        { partitions: partitions.length, replicas: Math.min(...partitions.map(({ replicas }) => replicas.length)) },
      ]),
    );
  }

  private async create(specs: readonly TopicSpec[]): Promise<void> {
    const names = specs.map(({ name }) => this.external(name)).join(', ');
    if (!this.settings.createTopics)
      throw new KafkaFault(
        'missing-topic',
        `Kafka at ${this.settings.brokers.join(', ')} lacks the topics ${names}: create them as docs/operations.md lists them, or set VAFA_KAFKA_CREATE_TOPICS=true.`,
        false,
        undefined,
      );
    // False where another process was first: what it made is checked at the next start.
    await this.admin.createTopics({ topics: specs.map((spec) => this.configOf(spec)), timeout: ALTER_TIMEOUT_MS });
    for (const { name } of specs) await this.untilLed(this.external(name));
  }

  /** A leader is named before it is at work: who publishes at once would have to send again, and so twice. */
  private async untilLed(topic: string): Promise<void> {
    const deadline = performance.now() + LEADERS_TIMEOUT_MS;
    for (;;) {
      try {
        await this.admin.fetchTopicOffsets(topic);
        return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
      }
      await pause(LEADERS_PAUSE_MS, NEVER);
    }
  }

  private configOf({ name, partitions, retentionMs, compacted }: TopicSpec): ITopicConfig {
    const { replication, minInsyncReplicas } = this.settings;
    const entries = { ...policyOf(retentionMs, compacted), 'max.message.bytes': String(BATCH_BYTES) };
    const all = minInsyncReplicas === null ? entries : { ...entries, 'min.insync.replicas': String(minInsyncReplicas) };
    return {
      topic: this.external(name),
      numPartitions: partitions,
      replicationFactor: replication ?? -1,
      configEntries: Object.entries(all).map(([entry, value]) => ({ name: entry, value })),
    };
  }

  private async check(specs: readonly TopicSpec[], there: ReadonlyMap<string, Found>): Promise<void> {
    const configs = await this.configs(specs.map(({ name }) => name));
    for (const { name, retentionMs, compacted } of specs) {
      const entries = configs.get(name);
      if (entries === undefined) continue;
      this.checkReplicas(name, there.get(name)?.replicas ?? 0, Number(entries.get('min.insync.replicas')?.value ?? 1));
      this.checkSize(name, Number(entries.get('max.message.bytes')?.value ?? RECORD_BYTES_MAX));
      const wanted = Object.entries(policyOf(retentionMs, compacted));
      if (wanted.some(([entry, value]) => entries.get(entry)?.value !== value))
        await this.alter(name, entries, Object.fromEntries(wanted));
    }
  }

  private checkReplicas(name: string, replicas: number, insync: number): void {
    const { replication, minInsyncReplicas } = this.settings;
    if (replication !== null && replicas < replication)
      throw new KafkaFault(
        'replication',
        `topic ${this.external(name)} has ${replicas} copies, VAFA_KAFKA_REPLICATION asks for ${replication}: reassign its partitions, or lower the setting.`,
        false,
        undefined,
      );
    if (minInsyncReplicas !== null && insync < minInsyncReplicas)
      throw new KafkaFault(
        'in-sync-replicas',
        `topic ${this.external(name)} has min.insync.replicas ${insync}, VAFA_KAFKA_MIN_INSYNC_REPLICAS asks for ${minInsyncReplicas}: raise it, or lower the setting.`,
        false,
        undefined,
      );
    if (insync > replicas)
      this.warn(
        `topic ${this.external(name)} has min.insync.replicas ${insync} and ${replicas} copies: nothing can be written to it`,
      );
  }

  /** Brokers are often left at one copy of what they create: their number then protects nothing. Told once, of whichever topics come first. */
  private async checkCopies(specs: readonly TopicSpec[]): Promise<void> {
    const brokers = (await this.admin.describeCluster()).brokers.length;
    if (brokers < CLUSTER_BROKERS_MIN) return;
    const single = [...(await this.found(specs.map(({ name }) => name)))].filter(([, { replicas }]) => replicas === 1);
    if (single.length === 0) return;
    this.copiesToldOf = true;
    const names = single.map(([name]) => this.external(name)).join(', ');
    this.warn(
      `one copy only of ${names}, on ${brokers} brokers: what is in it is lost with the broker that has it. VAFA_KAFKA_REPLICATION=3 and VAFA_KAFKA_MIN_INSYNC_REPLICAS=2 make new topics outlive one of them; those that exist have to be reassigned.`,
    );
  }

  private checkSize(name: string, bytes: number): void {
    if (bytes >= RECORD_BYTES_MAX) return;
    throw new KafkaFault(
      'too-large',
      `topic ${this.external(name)} takes messages of ${bytes} bytes: raise its max.message.bytes to ${RECORD_BYTES_MAX} or more.`,
      false,
      undefined,
    );
  }

  /** Sets some entries and keeps the topic's others, which this call of the protocol would otherwise put back to their defaults. */
  private async alter(
    name: string,
    entries: ReadonlyMap<string, Entry>,
    wanted: Readonly<Record<string, string>>,
  ): Promise<void> {
    const kept = [...entries].flatMap(([entry, { value, ownToTopic }]) =>
      ownToTopic ? [[entry, value] as const] : [],
    );
    const configEntries = [...new Map([...kept, ...Object.entries(wanted)])].map(([entry, value]) => ({
      name: entry,
      value,
    }));
    const words = Object.entries(wanted)
      .map(([entry, value]) => `${entry}=${value}`)
      .join(', ');
    if (!this.settings.createTopics) return this.warn(`topic ${this.external(name)} is not set to ${words}`);
    const resource = { type: ConfigResourceTypes.TOPIC, name: this.external(name), configEntries };
    try {
      await this.admin.alterConfigs({ validateOnly: false, resources: [resource] });
    } catch (error) {
      // How long messages are kept is no reason not to start.
      this.warn(`topic ${this.external(name)} could not be set to ${words}: ${String(error)}`);
    }
  }

  private async configs(names: readonly string[]): Promise<Map<string, Map<string, Entry>>> {
    const configNames = [
      'retention.ms',
      'cleanup.policy',
      'compression.type',
      'max.message.bytes',
      'min.insync.replicas',
    ];
    try {
      const { resources } = await this.admin.describeConfigs({
        includeSynonyms: false,
        resources: names.map((name) => ({ type: ConfigResourceTypes.TOPIC, name: this.external(name) })),
      });
      return new Map(
        resources.map(({ resourceName, configEntries }) => [
          this.internal(resourceName),
          new Map(
            configEntries
              .filter(
                ({ configName, configSource }) =>
                  configNames.includes(configName) || configSource === ConfigSource.TOPIC_CONFIG,
              )
              .map(({ configName, configValue, configSource }) => [
                configName,
                { value: configValue, ownToTopic: configSource === ConfigSource.TOPIC_CONFIG },
              ]),
          ),
        ]),
      );
    } catch (error) {
      this.warn(`the settings of topics could not be read: ${String(error)}`);
      return new Map();
    }
  }
}

/**
 * A compacted topic keeps the last message of each key for good. Whoever publishes may compress as he likes; the broker unpacks it, since our client
 * reads gzip only.
 */
const policyOf = (retentionMs: number, compacted = false): Record<string, string> => ({
  ...(compacted ? { 'cleanup.policy': 'compact' } : { 'retention.ms': String(retentionMs) }),
  'compression.type': 'uncompressed',
});
