import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { Database, migrate } from '@vafa/persistence';
import { eventually, withTestDatabase } from '@vafa/testing';
import { MESSAGE_BYTES_MAX } from '../message-bus.js';
import { messagingMigrations } from './migrations.js';
import { PostgresMessageBus } from './postgres-message-bus.js';

const test = withTestDatabase();
const PAGE_BYTES_MAX = 16 * 1024 * 1024;
const LARGE = 100;

let database: Database;
let bus: PostgresMessageBus;

beforeEach(async () => {
  await migrate(test.url, [messagingMigrations], () => undefined);
  const { schema, role } = messagingMigrations;
  database = await Database.connect({ url: test.url, schema, role, poolSize: 4, applicationName: 'page-bytes' });
  bus = new PostgresMessageBus(database);
});

afterEach(async () => {
  await bus.close();
  await database.close();
});

it('keeps a page within its bytes, however large the messages are, and leaves none out', async () => {
  await bus.ensureTopics([{ name: 'orders', partitions: 2, retentionMs: 3_600_000 }]);
  // One lane after the other has them: large ones, and a small one behind.
  for (let i = 0; i < LARGE; i++)
    await bus.publish([{ topic: 'orders', key: 'k', value: Buffer.alloc(MESSAGE_BYTES_MAX, i) }]);
  await bus.publish([{ topic: 'orders', key: 'k', value: Buffer.from('last') }]);
  const pages: number[] = [];
  const received: number[] = [];
  const subscription = await bus.subscribe({
    group: 'g',
    topics: ['orders'],
    pageSize: 1_000,
    handler: async ({ messages }) => {
      pages.push(messages.reduce((sum, { value }) => sum + value.length, 0));
      for (const { value } of messages) received.push(value.length === 4 ? LARGE : (value[0] ?? -1));
    },
  });
  await eventually(() => expect(received).toEqual(Array.from({ length: LARGE + 1 }, (_, i) => i)));
  expect(pages.length).toBeGreaterThan(1);
  expect(Math.max(...pages)).toBeLessThan(PAGE_BYTES_MAX + MESSAGE_BYTES_MAX);
  await eventually(async () => expect((await subscription.lag()).get('orders')).toBe(0));
});
