import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { EventStoreDbEventStore } from '@vafa/event-sourcing';
import { EventStoreDbStandIn, anEvent } from '@vafa/testing';
import { EventStoreDbTables } from './eventstoredb-tables.mjs';

/** More than are read at a time. */
const STREAMS = 5;
const EVENTS = 500;

describe('the ledger in EventStoreDB, as the checker reads it', () => {
  let standIn;
  let store;
  let tables;
  const written = [];
  beforeAll(async () => {
    standIn = await EventStoreDbStandIn.start();
    store = await EventStoreDbEventStore.connect({ url: standIn.url });
    tables = new EventStoreDbTables(standIn.url);
    await store.append('vafa-installation', -1, [anEvent()]);
    for (let i = 0; i < STREAMS; i++) {
      const events = Array.from({ length: EVENTS }, (_, n) => anEvent({ data: `{ "of" : ${i}, "n": ${n} }` }));
      await store.append(`account-${i}`, -1, events);
      written.push(...events.map((event, revision) => ({ stream: `account-${i}`, revision, event })));
    }
  });
  afterAll(async () => {
    await tables.close();
    await store.close();
    await standIn.stop();
  });

  const all = async (rows) => {
    const found = [];
    for await (const row of rows) found.push(row);
    return found;
  };
  async function* none() {}
  async function* checkpoints(...positions) {
    yield* positions.map((position, i) => ({ name: `reader-${i}`, position }));
  }

  it('has every event once, in the order of the log, to the letter, and nothing else', async () => {
    const rows = await all(tables.rows('events', none()));
    expect(rows.map((row) => [row.stream_id, row.revision, row.event_id, row.type, row.data])).toEqual(
      written.map(({ stream, revision, event }) => [stream, revision, event.id, event.type, event.data]),
    );
    const positions = rows.map(({ position }) => BigInt(position));
    expect(positions.every((position, i) => i === 0 || position > positions[i - 1])).toBe(true);
    const told = await store.read('account-0', 0, 1);
    expect(rows[0].recorded_at).toBe(String(Temporal.Instant.from(told[0].recordedAt).epochMilliseconds * 1_000));
  });

  it('tells of a ledger that is in PostgreSQL besides', async () => {
    await expect(all(tables.rows('events', checkpoints('1')))).rejects.toThrow('there are events in PostgreSQL');
  });

  it('knows where every reader has come to', async () => {
    const last = standIn.log.all.at(-1).position;
    const first = standIn.log.all[1].position;
    const client = (...positions) => ({ query: async () => ({ rows: await all(checkpoints(...positions)) }) });
    expect(await tables.readUpTo(client())).toBeUndefined();
    expect(await tables.readUpTo(client(`${last}:${last}`, `${first}:${first}`))).toBeUndefined();
    expect(await tables.readUpTo(client(`${last}:${last}`, `${last}:${last}`))).toBe(last);
    expect(await all(tables.rows('checkpoints', checkpoints(`${first}:${first}`)))).toEqual([
      { name: 'reader-0', position: String(first) },
    ]);
  });
});
