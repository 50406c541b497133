import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, FreezingProxy, withTestDatabase } from '@vafa/testing';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { Database } from './database.js';
import { OrderedLog } from './ordered-log.js';
import { SERVICE_SESSIONS, StalledSessions, type StalledSession } from './stalled-sessions.js';
import type { UnitOfWork } from './unit-of-work.js';

const LONG_MS = 90_000;
const PATIENCE_MS = 60_000;
const MARK = 'from here on it sleeps';
const SHARD = { frozen: 0, slow: 1, command: 2 };

const test = withTestDatabase();
const log = new OrderedLog({ table: 'public.log', columns: ['value'] });
const ended: StalledSession[] = [];
let watch: StalledSessions;
let other: Database;
let proxy: FreezingProxy;
let frozen: Database;

const open = (url: string, applicationName: string): Promise<Database> =>
  Database.connect({ url, schema: 'public', poolSize: 2, applicationName, onError: () => undefined });

/** Resolves when the process that does this in a transaction is frozen, right behind `MARK` as its client sends or receives it. */
const freezeIn = async (work: (uow: UnitOfWork) => Promise<unknown>): Promise<void> => {
  proxy = await FreezingProxy.open(test.url);
  frozen = await open(proxy.url, `${SERVICE_SESSIONS}frozen`);
  const reached = proxy.freezeAt(MARK);
  frozen.transaction(work).catch(() => undefined);
  await reached;
};

/** Another process goes on: it writes to the log as soon as it can. */
const othersGoOn = async (): Promise<void> => {
  await eventually(() => other.transaction((uow) => log.append(uow, [['other']])), PATIENCE_MS);
  expect(await other.query('select value from log')).toEqual([{ value: 'other' }]);
};

beforeAll(async () => {
  other = await open(test.url, `${SERVICE_SESSIONS}other`);
  await other.query('create table log (position bigserial primary key, value text not null)');
  watch = new StalledSessions({
    url: test.url,
    onEnded: (session) => ended.push(session),
    onError: (error) => {
      throw error;
    },
  });
});

afterEach(async () => {
  await proxy.close();
  await frozen.close();
  await other.query('truncate log');
  ended.length = 0;
});

afterAll(async () => {
  await watch.close();
  await other.close();
});

describe('StalledSessions', () => {
  it(
    'ends the session of a process that is frozen in the middle of a COPY under a lock',
    async () => {
      await freezeIn((uow) => log.append(uow, [[MARK], ['more']]));
      await othersGoOn();
      await eventually(() => expect(ended).toEqual([{ pid: expect.any(Number), name: `${SERVICE_SESSIONS}frozen` }]));
    },
    LONG_MS,
  );

  it(
    'ends one that is frozen in the middle of the parameters of a statement',
    async () => {
      await freezeIn(async (uow) => {
        await log.lock(uow);
        await uow.query('insert into log (value) values ($1)', [`${MARK} and more`]);
      });
      await othersGoOn();
      await eventually(() => expect(ended).toHaveLength(1));
    },
    LONG_MS,
  );

  it(
    'ends one that does not take the answer to a statement',
    async () => {
      await freezeIn(async (uow) => {
        await log.lock(uow);
        // More than buffers on the way hold.
        await uow.query(`select lower($1) || repeat('x', 1000000) from generate_series(1, 100)`, [MARK.toUpperCase()]);
      }).catch(() => undefined);
      await othersGoOn();
      await eventually(() => expect(ended).toHaveLength(1));
    },
    LONG_MS,
  );

  it(
    'leaves alone a COPY that goes on slowly, and one of a command',
    async () => {
      const [slow, command] = await Promise.all(
        [`${SERVICE_SESSIONS}slow`, 'vafa-cli'].map(async (application_name) => {
          const client = new pg.Client({ connectionString: test.url, application_name });
          await client.connect();
          return client;
        }),
      );
      if (slow === undefined || command === undefined) throw new Error('two clients are connected');
      const [going, standing] = [slow, command].map((client, i) => {
        void client.query('begin');
        void client.query(log.lockStatement([SHARD.slow, SHARD.command][i]));
        return client.query(copyFrom(log.copyStatement()));
      });
      going?.write('slow\n');
      standing?.write('command\n');
      const feeding = setInterval(() => going?.write('slow\n'), 200);
      await freezeIn((uow) => log.append(uow, [[MARK], ['more']], SHARD.frozen));
      await eventually(() => expect(ended).not.toEqual([]), PATIENCE_MS);
      expect(ended).toMatchObject([{ name: `${SERVICE_SESSIONS}frozen` }]);
      clearInterval(feeding);
      for (const stream of [going, standing]) await new Promise<void>((done) => stream?.end(() => done()));
      for (const client of [slow, command]) {
        await client.query('commit');
        await client.end();
      }
    },
    LONG_MS,
  );
});
