import type { KafkaSettings } from './kafka-settings.js';

/** What is wrong between us and the brokers. */
export type KafkaFaultKind =
  | 'certificate'
  | 'certificate-name'
  | 'not-tls'
  | 'credentials'
  | 'mechanism'
  | 'no-sasl'
  | 'unauthorised'
  | 'session-timeout'
  | 'missing-topic'
  | 'partitions'
  | 'replication'
  | 'in-sync-replicas'
  | 'policy'
  | 'too-large'
  | 'compression'
  | 'closed'
  | 'unreachable'
  | 'timeout'
  | 'other';

/** An error of the client in a sentence that names the setting to look at. */
export class KafkaFault extends Error {
  override readonly name = 'KafkaFault';
  /** What `isTransient` knows a failure of the moment by; absent where trying again cannot help. */
  readonly code?: 'ETIMEDOUT';

  constructor(
    readonly kind: KafkaFaultKind,
    message: string,
    /** Whether the same may succeed later with the settings as they are. */
    readonly heals: boolean,
    cause: unknown,
  ) {
    super(message, { cause });
    if (heals) this.code = 'ETIMEDOUT';
  }
}

type Row = {
  readonly kind: KafkaFaultKind;
  /** Matched against names, types, codes and messages of the error and all that caused it: the client tells several apart in words only. */
  readonly where: RegExp;
  readonly heals: boolean;
  readonly sentence: (settings: KafkaSettings) => string;
};

const at = ({ brokers }: KafkaSettings): string => `Kafka at ${brokers.join(', ')}`;
const user = ({ sasl }: KafkaSettings): string => (sasl === null ? 'this client' : `the user ${sasl.username}`);

const closedSentence = (settings: KafkaSettings): string =>
  `${at(settings)} closes the connection: ${closedHint(settings)}`;

/** The first row that matches is what it is. Those of the first lines cannot be mended by waiting. */
const ROWS: readonly Row[] = [
  {
    kind: 'certificate-name',
    where: /ERR_TLS_CERT_ALTNAME_INVALID|does not match certificate/i,
    heals: false,
    sentence: (settings) =>
      `${at(settings)} shows a certificate for another name: give the brokers in VAFA_KAFKA_BROKERS by the names that their certificates have.`,
  },
  {
    kind: 'certificate',
    where:
      /self[- ]signed certificate|unable to (get|verify)|certificate (has expired|is not yet valid)|CERT_|DEPTH_ZERO/i,
    heals: false,
    sentence: (settings) =>
      `${at(settings)} shows a certificate that is not trusted: set VAFA_KAFKA_CA to the file with the certificate of the authority that signed it.`,
  },
  {
    kind: 'not-tls',
    where: /disconnected before secure TLS connection|wrong version number|packet length too long|EPROTO|ERR_SSL/i,
    heals: false,
    sentence: (settings) =>
      `${at(settings)} does not speak TLS on this port: set VAFA_KAFKA_TLS=false, or give the TLS port in VAFA_KAFKA_BROKERS.`,
  },
  {
    kind: 'mechanism',
    where: /UNSUPPORTED_SASL_MECHANISM|mechanism.*(not supported|not enabled)/i,
    heals: false,
    sentence: (settings) =>
      `${at(settings)} does not take the mechanism ${settings.sasl?.mechanism ?? 'none'}: set VAFA_KAFKA_SASL_MECHANISM to one that it has.`,
  },
  {
    kind: 'no-sasl',
    where: /ILLEGAL_SASL_STATE|not valid given the current SASL state/i,
    heals: false,
    sentence: (settings) =>
      `${at(settings)} asks for no user on this port: leave VAFA_KAFKA_SASL_MECHANISM out, or give the port for SASL in VAFA_KAFKA_BROKERS.`,
  },
  {
    // The client says that it was refused whatever ends its authentication, with the cause in words.
    kind: 'closed',
    where:
      /authentication failed: .*(timed out|Closed connection|ECONNRESET|Not connected|Connection (error|timeout))/i,
    heals: true,
    sentence: closedSentence,
  },
  {
    kind: 'credentials',
    where: /KafkaJSSASLAuthenticationError|SASL_AUTHENTICATION_FAILED/,
    heals: false,
    sentence: (settings) =>
      `${at(settings)} refuses ${user(settings)}: check VAFA_KAFKA_USERNAME, VAFA_KAFKA_PASSWORD and VAFA_KAFKA_SASL_MECHANISM.`,
  },
  {
    kind: 'unauthorised',
    where: /(TOPIC|GROUP|CLUSTER|TRANSACTIONAL_ID)_AUTHORIZATION_FAILED|not authorized to access/i,
    heals: false,
    sentence: (settings) =>
      `${at(settings)} does not let ${user(settings)} do this: give the user of VAFA_KAFKA_USERNAME the rights that docs/operations.md lists; where it may not create topics, create them and set VAFA_KAFKA_CREATE_TOPICS=false.`,
  },
  {
    kind: 'session-timeout',
    where: /INVALID_SESSION_TIMEOUT|session timeout is not within/i,
    heals: false,
    sentence: (settings) =>
      `${at(settings)} takes no session of ${settings.sessionTimeoutMs} ms: set VAFA_KAFKA_SESSION_TIMEOUT_MS between group.min.session.timeout.ms and group.max.session.timeout.ms of the brokers, which are 6000 and 1800000 unless set.`,
  },
  {
    kind: 'policy',
    where: /POLICY_VIOLATION|INVALID_CONFIG|INVALID_PARTITIONS/,
    heals: false,
    sentence: (settings) =>
      `${at(settings)} refuses topics made like this: create them as docs/operations.md lists them, and set VAFA_KAFKA_CREATE_TOPICS=false.`,
  },
  {
    kind: 'too-large',
    where: /MESSAGE_TOO_LARGE|RECORD_LIST_TOO_LARGE/,
    heals: false,
    sentence: (settings) =>
      `${at(settings)} takes no message of this size: raise max.message.bytes of the topic, or message.max.bytes of the brokers.`,
  },
  {
    kind: 'compression',
    where: /KafkaJSNotImplemented|compression not implemented/i,
    heals: false,
    sentence: (settings) =>
      `${at(settings)} has messages compressed by Snappy, LZ4 or Zstandard, of which only the broker is to know: set compression.type=uncompressed on the topics, and publish again what is compressed there.`,
  },
  {
    kind: 'replication',
    where: /INVALID_REPLICATION_FACTOR|replication.?factor/i,
    // Of brokers that start together, the last may be on its way.
    heals: true,
    sentence: (settings) =>
      `${at(settings)} has fewer brokers than the ${settings.replication ?? 'default number of'} copies of a topic: start more of them, or lower VAFA_KAFKA_REPLICATION.`,
  },
  {
    kind: 'in-sync-replicas',
    where: /NOT_ENOUGH_REPLICAS/,
    heals: true,
    sentence: (settings) =>
      `${at(settings)} has fewer copies in step than min.insync.replicas (VAFA_KAFKA_MIN_INSYNC_REPLICAS) asks for: brokers are down or behind.`,
  },
  {
    kind: 'missing-topic',
    where: /UNKNOWN_TOPIC_OR_PARTITION|does not host this topic/,
    heals: true,
    sentence: (settings) =>
      `${at(settings)} lacks a topic: create it, or set VAFA_KAFKA_CREATE_TOPICS=true; VAFA_KAFKA_PREFIX stands before every name.`,
  },
  {
    kind: 'timeout',
    where: /KafkaJSRequestTimeoutError|REQUEST_TIMED_OUT|Connection timeout|ETIMEDOUT|deadline/i,
    heals: true,
    sentence: (settings) => `${at(settings)} does not answer in time: check VAFA_KAFKA_BROKERS and the network.`,
  },
  {
    kind: 'unreachable',
    where:
      /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|KafkaJSNoBrokerAvailableError|KafkaJSBrokerNotFound/,
    heals: true,
    sentence: (settings) =>
      `${at(settings)} cannot be reached: check VAFA_KAFKA_BROKERS, and that the brokers run and advertise an address that this machine reaches.`,
  },
  {
    kind: 'closed',
    where: /Closed connection|KafkaJSConnectionClosedError|ECONNRESET|EPIPE|socket hang up/i,
    heals: true,
    sentence: closedSentence,
  },
];

