import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, FreezingProxy, withTestDatabase } from '@vafa/testing';
import { Database } from './database.js';
import { acquireSessionLock } from './session-lock.js';

const never = new AbortController().signal;
const test = withTestDatabase();
let database: Database;

beforeAll(async () => {
  const options = { url: test.url, schema: 'public', poolSize: 1, applicationName: 'session-lock-test' };
  database = await Database.connect({ ...options, onError: () => undefined });
});
afterAll(() => database.close());

describe('acquireSessionLock', () => {
  it('gives a name to one at a time, and other names to others', async () => {
    const first = await acquireSessionLock(database, 'one', never);
    const other = await acquireSessionLock(database, 'two', never);
    let isSecond = false;
    const second = acquireSessionLock(database, 'one', never).then((lock) => {
      isSecond = true;
      return lock;
    });
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(isSecond).toBe(false);
    await first?.release();
    await (await second)?.release();
    await other?.release();
    expect(isSecond).toBe(true);
  });

  it('gives up waiting when it is told to', async () => {
    const held = await acquireSessionLock(database, 'three', never);
    const abort = new AbortController();
    const waiting = acquireSessionLock(database, 'three', abort.signal);
    abort.abort();
    expect(await waiting).toBeUndefined();
    await held?.release();
  });

  it('tells when the connection, and with it the lock, is lost', async () => {
    const lock = await acquireSessionLock(database, 'four', never);
    expect(lock?.lost.aborted).toBe(false);
    await database.query(
      `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'
       and database = (select oid from pg_database where datname = current_database())`,
    );
    const again = await acquireSessionLock(database, 'four', never);
    expect(lock?.lost.aborted).toBe(true);
    await again?.release();
    await lock?.release();
  });

  it('gives the lock of a holder who is frozen to the next, and tells him when he wakes', async () => {
    const proxy = await FreezingProxy.open(test.url);
    const options = { url: proxy.url, schema: 'public', poolSize: 1, applicationName: 'session-lock-test' };
    const sleeper = await Database.connect({ ...options, onError: () => undefined });
    const lock = await acquireSessionLock(sleeper, 'five', never);
    proxy.freeze();
    const next = await acquireSessionLock(database, 'five', never);
    expect(next).toBeDefined();
    await eventually(() => expect(lock?.lost.aborted).toBe(true), 30_000);
    await next?.release();
    await proxy.close();
    await sleeper.close();
  }, 60_000);
});
