import { describe, expect, it } from '@jest/globals';
import { isTransient } from '@vafa/persistence';
import kafkajs from 'kafkajs';
import { endsProcess, faultOf, KafkaFault, type KafkaFaultKind } from './kafka-faults.js';
import { KAFKA_DEFAULTS, type KafkaSettings } from './kafka-settings.js';

const { KafkaJSConnectionError, KafkaJSNumberOfRetriesExceeded, KafkaJSProtocolError, KafkaJSAggregateError } = kafkajs;

const PLAIN: KafkaSettings = { ...KAFKA_DEFAULTS, brokers: ['kafka:9092'], replication: 3, sessionTimeoutMs: 1_000 };
const SECURED: KafkaSettings = {
  ...PLAIN,
  tls: {},
  sasl: { mechanism: 'scram-sha-512', username: 'shop', password: 'hunter2' },
};

/** As the client gives what a broker answered. */
const answered = (type: string): Error =>
  Object.assign(new KafkaJSProtocolError(type), { type, name: 'KafkaJSProtocolError' });
/** As it gives what happened to a connection, after it has tried again. */
const broken = (message: string, code?: string): Error => {
  const options = code === undefined ? {} : { code };
  const cause = new KafkaJSConnectionError(`Connection error: ${message}`, { broker: 'kafka:9092', ...options });
  return Object.assign(new KafkaJSNumberOfRetriesExceeded(cause, { retryCount: 1, retryTime: 100 }), { cause });
};
const named = (name: string, message = ''): Error => Object.assign(new Error(message), { name });

type Case = readonly [kind: KafkaFaultKind, error: Error, heals: boolean, sentence: RegExp, settings?: KafkaSettings];

const CASES: readonly Case[] = [
  ['certificate-name', broken('x', 'ERR_TLS_CERT_ALTNAME_INVALID'), false, /another name.*VAFA_KAFKA_BROKERS/],
  ['certificate', broken('self-signed certificate in certificate chain'), false, /not trusted.*VAFA_KAFKA_CA/],
  ['certificate', broken('certificate has expired'), false, /VAFA_KAFKA_CA/],
  [
    'not-tls',
    broken('Client network socket disconnected before secure TLS connection was established'),
    false,
    /VAFA_KAFKA_TLS=false/,
  ],
  ['mechanism', answered('UNSUPPORTED_SASL_MECHANISM'), false, /scram-sha-512.*VAFA_KAFKA_SASL_MECHANISM/, SECURED],
  [
    'mechanism',
    named('KafkaJSSASLAuthenticationError', 'SASL PLAIN mechanism is not supported by the server'),
    false,
    /VAFA_KAFKA_SASL_MECHANISM/,
  ],
  ['no-sasl', answered('ILLEGAL_SASL_STATE'), false, /asks for no user.*VAFA_KAFKA_SASL_MECHANISM/],
  ['credentials', answered('SASL_AUTHENTICATION_FAILED'), false, /the user shop.*VAFA_KAFKA_PASSWORD/, SECURED],
  [
    'closed',
    named('KafkaJSSASLAuthenticationError', 'SASL PLAIN authentication failed: Closed connection'),
    true,
    /closes the connection/,
    SECURED,
  ],
  ['compression', named('KafkaJSNotImplemented', 'LZ4 compression not implemented'), false, /compression\.type/],
  ['credentials', named('KafkaJSSASLAuthenticationError', 'x'), false, /VAFA_KAFKA_USERNAME/],
  ['unauthorised', answered('TOPIC_AUTHORIZATION_FAILED'), false, /VAFA_KAFKA_USERNAME.*VAFA_KAFKA_CREATE_TOPICS/],
  ['unauthorised', answered('GROUP_AUTHORIZATION_FAILED'), false, /VAFA_KAFKA_USERNAME/],
  ['session-timeout', answered('INVALID_SESSION_TIMEOUT'), false, /1000 ms.*VAFA_KAFKA_SESSION_TIMEOUT_MS/],
  ['policy', answered('POLICY_VIOLATION'), false, /VAFA_KAFKA_CREATE_TOPICS=false/],
  ['too-large', answered('MESSAGE_TOO_LARGE'), false, /max\.message\.bytes/],
  ['too-large', answered('RECORD_LIST_TOO_LARGE'), false, /message\.max\.bytes/],
  ['replication', answered('INVALID_REPLICATION_FACTOR'), true, /the 3 copies.*VAFA_KAFKA_REPLICATION/],
  ['in-sync-replicas', answered('NOT_ENOUGH_REPLICAS_AFTER_APPEND'), true, /VAFA_KAFKA_MIN_INSYNC_REPLICAS/],
  ['missing-topic', answered('UNKNOWN_TOPIC_OR_PARTITION'), true, /VAFA_KAFKA_CREATE_TOPICS=true; VAFA_KAFKA_PREFIX/],
  ['timeout', named('KafkaJSRequestTimeoutError', 'Request Produce timed out'), true, /in time.*VAFA_KAFKA_BROKERS/],
  ['unreachable', broken('connect ECONNREFUSED', 'ECONNREFUSED'), true, /cannot be reached.*VAFA_KAFKA_BROKERS/],
  ['unreachable', named('KafkaJSNoBrokerAvailableError'), true, /VAFA_KAFKA_BROKERS/],
  ['closed', broken('Closed connection'), true, /VAFA_KAFKA_TLS=true/],
  ['closed', broken('Closed connection'), true, /VAFA_KAFKA_SASL_MECHANISM/, { ...PLAIN, tls: {} }],
  ['closed', broken('Closed connection'), true, /VAFA_KAFKA_BROKERS/, SECURED],
  ['other', answered('COORDINATOR_LOAD_IN_PROGRESS'), true, /kafka:9092/],
  ['other', new TypeError('undefined is not a function'), false, /not a function/],
];

describe('faults of Kafka', () => {
  it.each(CASES)('tell by what to mend them: %s', (kind, error, heals, sentence, settings = PLAIN) => {
    const fault = faultOf(error, settings);
    expect(fault).toMatchObject({
      name: 'KafkaFault',
      kind,
      heals,
      message: expect.stringMatching(sentence),
      cause: error,
    });
    expect(isTransient(fault)).toBe(heals);
    expect(fault.message).not.toContain('hunter2');
  });

  it('are found among several, and stay what they are', () => {
    const all = Object.assign(new KafkaJSAggregateError('Topic creation errors', []), {
      errors: [answered('INVALID_REPLICATION_FACTOR')],
    });
    const fault = faultOf(all, PLAIN);
    expect(fault.kind).toBe('replication');
    expect(faultOf(fault, PLAIN)).toBe(fault);
  });

  it('end a process where no waiting brings back what it works with', () => {
    const kinds = new Set(CASES.map(([kind]) => kind));
    const ending = [...kinds].filter((kind) => endsProcess(new KafkaFault(kind, '', false, undefined)));
    expect(ending).toEqual(['mechanism', 'credentials', 'compression', 'unauthorised', 'session-timeout']);
  });
});