const closedHint = ({ tls, sasl }: KafkaSettings): string => {
  if (tls === null) return 'a port for TLS wants VAFA_KAFKA_TLS=true, one for SASL wants VAFA_KAFKA_SASL_MECHANISM.';
  if (sasl === null) return 'a port for SASL wants VAFA_KAFKA_SASL_MECHANISM.';
  return 'check that VAFA_KAFKA_BROKERS gives the port for TLS with SASL.';
};

const DEPTH_MAX = 8;

/** Every name, type, code and message of an error and of what caused it. */
const wordsOf = (error: unknown, depth = 0): string => {
  if (depth > DEPTH_MAX || typeof error !== 'object' || error === null) return typeof error === 'string' ? error : '';
  const { name, type, code, message, cause, errors } = error as Record<string, unknown>;
  const own = [name, type, code, message].filter((one) => typeof one === 'string').join(' ');
  const inner = [cause, ...(Array.isArray(errors) ? (errors as unknown[]) : [])];
  return [own, ...inner.map((one) => wordsOf(one, depth + 1))].join(' | ');
};

/** What an error of the client means with these settings. A fault stays what it is. */
export const faultOf = (error: unknown, settings: KafkaSettings): KafkaFault => {
  if (error instanceof KafkaFault) return error;
  const words = wordsOf(error);
  const row = ROWS.find(({ where }) => where.test(words));
  if (row !== undefined) return new KafkaFault(row.kind, row.sentence(settings), row.heals, error);
  // Brokers have a hundred ways to be busy with themselves, and whoever tries again has a deadline.
  const message = error instanceof Error ? error.message : String(error);
  return new KafkaFault('other', `${at(settings)}: ${message}`, !(error instanceof TypeError), error);
};

const ENDING: ReadonlySet<KafkaFaultKind> = new Set([
  'credentials',
  'mechanism',
  'unauthorised',
  'session-timeout',
  'compression',
]);

/** Faults that end a process in the middle of its work: somebody took its rights away, it can join no group, or it can never read what comes next. */
export const endsProcess = ({ kind }: KafkaFault): boolean => ENDING.has(kind);
