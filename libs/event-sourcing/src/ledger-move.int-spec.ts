import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Database, migrate } from '@vafa/persistence';
import { EventStoreDbStandIn, anEvent, withTestDatabase } from '@vafa/testing';
import fc from 'fast-check';
import { NO_STREAM } from './event-store.js';
import type { EventStore, Position, StoredEvent } from './event-store.js';
import { EventStoreDbEventStore } from './eventstoredb/eventstoredb-event-store.js';
import { INSTALLATION_STREAM, claim, requireHomeInEventStoreDb, requireHomeInPostgres } from './ledger-home.js';
import { MoveError, copyLog, placeAfter, proveLog, requireSame } from './ledger-move.js';
import { MemoryEventStore } from './memory/memory-event-store.js';
import { eventStoreMigrations } from './postgres/migrations.js';
import { PostgresEventStore } from './postgres/postgres-event-store.js';

const { signal } = new AbortController();
const quiet = { signal, onEvents: () => undefined };

/** A log of these streams in this order; the recorded times differ from those of any other run. */
const fill = async (store: EventStore, order: readonly number[]): Promise<void> => {
  const heads = new Map<number, number>();
  for (const stream of order) {
    const head = heads.get(stream) ?? NO_STREAM;
    await store.append(`account-${stream}`, head, [anEvent({ data: `{ "n": ${head}.0, "فا": "وفا" }` })]);
    heads.set(stream, head + 1);
  }
};

const logOf = async (store: EventStore, after: Position | null = null): Promise<StoredEvent[]> => {
  const found: StoredEvent[] = [];
  for await (const page of store.subscribe({ prefix: 'account-', after, pageSize: 100, signal })) {
    found.push(...page.events);
    if (page.caughtUp) break;
  }
  return found;
};

const bare = (events: readonly StoredEvent[]): unknown[] => events.map(({ position: _own, ...event }) => event);

