import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Controller, type INestApplication, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Payload } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Database, isTransient, migrate } from '@vafa/persistence';
import { deferred, eventually, FreezingProxy, withTestDatabase } from '@vafa/testing';
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import {
  connectTransport,
  EventPagePattern,
  MemoryMessageBus,
  messagingMigrations,
  PostgresDeadLetters,
  PostgresMessageBus,
  VafaTransport,
  type Decoded,
  type InboundEvent,
  type Message,
  type VafaTransportOptions,
} from '../index.js';

const KEYS = 20;
const BREAKS = 8;

let database: Database;
let bus: PostgresMessageBus;

// Before the database, which goes last.
afterAll(async () => {
  await bus.close();
  await database.close();
});
const test = withTestDatabase();

beforeAll(async () => {
  await migrate(test.url, [messagingMigrations], () => undefined);
  const { schema, role } = messagingMigrations;
  const options = { url: test.url, schema, role, poolSize: 6, applicationName: 'breaks', onError: () => undefined };
  database = await Database.connect(options);
  bus = new PostgresMessageBus(database);
  await bus.ensureTopics([{ name: 'numbers', partitions: 6, retentionMs: 3_600_000 }]);
});

const decode = (value: Buffer): Decoded => ({
  ok: true,
  event: JSON.parse(value.toString()) as Extract<Decoded, { ok: true }>['event'],
});

const number = (n: number): Message => ({
  topic: 'numbers',
  key: `k${n % KEYS}`,
  value: Buffer.from(JSON.stringify({ id: String(n), source: '/s', type: 'number', data: n })),
});

/** Starts a service whose handler does this with each page of numbers. */
const serve = async (
  take: (events: readonly InboundEvent<number>[]) => Promise<void>,
  options: Omit<VafaTransportOptions, 'decode'>,
): Promise<INestApplication> => {
  @Controller()
  class Taker {
    @EventPagePattern('number')
    take(@Payload() events: readonly InboundEvent<number>[]): Promise<void> {
      return take(events);
    }
  }
  @Module({ controllers: [Taker] })
  class Service {}
  const app = await NestFactory.create(Service, new FastifyAdapter(), { logger: false });
  connectTransport(app, new VafaTransport({ ...options, decode }));
  await app.startAllMicroservices();
  return app;
};

/** Every connection of this database but one's own breaks off. */
const breakConnections = async (admin: pg.Client): Promise<void> => {
  await admin.query(
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  );
};

it('loses nothing, parks nothing and keeps every key in order while connections break again and again', async () => {
  const seen = new Map<string | null, number[]>();
  const parked: string[] = [];
  const take = async (events: readonly InboundEvent<number>[]): Promise<void> => {
    await database.transaction(async (uow) => {
      await uow.query('select pg_sleep(0.01)');
    });
    for (const { key, data } of events) seen.set(key, [...(seen.get(key) ?? []), data]);
  };
  const app = await serve(take, {
    bus,
    group: 'g',
    topics: ['numbers'],
    deadLetters: new PostgresDeadLetters(database, bus, randomBytes(32)),
    onDeadLetters: (letters) => parked.push(...letters.map(({ reason }) => reason)),
  });

  const admin = new pg.Client({ connectionString: test.url });
  await admin.connect();
  let next = 0;
  let publishing = true;
  const publish = async (): Promise<void> => {
    while (publishing) {
      const page = Array.from({ length: KEYS }, (_, i) => number(next + i));
      await publishUntilDurable(page);
      next += KEYS;
    }
  };
  const published = publish();
  for (let i = 0; i < BREAKS; i++) {
    await pause(150 + i * 40);
    await breakConnections(admin);
  }
  publishing = false;
  await published;

  await eventually(() => {
    for (let key = 0; key < KEYS; key++) expect(new Set(seen.get(`k${key}`)).size).toBe(next / KEYS);
  }, 120_000);
  // A repeat may come, and then everything after it again: the first sight of each must be in order.
  for (const numbers of seen.values()) {
    const first = [...new Set(numbers)];
    expect(first).toEqual(first.toSorted((a, b) => a - b));
  }
  expect(parked).toEqual([]);
  await app.close();
  await admin.end();
});

/** What a publisher has to do: an unknown outcome is published again. */
const publishUntilDurable = async (page: readonly Message[]): Promise<void> => {
  for (;;) {
    try {
      return await bus.publish(page);
    } catch (error) {
      if (!isTransient(error)) throw error;
      await pause(20);
    }
  }
};

