import { describe, expect, it } from '@jest/globals';
import { listSettings } from './config.js';
import { chooseKafka, kafkaConfig } from './kafka.js';

const choose = (env: Record<string, string>) =>
  chooseKafka(kafkaConfig({ VAFA_KAFKA_BROKERS: 'one:9092, two:9093', ...env }));

const SASL = { VAFA_KAFKA_SASL_MECHANISM: 'scram-sha-512', VAFA_KAFKA_USERNAME: 'vafa' };

describe('the settings of Kafka', () => {
  it('choose none without brokers, and have defaults beside them', () => {
    expect(chooseKafka(kafkaConfig({}))).toBeUndefined();
    expect(choose({})).toEqual({
      partitions: 12,
      settings: {
        brokers: ['one:9092', 'two:9093'],
        clientId: 'vafa',
        prefix: '',
        tls: null,
        sasl: null,
        createTopics: true,
        replication: null,
        minInsyncReplicas: null,
        sessionTimeoutMs: 6_000,
      },
    });
  });

  it('give a user and trusted authorities', () => {
    const { settings } = choose({ ...SASL, VAFA_KAFKA_PASSWORD: 'secret', VAFA_KAFKA_TLS: 'true' }) ?? {};
    expect(settings).toMatchObject({
      tls: {},
      sasl: { mechanism: 'scram-sha-512', username: 'vafa', password: 'secret' },
    });
  });

  const wrong: [string, Record<string, string>][] = [
    ['VAFA_KAFKA_BROKERS', { VAFA_KAFKA_BROKERS: 'one' }],
    ['VAFA_KAFKA_PASSWORD', SASL],
    ['VAFA_KAFKA_USERNAME', { VAFA_KAFKA_SASL_MECHANISM: 'plain' }],
    ['VAFA_KAFKA_SASL_MECHANISM', { VAFA_KAFKA_USERNAME: 'vafa' }],
    ['VAFA_KAFKA_SASL_MECHANISM', { ...SASL, VAFA_KAFKA_SASL_MECHANISM: 'gssapi' }],
    ['VAFA_KAFKA_PASSWORD_FILE', { ...SASL, VAFA_KAFKA_PASSWORD: 'a', VAFA_KAFKA_PASSWORD_FILE: '/b' }],
    ['VAFA_KAFKA_PASSWORD_FILE', { ...SASL, VAFA_KAFKA_PASSWORD_FILE: '/is/not/there' }],
    ['VAFA_KAFKA_CA', { VAFA_KAFKA_CA: '/ca.pem' }],
    ['VAFA_KAFKA_CA', { VAFA_KAFKA_TLS: 'true', VAFA_KAFKA_CA: '/is/not/there' }],
    ['VAFA_KAFKA_KEY', { VAFA_KAFKA_TLS: 'true', VAFA_KAFKA_CERT: '/cert.pem' }],
    ['VAFA_KAFKA_SESSION_TIMEOUT_MS', { VAFA_KAFKA_SESSION_TIMEOUT_MS: '2999' }],
    ['VAFA_KAFKA_MIN_INSYNC_REPLICAS', { VAFA_KAFKA_REPLICATION: '1', VAFA_KAFKA_MIN_INSYNC_REPLICAS: '2' }],
  ];

  it.each(wrong)('are refused by name: %s', (name, env) => {
    expect(() => choose(env)).toThrow(new RegExp(`^${name} `));
  });

  it('never show the password', () => {
    const shown = listSettings({ VAFA_KAFKA_PASSWORD: 'hunter2' });
    expect(shown.find(({ name }) => name === 'VAFA_KAFKA_PASSWORD')?.value).toBe('••••••');
    expect(JSON.stringify(shown)).not.toContain('hunter2');
  });
});
