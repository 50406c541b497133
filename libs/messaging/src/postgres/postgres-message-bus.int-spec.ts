import { Database, migrate } from '@vafa/persistence';
import { messageBusContract, withTestDatabase, type MessageBusHarness } from '@vafa/testing';
import { messagingMigrations } from './migrations.js';
import { PostgresMessageBus } from './postgres-message-bus.js';

const test = withTestDatabase();

const TABLES = ['log', 'offsets', 'sequences', 'parked_keys', 'dead_letters', 'topics'];

const start = async (): Promise<MessageBusHarness> => {
  await migrate(test.url, [messagingMigrations], () => undefined);
  const applicationName = 'bus-contract';
  const database = await Database.connect({
    url: test.url,
    schema: 'messaging',
    role: 'vafa_messaging',
    poolSize: 12,
    applicationName,
    // The test database may be dropped while the last connections are still closing.
    onError: () => undefined,
  });
  await database.query(`truncate ${TABLES.map((table) => `messaging.${table}`).join(', ')}`);
  const buses: PostgresMessageBus[] = [];
  return {
    open: () => {
      const bus = new PostgresMessageBus(database, { retentionIntervalMs: 100 });
      buses.push(bus);
      return bus;
    },
    transaction: (work) => database.transaction(work),
    crash: async () => {
      const admin = await Database.connect({ url: test.url, schema: 'public', poolSize: 1, applicationName: 'admin' });
      await admin.query(
        `select pg_terminate_backend(pid) from pg_locks join pg_stat_activity using (pid)
         where locktype = 'advisory' and pg_locks.objsubid = 1 and datname = current_database()`,
      );
      await admin.close();
    },
    close: async () => {
      await Promise.all(buses.map((bus) => bus.close()));
      await database.close();
    },
  };
};

messageBusContract('PostgresMessageBus', start, { crashes: true });