it('takes a lock that somebody keeps for a failure of the moment, which costs a message none of its attempts', async () => {
  const failures: unknown[] = [];
  const parked: string[] = [];
  const handled: number[] = [];
  const take = async (events: readonly InboundEvent<number>[]): Promise<void> => {
    await database.transaction(async (uow) => {
      await uow.query('select pg_advisory_xact_lock(1)');
    });
    handled.push(...events.map(({ data }) => data));
  };
  await bus.ensureTopics([{ name: 'locked', partitions: 1, retentionMs: 3_600_000 }]);
  const app = await serve(take, {
    bus,
    group: 'locked',
    topics: ['locked'],
    deadLetters: new PostgresDeadLetters(database, bus, randomBytes(32)),
    attemptsMax: 1,
    onDeadLetters: (letters) => parked.push(...letters.map(({ reason }) => reason)),
    onError: (error) => failures.push(error),
  });
  const holder = new pg.Client({ connectionString: test.url });
  await holder.connect();
  await holder.query('select pg_advisory_lock(1)');

  await bus.publish([{ ...number(1), topic: 'locked' }]);
  await eventually(() => expect(failures.length).toBeGreaterThanOrEqual(2), 60_000);
  expect(failures).toEqual(failures.map(() => expect.objectContaining({ code: '55P03' })));
  await holder.end();
  await eventually(() => expect(handled).toEqual([1]), 30_000);
  expect(parked).toEqual([]);
  await app.close();
}, 120_000);

it('takes a database that does not answer for a failure of the moment, which costs a message none of its attempts', async () => {
  const proxy = await FreezingProxy.open(test.url);
  const { schema, role } = messagingMigrations;
  const options = { url: proxy.url, schema, role, poolSize: 4, applicationName: 'frozen', onError: () => undefined };
  const frozen = await Database.connect(options);
  const failures: unknown[] = [];
  const parked: string[] = [];
  const handled: number[] = [];
  const take = async (events: readonly InboundEvent<number>[]): Promise<void> => {
    await frozen.query('select 1');
    handled.push(...events.map(({ data }) => data));
  };
  const memory = new MemoryMessageBus();
  await memory.ensureTopics([{ name: 'numbers', partitions: 1, retentionMs: 3_600_000 }]);
  const app = await serve(take, {
    bus: memory,
    group: 'frozen',
    topics: ['numbers'],
    deadLetters: new PostgresDeadLetters(frozen, memory, randomBytes(32)),
    attemptsMax: 1,
    handlerTimeoutMs: 200,
    onDeadLetters: (letters) => parked.push(...letters.map(({ reason }) => reason)),
    onError: (error) => failures.push(error),
  });
  await memory.publish([number(1)]);
  await eventually(() => expect(handled).toEqual([1]));

  proxy.freeze();
  await memory.publish([number(2)]);
  await eventually(() => expect(failures.length).toBeGreaterThanOrEqual(2));
  expect(failures.map((error) => (error as Error).name)).toEqual(failures.map(() => 'HandlerTimeout'));
  proxy.thaw();
  await eventually(() => expect(handled).toContain(2));
  expect(parked).toEqual([]);
  await app.close();
  await memory.close();
  await frozen.close();
  await proxy.close();
}, 120_000);

it.each<[string, () => Promise<unknown>]>([
  ['is away', () => Promise.reject(new Error('no connection'))],
  ['does not answer', () => new Promise(() => undefined)],
])(
  'costs a message none of its attempts while what its handler waits for %s, though the database does',
  async (words, silent) => {
    const back = deferred();
    let isAway = true;
    let asked = 0;
    const parked: string[] = [];
    const handled: number[] = [];
    const take = async (events: readonly InboundEvent<number>[]): Promise<void> => {
      if (isAway) await back.promise;
      if (events.some(({ data }) => data === 2)) await new Promise(() => undefined);
      handled.push(...events.map(({ data }) => data));
    };
    const memory = new MemoryMessageBus();
    await memory.ensureTopics([{ name: 'numbers', partitions: 1, retentionMs: 3_600_000 }]);
    const app = await serve(take, {
      bus: memory,
      group: `waits-${words.replaceAll(' ', '-')}`,
      topics: ['numbers'],
      deadLetters: new PostgresDeadLetters(database, memory, randomBytes(32)),
      areWell: async () => {
        asked++;
        if (isAway) await silent();
      },
      attemptsMax: 1,
      handlerTimeoutMs: 200,
      onDeadLetters: (letters) => parked.push(...letters.map(({ reason }) => reason)),
    });
    await memory.publish([number(1)]);
    await eventually(() => expect(asked).toBeGreaterThanOrEqual(2));
    isAway = false;
    back.resolve();
    await eventually(() => expect(handled).toContain(1));
    expect(parked).toEqual([]);

    // Where everything answers, a handler that does not end is at fault itself.
    await memory.publish([number(2)]);
    await eventually(() => expect(parked).toEqual([expect.stringContaining('did not end within 200 ms')]));
    await app.close();
    await memory.close();
  },
  120_000,
);