describe('moving a ledger', () => {
  let local: Database;

  // Before the database, which goes last.
  afterAll(() => local.close());
  const database = withTestDatabase();

  beforeAll(async () => {
    await migrate(database.url, [eventStoreMigrations], () => undefined);
    const { schema, role } = eventStoreMigrations;
    local = await Database.connect({ url: database.url, schema, role, poolSize: 3, applicationName: 'move' });
  });

  it('keeps everything but positions, in its order, and gives every reader its place', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(4), { minLength: 1, maxLength: 40 }), async (order) => {
        const from = new MemoryEventStore();
        await fill(from, order);
        const standIn = await EventStoreDbStandIn.start();
        const to = await EventStoreDbEventStore.connect({ url: standIn.url });
        await claim(to, crypto.randomUUID());
        await copyLog({ from, to, after: null, signal, onPage: async () => undefined });
        const [there, here] = [await logOf(to), await logOf(from)];
        expect(bare(there)).toEqual(bare(here));

        const places = await Promise.all(here.map(({ position }) => placeAfter(from, position, signal)));
        const proof = await proveLog(to, places, quiet);
        requireSame(await proveLog(from, places, quiet), proof);
        for (const [i, event] of here.entries())
          expect(bare(await logOf(to, proof.places[i]?.position ?? null))).toEqual(
            bare(await logOf(from, event.position)),
          );
        await to.close();
        await standIn.stop();
      }),
      { numRuns: 8 },
    );
  });

  it('is taken up again where it was broken off, and back again adds only what is new', async () => {
    const standIn = await EventStoreDbStandIn.start();
    const remote = await EventStoreDbEventStore.connect({ url: standIn.url });
    const first = new PostgresEventStore(local);
    for (let i = 0; i < 30; i++)
      await first.append(
        `account-${i}`,
        NO_STREAM,
        Array.from({ length: 100 }, () => anEvent()),
      );
    let reached: Position | null = null;
    const breaking = copyLog({
      from: first,
      to: remote,
      after: null,
      signal,
      onPage: async (position) => {
        if (reached !== null) throw new Error('broken off');
        reached = position;
      },
    });
    await expect(breaking).rejects.toThrow('broken off');
    await copyLog({ from: first, to: remote, after: reached, signal, onPage: async () => undefined });
    await remote.append('account-new', NO_STREAM, [anEvent()]);
    await copyLog({ from: remote, to: first, after: null, signal, onPage: async () => undefined });
    const [there, here] = [await proveLog(remote, ['end'], quiet), await proveLog(first, ['end'], quiet)];
    requireSame(there, here);
    expect(here.events).toBe(3_001);
    await first.close();
    await remote.close();
    await standIn.stop();
  });

  it('names what is in the way or differs', async () => {
    const [from, to] = [new MemoryEventStore(), new MemoryEventStore()];
    await fill(from, [1, 2, 1]);
    await to.append('account-2', NO_STREAM, [anEvent()]);
    const copying = copyLog({ from, to, after: null, signal, onPage: async () => undefined });
    await expect(copying).rejects.toThrow(MoveError);
    await expect(copying).rejects.toThrow(/account-2/);
    const [one, other] = [await proveLog(from, [], quiet), await proveLog(to, [], quiet)];
    expect(() => requireSame(one, other)).toThrow(/account-[12] is not the same/);
  });

  it('refuses a reader whose events stand in another order there', async () => {
    const [from, to] = [new MemoryEventStore(), new MemoryEventStore()];
    const events = [anEvent({ recordedAt: '2026-01-01T00:00:00Z' }), anEvent({ recordedAt: '2026-01-01T00:00:00Z' })];
    for (const [store, order] of [
      [from, [0, 1]],
      [to, [1, 0]],
    ] as const)
      // prettier-ignore
      for (const i of order) await store.append(`account-${i}`, NO_STREAM, events.slice(i, i + 1));
    const [read] = await logOf(from);
    const places = [await placeAfter(from, read?.position ?? ('' as Position), signal)];
    const [one, other] = [await proveLog(from, places, quiet), await proveLog(to, places, quiet)];
    expect(() => requireSame(one, other)).toThrow(/another order.*--abandon, start the services/);
    requireSame(await proveLog(from, ['end'], quiet), await proveLog(to, ['end'], quiet));
  });
});

describe('where the ledger lives', () => {
  let local: Database;
  let standIn: EventStoreDbStandIn;
  let remote: EventStoreDbEventStore;

  // Before the database, which goes last.
  afterAll(async () => {
    await remote.close();
    await standIn.stop();
    await local.close();
  });
  const database = withTestDatabase();

  beforeAll(async () => {
    await migrate(database.url, [eventStoreMigrations], () => undefined);
    const { schema, role } = eventStoreMigrations;
    local = await Database.connect({ url: database.url, schema, role, poolSize: 3, applicationName: 'home' });
    standIn = await EventStoreDbStandIn.start();
    remote = await EventStoreDbEventStore.connect({ url: standIn.url });
  });

  it('is PostgreSQL until a first start on EventStoreDB, and then that one alone, also where two begin at once', async () => {
    await requireHomeInPostgres(local);
    await Promise.all([requireHomeInEventStoreDb(local, remote), requireHomeInEventStoreDb(local, remote)]);
    await requireHomeInEventStoreDb(local, remote);
    await expect(requireHomeInPostgres(local)).rejects.toThrow(/The ledger lives in EventStoreDB/);
    expect(await remote.read(INSTALLATION_STREAM, 0, 10)).toHaveLength(1);
    await expect(requireHomeInEventStoreDb(local, new MemoryEventStore())).rejects.toThrow(/is empty/);
    const others = new MemoryEventStore();
    await claim(others, crypto.randomUUID());
    await expect(requireHomeInEventStoreDb(local, others)).rejects.toThrow(/of another installation/);
  });

  it('is never taken from another installation', async () => {
    const others = new MemoryEventStore();
    await claim(others, crypto.randomUUID());
    await fill(others, [1]);
    await expect(claim(others, crypto.randomUUID())).rejects.toThrow(/holds a ledger already/);
  });
});
