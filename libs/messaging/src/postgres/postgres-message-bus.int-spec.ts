import { expect, it } from '@jest/globals';
import { Database, migrate, SERVICE_SESSIONS, StalledSessions, type StalledSession } from '@vafa/persistence';
import { eventually, FreezingProxy, messageBusContract, withTestDatabase, type MessageBusHarness } from '@vafa/testing';
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

it('gives the partitions of a consumer that is frozen while it takes a page in to others', async () => {
  await migrate(test.url, [messagingMigrations], () => undefined);
  const open = (url: string): Promise<Database> =>
    Database.connect({
      url,
      schema: 'messaging',
      role: 'vafa_messaging',
      poolSize: 4,
      applicationName: `${SERVICE_SESSIONS}bus`,
      onError: () => undefined,
    });
  const proxy = await FreezingProxy.open(test.url);
  const [awake, asleep] = [await open(test.url), await open(proxy.url)];
  const ended: StalledSession[] = [];
  const watch = new StalledSessions({
    url: test.url,
    onEnded: (session) => ended.push(session),
    onError: () => undefined,
  });
  const [bus, sleeping] = [new PostgresMessageBus(awake), new PostgresMessageBus(asleep)];
  await bus.ensureTopics([{ name: 'frozen', partitions: 2, retentionMs: 3_600_000 }]);
  const messages = Array.from({ length: 200 }, (_, i) => ({
    topic: 'frozen',
    key: `k${i}`,
    value: Buffer.from(`value ${i} ${'x'.repeat(200_000)}`),
  }));
  for (let at = 0; at < messages.length; at += 10) await bus.publish(messages.slice(at, at + 10));
  try {
    const frozen = proxy.freezeAt(Buffer.from('value 0').toString('hex'));
    await sleeping.subscribe({ group: 'g', topics: ['frozen'], pageSize: 200, handler: () => Promise.resolve() });
    await frozen;
    const keys = new Set<string | null>();
    await bus.subscribe({
      group: 'g',
      topics: ['frozen'],
      pageSize: 200,
      handler: async (batch) => batch.messages.forEach(({ key }) => keys.add(key)),
    });
    await eventually(() => expect(keys.size).toBe(messages.length), 60_000);
    expect(ended).not.toHaveLength(0);
  } finally {
    await bus.close();
    await watch.close();
    await awake.close();
    await proxy.close();
    await sleeping.close();
    await asleep.close();
  }
}, 120_000);
