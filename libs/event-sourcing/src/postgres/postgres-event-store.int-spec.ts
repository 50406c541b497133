import { describe, expect, it } from '@jest/globals';
import { Database, migrate } from '@vafa/persistence';
import { anEvent, createTestDatabase, eventStoreContract, eventStoreFaultContract } from '@vafa/testing';
import type { FaultyEventStoreHarness } from '@vafa/testing';
import pg from 'pg';
import { eventStoreMigrations } from './migrations.js';
import { PostgresEventStore } from './postgres-event-store.js';

const STALL_LOCK = 4711;

/** A trigger that runs at commit and waits for a lock where the transaction has appended to the stalled stream. */
const STALL = `
  create table public.stalled (stream_id text primary key);
  grant select on public.stalled to public;
  create function public.stall() returns trigger language plpgsql as $$ begin
    if exists (select from public.stalled where stream_id = new.stream_id) then
      perform pg_advisory_xact_lock_shared(${STALL_LOCK});
    end if;
    return null;
  end $$;
  create constraint trigger stall after insert on eventstore.events
    deferrable initially deferred for each row execute function public.stall()`;

const connect = async (url: string): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
};

const createHarness = async (): Promise<FaultyEventStoreHarness & { url: string }> => {
  const test = await createTestDatabase();
  await migrate(test.url, [eventStoreMigrations], () => undefined);
  const admin = await connect(test.url);
  await admin.query(STALL);
  const databases: Database[] = [];
  return {
    url: test.url,
    open: async () => {
      const { schema, role } = eventStoreMigrations;
      const options = { url: test.url, schema, role, poolSize: 2, applicationName: 'contract' };
      const database = await Database.connect({ ...options, onError: () => undefined });
      databases.push(database);
      return new PostgresEventStore(database);
    },
    stallCommits: async (streamId) => {
      const holder = await connect(test.url);
      await holder.query('select pg_advisory_lock($1)', [STALL_LOCK]);
      await admin.query('insert into public.stalled values ($1)', [streamId]);
      return async () => {
        await admin.query('delete from public.stalled');
        await holder.end();
      };
    },
    breakConnections: async () => {
      await admin.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'contract'`);
    },
    close: async () => {
      for (const database of databases) await database.close();
      await admin.end();
      await test.drop();
    },
  };
};

eventStoreContract('PostgresEventStore', createHarness);
eventStoreFaultContract('PostgresEventStore', createHarness);

describe('PostgresEventStore', () => {
  it('has rights to read and add, and to change or remove nothing', async () => {
    const harness = await createHarness();
    const store = await harness.open();
    await store.append('thing-1', -1, [anEvent()]);
    const { schema, role } = eventStoreMigrations;
    const database = await Database.connect({ url: harness.url, schema, role, poolSize: 1, applicationName: 'rights' });
    for (const statement of [
      'update events set data = null',
      'delete from events',
      'truncate events',
      'drop table events',
    ])
      await expect(database.query(statement)).rejects.toMatchObject({ code: '42501' });
    await database.close();
    await store.close();
    await harness.close();
  });

  it('records times that never go back along the log', async () => {
    const harness = await createHarness();
    const store = await harness.open();
    await store.append('thing-1', -1, [anEvent()]);
    const admin = await connect(harness.url);
    await admin.query(`update eventstore.events set recorded_at = '2099-01-01T00:00:00Z'`);
    await admin.end();
    await store.append('thing-2', -1, [anEvent()]);
    const [event] = await store.read('thing-2', 0, 1);
    expect(event?.recordedAt).toBe('2099-01-01T00:00:00Z');
    await store.close();
    await harness.close();
  });
});
