import { describe } from '@jest/globals';
import { Database, migrate } from '@vafa/persistence';
import {
  dropKafkaTopics,
  kafkaPrefix,
  testKafka,
  transportContract,
  withTestDatabase,
  type TransportHarness,
} from '@vafa/testing';
import { randomBytes } from 'node:crypto';
import { messagingMigrations } from '../postgres/migrations.js';
import { PostgresDeadLetters } from '../postgres/postgres-dead-letters.js';
import { KafkaMessageBus } from './kafka-message-bus.js';
import { KAFKA_DEFAULTS } from './kafka-settings.js';

const kafka = testKafka();

/** No test is about it: a busy machine is not to be taken for a consumer that is gone. */
const SESSION_TIMEOUT_MS = 30_000;

(kafka === undefined ? describe.skip : describe)('with a broker', () => {
  const brokers = kafka?.brokers ?? [];
  const test = withTestDatabase();
  const contentKey = randomBytes(32);

  const start = async (): Promise<TransportHarness> => {
    await migrate(test.url, [messagingMigrations], () => undefined);
    const database = await Database.connect({
      url: test.url,
      schema: 'messaging',
      role: 'vafa_messaging',
      poolSize: 6,
      applicationName: 'kafka-transport-contract',
      // The test database may be dropped while the last connections are still closing.
      onError: () => undefined,
    });
    await database.query(
      'truncate messaging.log, messaging.offsets, messaging.topics, messaging.dead_letters, messaging.parked_keys',
    );
    const prefix = kafkaPrefix();
    const bus = new KafkaMessageBus({
      settings: { ...KAFKA_DEFAULTS, brokers, prefix, sessionTimeoutMs: SESSION_TIMEOUT_MS },
      database,
    });
    const close = async (): Promise<void> => {
      await bus.close();
      await database.close();
      await dropKafkaTopics(brokers, prefix);
    };
    return { bus, deadLetters: new PostgresDeadLetters(database, bus, contentKey), close };
  };

  transportContract('KafkaMessageBus', start, { repeats: true });
});
