import { Database, migrate } from '@vafa/persistence';
import { transportContract, withTestDatabase, type TransportHarness } from '@vafa/testing';
import { randomBytes } from 'node:crypto';
import {
  MemoryMessageBus,
  messagingMigrations,
  PostgresDeadLetters,
  PostgresMessageBus,
  type MessageBus,
} from '../index.js';

const test = withTestDatabase();
const contentKey = randomBytes(32);

const start = async (open: (database: Database) => MessageBus): Promise<TransportHarness> => {
  await migrate(test.url, [messagingMigrations], () => undefined);
  const database = await Database.connect({
    url: test.url,
    schema: 'messaging',
    role: 'vafa_messaging',
    poolSize: 6,
    applicationName: 'transport-contract',
    // The test database may be dropped while the last connections are still closing.
    onError: () => undefined,
  });
  await database.query(
    'truncate messaging.log, messaging.offsets, messaging.topics, messaging.dead_letters, messaging.parked_keys',
  );
  const bus = open(database);
  const close = async (): Promise<void> => {
    await bus.close();
    await database.close();
  };
  return { bus, deadLetters: new PostgresDeadLetters(database, bus, contentKey), close };
};

transportContract('PostgresMessageBus', () => start((database) => new PostgresMessageBus(database)));
transportContract('MemoryMessageBus', () => start(() => new MemoryMessageBus()));
