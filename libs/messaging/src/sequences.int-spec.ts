import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Database, migrate } from '@vafa/persistence';
import { eventually, withTestDatabase } from '@vafa/testing';
import fc from 'fast-check';
import { enqueueEvents, inTrace, messagingMigrations, PostgresMessageBus, type ReceivedMessage } from './index.js';

type Sent = { readonly writer: number; readonly sequence: number };

describe('sequences of outgoing events', () => {
  const test = withTestDatabase();
  let database: Database;
  let bus: PostgresMessageBus;
  let received: ReceivedMessage[];

  beforeAll(async () => {
    await migrate(test.url, [messagingMigrations], () => undefined);
    const { schema, role } = messagingMigrations;
    database = await Database.connect({
      url: test.url,
      schema,
      role,
      poolSize: 10,
      applicationName: 'sequences',
      // The test database is dropped before its connections are closed.
      onError: () => undefined,
    });
    bus = new PostgresMessageBus(database);
    await bus.ensureTopics(['t', 'u'].map((name) => ({ name, partitions: 4, retentionMs: 3_600_000 })));
  });

  beforeEach(async () => {
    await database.query('truncate messaging.log, messaging.offsets, messaging.sequences');
    received = [];
  });

  afterAll(async () => {
    await bus.close();
    await database.close();
  });

  const enqueue = (events: readonly { topic: string; key: string }[], writer: number, fail = false): Promise<void> =>
    database.transaction(async (uow) => {
      const withIds = events.map(({ topic, key }, i) => ({ topic, key, event: { id: `${writer}-${i}`, writer } }));
      await enqueueEvents(uow, bus, withIds);
      if (fail) throw new Error('rolled back');
    });

  const readAll = async (expected: number): Promise<void> => {
    const group = `g${Math.random()}`;
    const handler = async ({ messages }: { messages: readonly ReceivedMessage[] }): Promise<void> =>
      void received.push(...messages);
    const subscription = await bus.subscribe({ group, topics: ['t', 'u'], pageSize: 500, handler });
    await eventually(() => expect(received).toHaveLength(expected));
    await subscription.close();
  };

  const sent = ({ value }: ReceivedMessage): Sent => JSON.parse(value.toString()) as Sent;

  it('go out in the trace that each of them names, whatever the work under way belongs to', async () => {
    const [own, other] = ['1', '2'].map((n) => `00-${n.repeat(32)}-${n.repeat(16)}-01`);
    const events = [own, undefined].map((traceparent, i) => ({ topic: 't', key: `k${i}`, event: {}, traceparent }));
    await inTrace(other, () => database.transaction((uow) => enqueueEvents(uow, bus, events)));
    await readAll(2);
    expect(new Map(received.map(({ key, headers }) => [key, headers['traceparent']]))).toEqual(
      new Map([
        ['k0', own],
        ['k1', other],
      ]),
    );
  });

  it('count from 1 for each topic and key, and are written into the event', async () => {
    const events = [
      ['t', 'a'],
      ['t', 'b'],
      ['u', 'a'],
      ['t', 'a'],
    ].map(([topic = '', key = '']) => ({ topic, key }));
    await enqueue(events, 1);
    await enqueue(events, 2);
    await readAll(8);
    const of = (topic: string, key: string): number[] =>
      received.filter((m) => m.topic === topic && m.key === key).map((m) => sent(m).sequence);
    expect([of('t', 'a'), of('t', 'b'), of('u', 'a')]).toEqual([
      [1, 2, 3, 4],
      [1, 2],
      [1, 2],
    ]);
    expect(received[0]?.headers).toMatchObject({ 'content-type': expect.stringContaining('cloudevents+json') });
  });

  it('have no gap and are delivered in their order, whatever transactions run at once and whichever fail', async () => {
    const topic = fc.constantFrom('t', 'u');
    const event = fc.record({ topic, key: fc.constantFrom('a', 'b', 'c') });
    const writer = fc.record({ events: fc.array(event, { maxLength: 12 }), fail: fc.boolean() });
    const check = async (writers: { events: { topic: string; key: string }[]; fail: boolean }[]): Promise<void> => {
      await database.query('truncate messaging.log, messaging.offsets, messaging.sequences');
      received = [];
      const runs = writers.map(({ events, fail }, i) => enqueue(events, i, fail).catch(() => undefined));
      await Promise.all(runs);
      await readAll(writers.reduce((sum, { events, fail }) => sum + (fail ? 0 : events.length), 0));
      for (const [, messages] of Map.groupBy(received, (message) => `${message.topic} ${message.key}`)) {
        const sequences = messages.map((message) => sent(message).sequence);
        expect(sequences).toEqual(sequences.map((_, i) => i + 1));
      }
    };
    await fc.assert(fc.asyncProperty(fc.array(writer, { minLength: 2, maxLength: 9 }), check), { numRuns: 25 });
  });
});
