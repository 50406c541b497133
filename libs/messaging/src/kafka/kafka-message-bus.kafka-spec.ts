import { Database, migrate } from '@vafa/persistence';
import {
  dropKafkaTopics,
  endKafkaGroup,
  kafkaPrefix,
  messageBusContract,
  testKafka,
  withTestDatabase,
  type MessageBusHarness,
} from '@vafa/testing';
import { describe } from '@jest/globals';
import { messagingMigrations } from '../postgres/migrations.js';
import { KafkaMessageBus } from './kafka-message-bus.js';
import { KAFKA_DEFAULTS } from './kafka-settings.js';

const kafka = testKafka();

/** No test is about it: a busy machine is not to be taken for a consumer that is gone. */
const SESSION_TIMEOUT_MS = 30_000;

(kafka === undefined ? describe.skip : describe)('with a broker', () => {
  const brokers = kafka?.brokers ?? [];
  const test = withTestDatabase();

  const start = async (): Promise<MessageBusHarness> => {
    await migrate(test.url, [messagingMigrations], () => undefined);
    const database = await Database.connect({
      url: test.url,
      schema: 'messaging',
      role: 'vafa_messaging',
      poolSize: 12,
      applicationName: 'kafka-contract',
      // The test database may be dropped while the last connections are still closing.
      onError: () => undefined,
    });
    await database.query('truncate messaging.log, messaging.offsets, messaging.topics');
    const prefix = kafkaPrefix();
    const buses: KafkaMessageBus[] = [];
    return {
      open: () => {
        const bus = new KafkaMessageBus({
          settings: { ...KAFKA_DEFAULTS, brokers, prefix, sessionTimeoutMs: SESSION_TIMEOUT_MS },
          database,
        });
        buses.push(bus);
        return bus;
      },
      transaction: (work) => database.transaction(work),
      crash: (group) => endKafkaGroup(brokers, prefix + group),
      close: async () => {
        await Promise.all(buses.map((bus) => bus.close()));
        await database.close();
        await dropKafkaTopics(brokers, prefix);
      },
    };
  };

  messageBusContract('KafkaMessageBus', start, { crashes: true, forgets: false, repeats: true });
});
