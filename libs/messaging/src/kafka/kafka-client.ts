import kafkajs, { type KafkaConfig, type LogEntry, type RetryOptions, type SASLOptions } from 'kafkajs';
import { mendClient } from './kafka-mends.js';
import type { KafkaSettings } from './kafka-settings.js';

const { Kafka, logLevel } = kafkajs;

const CONNECTION_TIMEOUT_MS = 3_000;
const REQUEST_TIMEOUT_MS = 10_000;
/** After it leaders are looked for whatever happens: of a broker that is silently gone the client would not, for five minutes. */
export const METADATA_AGE_MAX_MS = 10_000;

export type KafkaLogLevel = 'debug' | 'info' | 'warn' | 'error';
export type KafkaLog = (level: KafkaLogLevel, message: string, fields: Readonly<Record<string, unknown>>) => void;

export type KafkaClient = InstanceType<typeof Kafka>;

/** A client for producing and asking, or for consuming: they differ in how long they try by themselves. */
export const createClient = (settings: KafkaSettings, retry: RetryOptions, log: KafkaLog): KafkaClient => {
  silenceTimerWarning();
  mendClient();
  const { brokers, clientId, tls, sasl } = settings;
  const config: KafkaConfig = {
    // The client stays with the first that takes its connection, also where it answers nothing else: another client may find another.
    brokers: () => shuffled(brokers),
    clientId,
    retry,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    authenticationTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    logLevel: logLevel.INFO,
    logCreator: () => (entry) => writeLog(log, entry),
    ...(tls !== null && { ssl: { ...tls } }),
    ...(sasl !== null && { sasl: { ...sasl } as SASLOptions }),
  };
  return new Kafka(config);
};

const shuffled = <T>(all: readonly T[]): T[] =>
  all
    .map((one) => ({ one, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => one);

/** What is tried again by itself is no error: what ends an attempt for good reaches us as an exception. */
const writeLog = (log: KafkaLog, { level, namespace, log: { message, ...extra } }: LogEntry): void => {
  const fields: Record<string, unknown> = { part: 'kafka', namespace };
  for (const name of FIELDS) if (extra[name] !== undefined) fields[name] = extra[name] as unknown;
  log(levelOf(level, namespace, message), message, fields);
};

/** Neither stacks nor payloads. */
const FIELDS = ['groupId', 'memberId', 'broker', 'topic', 'partition', 'error', 'retryCount', 'retryTime', 'duration'];

/** Of these everything reaches us as an exception as well, and comes many times while a broker is away. */
const REPEATED = new Set(['Connection', 'BrokerPool', 'Producer', 'Admin']);
/** A fresh broker's first group or producer says so at ERROR, and heals by itself; a rebalance is daily business. */
const PASSING =
  /^Crash|^Restarting|coordinator is (loading|not available)|is rebalancing|re-joining|^Response (Heartbeat|JoinGroup|SyncGroup|OffsetCommit|GroupCoordinator)/i;

const levelOf = (level: kafkajs.logLevel, namespace: string, message: string): KafkaLogLevel => {
  if (REPEATED.has(namespace) || PASSING.test(message)) return 'debug';
  if (level === logLevel.ERROR) return 'warn';
  return level === logLevel.WARN ? 'info' : 'debug';
};

const TIMER_WARNING = 'TimeoutNegativeWarning';
let silenced = false;

/** The client waits for a time in the past now and then, which does no harm, and of which Node warns on standard error. */
const silenceTimerWarning = (): void => {
  if (silenced) return;
  silenced = true;
  const emitWarning = process.emitWarning.bind(process) as (...args: unknown[]) => void;
  process.emitWarning = (...args: unknown[]): void => {
    const [, type] = args;
    if (type === TIMER_WARNING && (new Error().stack ?? '').includes('kafkajs')) return;
    emitWarning(...args);
  };
};
