import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Database, migrate } from '@vafa/persistence';
import { deferred, eventually, withTestDatabase } from '@vafa/testing';
import type { Message } from '../message-bus.js';
import { messagingMigrations } from '../postgres/migrations.js';
import { KafkaFault } from './kafka-faults.js';
import { Outbox, type OutboxOptions } from './outbox.js';

const test = withTestDatabase();
const TOPIC = { name: 'orders', partitions: 4, retentionMs: 50 };

let database: Database;
let outboxes: Outbox[];
let errors: unknown[];

beforeEach(async () => {
  await migrate(test.url, [messagingMigrations], () => undefined);
  const { schema, role } = messagingMigrations;
  const onError = (): void => undefined;
  database = await Database.connect({ url: test.url, schema, role, poolSize: 6, applicationName: 'outbox', onError });
  await database.query('truncate messaging.log, messaging.offsets, messaging.topics');
  outboxes = [];
  errors = [];
});

afterEach(async () => {
  await Promise.all(outboxes.map((outbox) => outbox.close()));
  await database.close();
});

const open = async (send: OutboxOptions['send'], retention?: OutboxOptions['retention']): Promise<Outbox> => {
  const onError = (error: unknown): void => void errors.push(error);
  const outbox = new Outbox({ database, send, onError, ...(retention && { retention }) });
  outboxes.push(outbox);
  await outbox.ensureTopics([TOPIC]);
  return outbox;
};

const numbers = (messages: readonly Message[]): number[] => messages.map(({ value }) => Number(value));
const order = (key: string, n: number): Message => ({ topic: 'orders', key, value: Buffer.from(String(n)) });
const enqueue = (outbox: Outbox, ...messages: Message[]): Promise<void> =>
  database.transaction((work) => outbox.enqueue(work, messages));
const rows = async (): Promise<number> => (await database.query('select 1 from messaging.log')).length;

describe('Outbox', () => {
  it('sends what was committed, each key in order, and again what was not acknowledged', async () => {
    const sent: number[][] = [];
    let away = 2;
    const outbox = await open(async (messages) => {
      sent.push(numbers(messages));
      if (away-- > 0) throw new Error('away');
    });
    await enqueue(outbox, order('a', 1), order('a', 2));
    await eventually(() => expect(sent.length).toBeGreaterThanOrEqual(3));
    await enqueue(outbox, order('a', 3));
    await eventually(() => expect(sent.flat().at(-1)).toBe(3));
    const acknowledged = sent.slice(2).flat();
    expect(acknowledged).toEqual([1, 2, 3]);
    await eventually(async () => expect(await outbox.lag()).toBe(0));
  });

  it('does not send again what Kafka has of a page that it did not take whole', async () => {
    const sent: number[][] = [];
    const gone = deferred();
    const outbox = await open(async (messages, onDurable) => {
      sent.push(numbers(messages));
      const [stuck] = messages.filter(({ key }) => key === 'stuck');
      for (const message of messages) if (message !== stuck) onDurable(message);
      if (stuck !== undefined && sent.length < 3) throw new Error('too few copies');
      if (stuck !== undefined) gone.resolve();
    });
    await enqueue(outbox, order('a', 1), order('a', 2), order('stuck', 3), order('a', 4));
    await gone.promise;
    await eventually(async () => expect(await outbox.lag()).toBe(0));
    const times = (n: number): number => sent.flat().filter((one) => one === n).length;
    expect([1, 2, 4].map(times)).toEqual([1, 1, 1]);
  });

  it('says which topic stands still behind a message that Kafka refuses, until it goes on', async () => {
    let refused = true;
    const outbox = await open(async () => {
      if (refused) throw new KafkaFault('too-large', 'raise max.message.bytes', false, undefined);
    });
    await enqueue(outbox, order('a', 1));
    await eventually(() => expect(outbox.stoppedTopics()).toEqual(['orders']));
    expect(errors.at(-1)).toMatchObject({ message: 'The outbox of orders stands still: raise max.message.bytes' });
    refused = false;
    await eventually(() => expect(outbox.stoppedTopics()).toEqual([]));
    await eventually(async () => expect(await outbox.lag()).toBe(0));
  });

  it('lets another process go on where one ended, and no two of them send the same at once', async () => {
    const stuck = deferred();
    const first = await open(() => stuck.promise);
    await enqueue(first, order('a', 1));
    const sent: number[] = [];
    const second = await open(async (messages) => void sent.push(...numbers(messages)));
    await enqueue(second, order('b', 2), order('c', 3));
    expect(sent).not.toContain(1);
    stuck.resolve();
    await first.close();
    await enqueue(second, order('a', 4), order('b', 5));
    await eventually(() => expect(sent).toEqual(expect.arrayContaining([4, 5])));
    await eventually(async () => expect(await second.lag()).toBe(0));
  });

  it('keeps what is not sent, however old, and what is sent for a while', async () => {
    const gate = deferred();
    const outbox = await open(() => gate.promise, { intervalMs: 20, sentKeptMs: 100 });
    await enqueue(outbox, order('a', 1));
    const seen = await database.query('select pg_sleep(0.4)');
    expect(seen).toHaveLength(1);
    expect(await rows()).toBe(1);
    gate.resolve();
    await eventually(async () => expect(await rows()).toBe(0));
  });

  it('delivers nothing of a transaction that is rolled back', async () => {
    const sent: number[] = [];
    const outbox = await open(async (messages) => void sent.push(...numbers(messages)));
    const rolledBack = database.transaction(async (work) => {
      await outbox.enqueue(work, [order('a', 1)]);
      throw new Error('no');
    });
    await expect(rolledBack).rejects.toThrow('no');
    await enqueue(outbox, order('a', 2));
    await eventually(() => expect(sent).toEqual([2]));
  });
});
