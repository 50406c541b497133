import {
  KAFKA_MECHANISMS,
  KAFKA_SESSION_TIMEOUT_MS,
  KafkaMessageBus,
  PARTITIONS_DEFAULT,
  PARTITIONS_MAX,
  type KafkaActivity,
  type KafkaSasl,
  type KafkaSettings,
  type KafkaTls,
} from '@vafa/messaging';
import type { Database } from '@vafa/persistence';
import type { Counter } from 'prom-client';
import { readFileSync } from 'node:fs';
import { ConfigError, boolean, defineConfig, integer, listOf, oneOf, setting, text } from './config.js';
import type { ConfigOf, Parser } from './config.js';
import type { Health } from './health.js';
import type { Logger } from './logger.js';
import type { Metrics } from './metrics.js';

const NAME_LENGTH_MAX = 100;
const REPLICAS_MAX = 100;
/** Three heartbeats; the brokers ask for 6 s unless they are set otherwise. */
const SESSION_TIMEOUT_MS_MIN = 3_000;
const SESSION_TIMEOUT_MS_MAX = 300_000;
const SECRET_LENGTH_MAX = 4_096;

const broker: Parser<string> = {
  expected: 'host:port',
  parse: (value) => (/^([\w.-]+|\[[\da-f:]+\]):\d{1,5}$/i.test(value) ? value : undefined),
};

const nameStart: Parser<string> = {
  expected: `1 to ${NAME_LENGTH_MAX} characters of A-Z a-z 0-9 . _ -`,
  parse: (value) => (value.length <= NAME_LENGTH_MAX && /^[\w.-]+$/.test(value) ? value : undefined),
};

/** How Kafka is reached; without brokers the bus is in PostgreSQL. */
export const kafkaConfig = defineConfig({
  brokers: setting('VAFA_KAFKA_BROKERS', listOf(broker), {
    default: null,
    description: 'Kafka brokers, some of them are enough; without them the message bus is in PostgreSQL',
  }),
  clientId: setting('VAFA_KAFKA_CLIENT_ID', nameStart, {
    default: 'vafa',
    description: 'name by which the brokers know this client in their logs and quotas',
  }),
  prefix: setting('VAFA_KAFKA_PREFIX', nameStart, {
    default: null,
    description: 'what stands before every topic and group, so that several installations can share brokers',
  }),
  tls: setting('VAFA_KAFKA_TLS', boolean(), {
    default: false,
    description: 'whether connections to Kafka are encrypted',
  }),
  ca: setting('VAFA_KAFKA_CA', text(), {
    default: null,
    description:
      'PEM file of the authority that signed the certificates of the brokers; by default those that Node trusts',
  }),
  cert: setting('VAFA_KAFKA_CERT', text(), {
    default: null,
    description: 'PEM file of our own certificate, where the brokers ask for one',
  }),
  key: setting('VAFA_KAFKA_KEY', text(), {
    default: null,
    description: 'PEM file of the private key of VAFA_KAFKA_CERT',
  }),
  mechanism: setting('VAFA_KAFKA_SASL_MECHANISM', oneOf(...KAFKA_MECHANISMS), {
    default: null,
    description: 'how we say who we are; by default we do not',
  }),
  username: setting('VAFA_KAFKA_USERNAME', text(), { default: null, description: 'user of VAFA_KAFKA_SASL_MECHANISM' }),
  password: setting('VAFA_KAFKA_PASSWORD', text({ maxLength: SECRET_LENGTH_MAX }), {
    default: null,
    secret: true,
    description: 'password of VAFA_KAFKA_USERNAME',
  }),
  passwordFile: setting('VAFA_KAFKA_PASSWORD_FILE', text(), {
    default: null,
    description: 'file that holds the password, in place of VAFA_KAFKA_PASSWORD',
  }),
  createTopics: setting('VAFA_KAFKA_CREATE_TOPICS', boolean(), {
    default: true,
    description: 'whether missing topics are created and their retention is set; false only checks them',
  }),
  partitions: setting('VAFA_KAFKA_PARTITIONS', integer({ min: 1, max: PARTITIONS_MAX }), {
    default: PARTITIONS_DEFAULT,
    description: 'partitions of a topic, for ever: keys would move',
  }),
  replication: setting('VAFA_KAFKA_REPLICATION', integer({ min: 1, max: REPLICAS_MAX }), {
    default: null,
    description: 'copies of each partition; by default what the brokers are set to',
  }),
  minInsyncReplicas: setting('VAFA_KAFKA_MIN_INSYNC_REPLICAS', integer({ min: 1, max: REPLICAS_MAX }), {
    default: null,
    description: 'copies that must have a message before it counts; by default what the brokers are set to',
  }),
  sessionTimeoutMs: setting(
    'VAFA_KAFKA_SESSION_TIMEOUT_MS',
    integer({ min: SESSION_TIMEOUT_MS_MIN, max: SESSION_TIMEOUT_MS_MAX }),
    {
      default: KAFKA_SESSION_TIMEOUT_MS,
      description:
        'silence after which a consumer loses its partitions to others, in milliseconds; within group.min.session.timeout.ms and group.max.session.timeout.ms of the brokers',
    },
  ),
});

export type KafkaConfig = ConfigOf<typeof kafkaConfig>;

/** The broker that an installation uses in place of PostgreSQL for its bus. */
export type KafkaChoice = { readonly settings: KafkaSettings; readonly partitions: number };

