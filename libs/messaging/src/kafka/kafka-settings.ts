/** How the brokers are reached and what topics are made like. Each field is a `VAFA_KAFKA_…` setting of the service. */
export type KafkaSettings = {
  /** `host:port` of some brokers; they name the others. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** Null speaks in the clear. An empty object trusts the authorities that Node knows. */
  readonly tls: KafkaTls | null;
  readonly sasl: KafkaSasl | null;
  /** Stands before the names of all topics and groups, so that several installations can share brokers. */
  readonly prefix: string;
  /** False only checks what is there: for users who may not create topics. */
  readonly createTopics: boolean;
  /** Copies of each partition of a topic that is created; null leaves it to the brokers. */
  readonly replication: number | null;
  /** Copies that must have a message before it counts as written; null leaves it to the brokers. */
  readonly minInsyncReplicas: number | null;
  /** A consumer that is not heard of for so long loses its partitions. */
  readonly sessionTimeoutMs: number;
};

/** PEM texts. */
export type KafkaTls = { readonly ca?: string; readonly cert?: string; readonly key?: string };

export const KAFKA_MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;
export type KafkaMechanism = (typeof KAFKA_MECHANISMS)[number];

export type KafkaSasl = {
  readonly mechanism: KafkaMechanism;
  readonly username: string;
  readonly password: string;
};

/** Longer than a pause of the process, shorter than anybody would wait for a purchase. */
export const KAFKA_SESSION_TIMEOUT_MS = 6_000;

export const KAFKA_DEFAULTS = {
  clientId: 'vafa',
  tls: null,
  sasl: null,
  prefix: '',
  createTopics: true,
  replication: null,
  minInsyncReplicas: null,
  sessionTimeoutMs: KAFKA_SESSION_TIMEOUT_MS,
} as const satisfies Omit<KafkaSettings, 'brokers'>;