/** Reads the files that the settings name. Undefined without brokers. @throws ConfigError for what does not go together. */
export const chooseKafka = (config: KafkaConfig): KafkaChoice | undefined => {
  if (config.brokers === null) return undefined;
  const { brokers, clientId, prefix, createTopics, replication, minInsyncReplicas, sessionTimeoutMs } = config;
  if (replication !== null && minInsyncReplicas !== null && minInsyncReplicas > replication)
    throw wrong('VAFA_KAFKA_MIN_INSYNC_REPLICAS', `must be at most VAFA_KAFKA_REPLICATION, ${replication}`);
  const settings: KafkaSettings = {
    ...{ brokers, clientId, createTopics, replication, minInsyncReplicas, sessionTimeoutMs },
    prefix: prefix ?? '',
    tls: tlsOf(config),
    sasl: saslOf(config),
  };
  return { settings, partitions: config.partitions };
};

const tlsOf = ({ tls, ca, cert, key }: KafkaConfig): KafkaTls | null => {
  if (!tls) {
    const named =
      ca !== null ? 'VAFA_KAFKA_CA' : cert !== null ? 'VAFA_KAFKA_CERT' : key !== null ? 'VAFA_KAFKA_KEY' : undefined;
    if (named !== undefined) throw wrong(named, 'is of use with VAFA_KAFKA_TLS=true only');
    return null;
  }
  if ((cert === null) !== (key === null))
    throw wrong(cert === null ? 'VAFA_KAFKA_CERT' : 'VAFA_KAFKA_KEY', 'is not set, and the other of the pair is');
  return {
    ...(ca !== null && { ca: fileOf('VAFA_KAFKA_CA', ca) }),
    ...(cert !== null && { cert: fileOf('VAFA_KAFKA_CERT', cert) }),
    ...(key !== null && { key: fileOf('VAFA_KAFKA_KEY', key) }),
  };
};

const saslOf = ({ mechanism, username, password, passwordFile }: KafkaConfig): KafkaSasl | null => {
  if (mechanism === null) {
    if (username !== null) throw wrong('VAFA_KAFKA_SASL_MECHANISM', 'is not set, and VAFA_KAFKA_USERNAME is');
    return null;
  }
  if (username === null) throw wrong('VAFA_KAFKA_USERNAME', `is not set: ${mechanism} asks for a user`);
  if (password !== null && passwordFile !== null)
    throw wrong('VAFA_KAFKA_PASSWORD_FILE', 'is set besides VAFA_KAFKA_PASSWORD: give one of them');
  const secret = passwordFile === null ? password : fileOf('VAFA_KAFKA_PASSWORD_FILE', passwordFile).trim();
  if (secret === null || secret === '') throw wrong('VAFA_KAFKA_PASSWORD', `is not set: ${mechanism} asks for one`);
  return { mechanism, username, password: secret };
};

const fileOf = (name: string, file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown';
    throw wrong(name, `names the file ${file}, which cannot be read (${code})`);
  }
};

const wrong = (name: string, detail: string): ConfigError => new ConfigError([{ name, detail: `${name} ${detail}` }]);

/** Counts what the bus does by itself, for the metrics of whichever service of the process comes first. */
export class BusActivity {
  private readonly before = new Map<KafkaActivity, number>();
  private counter: Counter<'activity'> | undefined;

  note(activity: KafkaActivity): void {
    if (this.counter === undefined) this.before.set(activity, (this.before.get(activity) ?? 0) + 1);
    else this.counter.inc({ activity });
  }

  /** Shows the counts, how much waits to be taken to Kafka, and what cannot be. Only the first service shows them. */
  expose(metrics: Metrics, health: Health, bus: KafkaMessageBus): void {
    if (this.counter !== undefined) return;
    this.counter = metrics.counter({
      name: 'vafa_kafka_activity_total',
      help: 'Rebalances of consumers, calls sent again, consumers begun anew after a failure',
      labels: ['activity'],
    });
    for (const [activity, count] of this.before) this.counter.inc({ activity }, count);
    metrics.gauge({
      name: 'vafa_outbox_messages',
      help: 'Messages of transactions that are not in Kafka yet',
      collect: async (gauge) => gauge.set(await bus.outboxLag()),
    });
    health.add('outbox', async () => {
      const messagesWaiting = await bus.outboxLag();
      // Told, but no reason to be taken out of service: what comes in is still taken, and nothing of it is lost.
      return {
        messagesWaiting,
        ...Object.fromEntries(bus.stoppedTopics().map((topic) => [`${topic} stands still`, true])),
      };
    });
  }
}

export type KafkaBusOptions = {
  readonly choice: KafkaChoice;
  readonly database: Database;
  readonly logger: Logger;
  readonly activity: BusActivity;
  readonly onError: (error: unknown) => void;
  readonly onFatal: (error: Error) => void;
};

/** The bus on Kafka, with its log lines in ours. */
export const openKafkaBus = ({
  choice,
  database,
  logger,
  activity,
  onError,
  onFatal,
}: KafkaBusOptions): KafkaMessageBus =>
  new KafkaMessageBus({
    settings: choice.settings,
    database,
    log: (level, message, fields) => logger[level](fields, message),
    onActivity: (one) => activity.note(one),
    onError,
    onFatal,
  });
