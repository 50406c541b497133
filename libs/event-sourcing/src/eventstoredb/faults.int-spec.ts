import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { EventStoreDbStandIn, anEvent, eventually, selfSignedCertificate } from '@vafa/testing';
import type { StandInFaults } from '@vafa/testing';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { UnknownEventError } from '../event-codec.js';
import { AppendOutcomeUnknownError, EventStoreUnavailableError, NO_STREAM } from '../event-store.js';
import type { LogPage, NewEvent, Position } from '../event-store.js';
import { EventStoreDbEventStore } from './eventstoredb-event-store.js';

const APPENDS = 60;
const newStream = (): string => `thing-${randomUUID()}`;

describe('EventStoreDbEventStore, when the server misbehaves', () => {
  let standIn: EventStoreDbStandIn;
  let store: EventStoreDbEventStore;
  let retries: number;
  beforeEach(async () => {
    retries = 0;
    standIn = await EventStoreDbStandIn.start();
    const options = { callDeadlineMs: 2_000, retryForMs: 30_000, onRetry: () => void retries++ };
    store = await EventStoreDbEventStore.connect({ url: standIn.url, ...options });
  });
  afterEach(async () => {
    await store.close();
    await standIn.stop();
  });

  /** Appends to many streams while something happens: each is stored once, and every outcome says so. */
  const surviving = async (fault: () => Promise<void>, size = 100): Promise<void> => {
    const events = Array.from({ length: APPENDS }, () => anEvent({ data: JSON.stringify('x'.repeat(size)) }));
    const streams = events.map(newStream);
    const appends = events.map((event, i) => store.append(streams[i] ?? '', NO_STREAM, [event]));
    await fault();
    for (const outcome of await Promise.all(appends))
      expect(outcome).toMatchObject({ status: 'appended', revision: 0 });
    const stored = await store.load(streams);
    expect(streams.map((stream) => stored.get(stream)?.map(({ id }) => id))).toEqual(events.map(({ id }) => [id]));
  };

  it.each<StandInFaults['cutAppends']['when']>(['before-stored', 'after-stored'])(
    'finds out what became of appends whose connection is cut %s',
    async (when) => {
      for (let time = 0; time < 5; time++)
        await surviving(async () => {
          standIn.faults.cutAppends = { when, count: 2 };
        });
      expect(retries).toBeGreaterThan(0);
    },
  );

  it('survives a break while the connection is full, which the client itself does not', async () => {
    await surviving(async () => {
      standIn.freeze();
      await pause(500);
      standIn.cut();
      standIn.thaw();
    }, 50_000);
  });

  it('lets go of an answer to an append that the client has forgotten for the break of another connection', async () => {
    const other = await EventStoreDbStandIn.start();
    const onRetry = (): void => void retries++;
    const beside = await EventStoreDbEventStore.connect({ url: other.url, callDeadlineMs: 2_000, onRetry });
    try {
      for (const { faults } of [standIn, other]) faults.latencyMs = 300;
      const [stream, event] = [newStream(), anEvent()];
      const appends = [store.append(newStream(), NO_STREAM, [anEvent()]), beside.append(stream, NO_STREAM, [event])];
      await eventually(() => expect([standIn.appends, other.appends]).toEqual([1, 1]));
      standIn.cut();
      for (const outcome of await Promise.all(appends))
        expect(outcome).toMatchObject({ status: 'appended', revision: 0 });
      // Of both: the client rejects the other server's append with the failure of this one's connection.
      expect(retries).toBeGreaterThanOrEqual(2);
      expect(other.appends).toBeGreaterThanOrEqual(2);
      expect((await beside.read(stream, 0, 10)).map(({ id }) => id)).toEqual([event.id]);
    } finally {
      await beside.close();
      await other.stop();
    }
  });

  it('waits for a server that is gone and comes back', async () => {
    await surviving(async () => {
      await standIn.down();
      await pause(1_000);
      await standIn.up();
    });
  });

  it('gives up on a frozen server by its own deadline, and finds everything there once it thaws', async () => {
    await surviving(async () => {
      standIn.freeze();
      await pause(3_000);
      standIn.thaw();
    });
    expect(retries).toBeGreaterThan(0);
  });

  it.each<[string, Partial<StandInFaults>]>([
    ['is unavailable', { refuse: 'unavailable' }],
    ['is not ready', { refuse: 'not-ready' }],
    ['knows no leader', { refuse: 'not-leader', leader: null }],
    ['is slow', { latencyMs: 200 }],
  ])('goes on after a server that %s for a while', async (_case, faults) => {
    await surviving(async () => {
      Object.assign(standIn.faults, faults);
      await pause(800);
      Object.assign(standIn.faults, { refuse: 'nothing', latencyMs: 0 });
    });
  });

  it('goes on where its repeat races the original, and only one of them is stored and none answered', async () => {
    const eager = await EventStoreDbEventStore.connect({
      url: standIn.url,
      callDeadlineMs: 500,
      retryForMs: 60_000,
      onRetry: () => void retries++,
    });
    // Wider than was seen of the real server, so that no pause of this process makes the repeat a late one.
    standIn.faults.racingRepeatMs = 200;
    const [stream, event] = [newStream(), anEvent()];
    const release = standIn.stall(stream);
    const append = eager.append(stream, NO_STREAM, [event]);
    // The original and a repeat wait for their turn by then: both are worked on at once.
    await eventually(() => expect(retries).toBeGreaterThanOrEqual(2));
    release();
    expect(await append).toEqual({ status: 'appended', revision: 0, repeated: false });
    expect(standIn.repeatsUnanswered).toBeGreaterThan(0);
    expect((await eager.read(stream, 0, 10)).map(({ id }) => id)).toEqual([event.id]);
    await eager.close();
  });

  it('follows a follower to the leader that it names', async () => {
    const follower = await EventStoreDbStandIn.start({ log: standIn.log });
    follower.faults.refuse = 'not-leader';
    follower.faults.leader = { host: '127.0.0.1', port: standIn.port };
    const other = await EventStoreDbEventStore.connect({ url: follower.url });
    const stream = newStream();
    expect(await other.append(stream, NO_STREAM, [anEvent()])).toMatchObject({ status: 'appended' });
    expect(await store.read(stream, 0, 10)).toHaveLength(1);
    await other.close();
    await follower.stop();
  });

  it('appends after a break where the server then fails to say what it can do', async () => {
    standIn.faults.features = { answer: 'internal', count: 1 };
    const stream = newStream();
    await surviving(async () => standIn.cut());
    expect(await store.append(stream, NO_STREAM, [anEvent()])).toMatchObject({ status: 'appended' });
  });

  it.each<StandInFaults['features']['answer']>(['internal', 'none'])(
    'asks again where the server answers %s to the question what it can do',
    async (answer) => {
      standIn.faults.features = { answer, count: 1 };
      const other = await EventStoreDbEventStore.connect({ url: standIn.url, callDeadlineMs: 500 });
      expect(standIn.faults.features.count).toBe(0);
      expect(await other.append(newStream(), NO_STREAM, [anEvent()])).toMatchObject({ status: 'appended' });
      await other.close();
    },
  );

  it('says that it does not know where the time is up, and that reads may be asked again', async () => {
    const impatient = await EventStoreDbEventStore.connect({
      url: standIn.url,
      callDeadlineMs: 2_000,
      retryForMs: 2_000,
    });
    standIn.faults.refuse = 'unavailable';
    const append = impatient.append(newStream(), NO_STREAM, [anEvent()]);
    await expect(append).rejects.toBeInstanceOf(AppendOutcomeUnknownError);
    await expect(append).rejects.toMatchObject({ cause: { isTransient: true } });
    const read = impatient.read(newStream(), 0, 1);
    await expect(read).rejects.toBeInstanceOf(EventStoreUnavailableError);
    await expect(read).rejects.toThrow(/VAFA_EVENTSTOREDB_URL/);
    await impatient.close();
  });

  it('reads again where a read is cut', async () => {
    const stream = newStream();
    await store.append(stream, NO_STREAM, [anEvent(), anEvent()]);
    standIn.freeze();
    const reading = store.read(stream, 0, 10);
    await pause(200);
    standIn.cut();
    standIn.thaw();
    expect(await reading).toHaveLength(2);
  });

  it('tells callers to come again once too many bytes wait, and takes more when they have gone', async () => {
    const event = anEvent({ data: JSON.stringify('x'.repeat(40_000)) });
    const narrow = await EventStoreDbEventStore.connect({ url: standIn.url, queueBytesMax: 100_000 });
    const [first, second, third] = [newStream(), newStream(), newStream()];
    const release = standIn.stall(first);
    const taken = [narrow.append(first, NO_STREAM, [event]), narrow.append(second, NO_STREAM, [event])];
    const refused = narrow.append(third, NO_STREAM, [event]);
    await expect(refused).rejects.toBeInstanceOf(EventStoreUnavailableError);
    await expect(refused).rejects.toMatchObject({ isTransient: true });
    release();
    for (const outcome of await Promise.all(taken)) expect(outcome).toMatchObject({ status: 'appended' });
    expect(await narrow.append(third, NO_STREAM, [event])).toMatchObject({ status: 'appended' });
    expect(await store.read(third, 0, 10)).toHaveLength(1);
    await narrow.close();
  });

  it('fails a read that it is closed in, rather than answer with what has come by then', async () => {
    const other = await EventStoreDbEventStore.connect({ url: standIn.url });
    const stream = newStream();
    await store.append(stream, NO_STREAM, [anEvent(), anEvent()]);
    standIn.freeze();
    const readings = [other.read(stream, 0, 10), other.load([stream])];
    const told = Promise.allSettled(readings);
    await pause(100);
    await other.close();
    standIn.thaw();
    expect(await told).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }]);
  });

  const follow = (prefix: string, after: Position | null, signal: AbortSignal): AsyncIterator<LogPage, unknown> =>
    store.subscribe({ prefix, after, pageSize: 50, signal })[Symbol.asyncIterator]();

  it('takes a subscription up again that the server has dropped for being too slow, and misses nothing', async () => {
    const prefix = `p${randomUUID()}`;
    const abort = new AbortController();
    const log = follow(prefix, null, abort.signal);
    const seen: string[] = [];
    const next = async (): Promise<void> => {
      const page = await log.next();
      if (page.done !== true) seen.push(...page.value.events.map(({ id }) => id));
    };
    await next();
    const wanted: NewEvent[] = [];
    // More than the client, the connection and the server's patience hold, while nobody reads.
    const big = JSON.stringify('x'.repeat(4_000));
    for (let i = 0; i < 80; i++) {
      const events = Array.from({ length: 50 }, () => anEvent({ data: big }));
      wanted.push(...events);
      await store.append(`${prefix}-${i}`, NO_STREAM, events);
    }
    const before = retries;
    while (seen.length < wanted.length) await next();
    expect(seen).toEqual(wanted.map(({ id }) => id));
    expect(retries).toBeGreaterThan(before);
    abort.abort();
    await log.return?.();
  });

  it('tells of a break of a subscription, and goes on from the position that it gave', async () => {
    const prefix = `p${randomUUID()}`;
    const [first, second] = [anEvent(), anEvent()];
    await store.append(`${prefix}-1`, NO_STREAM, [first]);
    const abort = new AbortController();
    const log = follow(prefix, null, abort.signal);
    let page = await log.next();
    while (page.done !== true && !page.value.caughtUp) page = await log.next();
    const position = page.done === true ? null : page.value.position;
    const broken = expect(log.next()).rejects.toMatchObject({ isTransient: true });
    standIn.cut();
    await broken;
    await store.append(`${prefix}-1`, 0, [second]);
    const again = await follow(prefix, position, abort.signal).next();
    expect(again).toMatchObject({ value: { events: [{ id: second.id }] } });
    abort.abort();
  });

  it('gives a subscription up that the server does not confirm, and is given the next one', async () => {
    const abort = new AbortController();
    const prefix = `p${randomUUID()}`;
    standIn.faults.silentSubscriptions = 1;
    const first = follow(prefix, null, abort.signal).next();
    await expect(first).rejects.toBeInstanceOf(EventStoreUnavailableError);
    await expect(first).rejects.toThrow(/not confirmed within 2000 ms.*VAFA_EVENTSTOREDB_URL/);
    expect(await follow(prefix, null, abort.signal).next()).toMatchObject({ value: { caughtUp: true } });
    abort.abort();
  });

  it('gives a subscription up that it cannot begin because the server is frozen', async () => {
    const impatient = await EventStoreDbEventStore.connect({ url: standIn.url, callDeadlineMs: 500, retryForMs: 500 });
    standIn.freeze();
    const options = { prefix: 'x', after: null, pageSize: 1, signal: AbortSignal.timeout(60_000) };
    await expect(impatient.subscribe(options).next()).rejects.toMatchObject({ isTransient: true });
    standIn.thaw();
    await impatient.close();
  });

  it('tells by a checkpoint how far a log has been looked through that has nothing for it', async () => {
    const abort = new AbortController();
    const log = follow(`p${randomUUID()}`, null, abort.signal);
    let page = await log.next();
    while (page.done !== true && !page.value.caughtUp) page = await log.next();
    for (let i = 0; i < 3; i++)
      await store.append(
        newStream(),
        NO_STREAM,
        Array.from({ length: 500 }, () => anEvent()),
      );
    const moved = await log.next();
    expect(moved).toMatchObject({ value: { events: [] } });
    expect(moved.done === true ? null : moved.value.position).not.toBe(page.done === true ? null : page.value.position);
    abort.abort();
    await log.return?.();
  });
});

describe('EventStoreDbEventStore, when something is wrong with the store', () => {
  let standIn: EventStoreDbStandIn;
  beforeAll(async () => {
    standIn = await EventStoreDbStandIn.start();
  });
  afterAll(() => standIn.stop());

  const connecting = (url: string, limits = { callDeadlineMs: 10_000, retryForMs: 30_000 }) =>
    EventStoreDbEventStore.connect({ url, ...limits });

  it.each([
    ['another protocol', 'postgresql://127.0.0.1/x', /VAFA_EVENTSTOREDB_URL.*esdb:\/\//],
    ['an unknown option', 'esdb://admin:hunter2@127.0.0.1:1?tsl=false', /VAFA_EVENTSTOREDB_URL.*"tsl" is none of/],
    [
      'an option that would hide conflicts',
      'esdb://127.0.0.1:1?tls=false&throwOnAppendFailure=false',
      /none of its options/,
    ],
    ['a follower by choice', 'esdb://127.0.0.1:1?tls=false&nodePreference=follower', /nodePreference must be leader/],
    [
      'a sign of life without end',
      'esdb://127.0.0.1:1?tls=false&keepAliveInterval=-1',
      /keepAliveInterval.*1000 to 60000/,
    ],
    [
      'a sign of life that is late',
      'esdb://127.0.0.1:1?tls=false&keep-alive-timeout=60001',
      /VAFA_EVENTSTOREDB_URL.*keepAliveTimeout.*1000 to 60000/,
    ],
    [
      'a password that would not be sent',
      'esdb://admin:hunter2@127.0.0.1:1?tls=false',
      /VAFA_EVENTSTOREDB_URL.*user and password are sent over TLS only/,
    ],
    ['an address over TLS', 'esdb://127.0.0.1:2113?tls=true', /a server is named, not given by its address/],
    ['a wrong port', 'esdb://127.0.0.1:notaport?tls=false', /VAFA_EVENTSTOREDB_URL/],
    ['a missing certificate', 'esdb://localhost:1?tlsCAFile=/nowhere/ca.pem', /VAFA_EVENTSTOREDB_URL.*not found/],
    ['a wrong address', 'esdb://127.0.0.1:1?tls=false', /does not answer.*VAFA_EVENTSTOREDB_URL/],
    ['a cluster that is not there', 'esdb+discover://127.0.0.1:1?tls=false', /does not answer.*VAFA_EVENTSTOREDB_URL/],
  ])('names the setting for %s, and no password', async (_case, url, words) => {
    const failure = await connecting(url, { callDeadlineMs: 500, retryForMs: 500 }).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(String(failure)).toMatch(words);
    expect(String(failure)).not.toContain('hunter2');
  });

  it('finds the leader of a cluster', async () => {
    const store = await connecting(`esdb+discover://127.0.0.1:${standIn.port}?tls=false`);
    expect(await store.append(newStream(), NO_STREAM, [anEvent()])).toMatchObject({ status: 'appended' });
    await store.close();
    const seeds = await connecting(`esdb://127.0.0.1:1,127.0.0.1:${standIn.port}?tls=false`);
    await seeds.ping();
    await seeds.close();
  });

  it('refuses a server that does not say when a reader has caught up', async () => {
    const old = await EventStoreDbStandIn.start({ version: '22.10.4.0' });
    await expect(connecting(old.url)).rejects.toThrow(/version 22\.10\.4\.0: 23\.10 or later is needed/);
    await old.stop();
  });

  it('names a stream that somebody else has written to, and stops there', async () => {
    const store = await connecting(standIn.url);
    const stream = newStream();
    await store.append(stream, NO_STREAM, [anEvent()]);
    const foreign = { id: randomUUID(), type: 'Foreign', contentType: 'application/json' };
    standIn.log.append(stream, 0n, [{ ...foreign, data: Buffer.from('{}'), metadata: Buffer.from('{}') }]);
    for (const reading of [
      store.read(stream, 0, 10),
      store.load([stream]),
      store.subscribe({ prefix: stream, after: null, pageSize: 10, signal: AbortSignal.timeout(10_000) }).next(),
    ]) {
      await expect(reading).rejects.toBeInstanceOf(UnknownEventError);
      await expect(reading).rejects.toThrow(stream);
    }
    await store.close();
  });

  it('names a stream that somebody has deleted', async () => {
    const store = await connecting(standIn.url);
    for (const hard of [true, false]) {
      const stream = newStream();
      await store.append(stream, NO_STREAM, [anEvent(), anEvent()]);
      standIn.log.delete(stream, 'any', hard);
      if (hard) await expect(store.read(stream, 0, 1)).rejects.toThrow(`${stream} was deleted`);
      await expect(store.append(stream, NO_STREAM, [anEvent()])).rejects.toThrow(`${stream} was deleted`);
    }
    await store.close();
  });

  it('refuses a position of another store and a stream of the server’s own', async () => {
    const store = await connecting(standIn.url);
    const options = { prefix: 'x', after: '4711' as Position, pageSize: 1, signal: AbortSignal.timeout(5_000) };
    await expect(store.subscribe(options).next()).rejects.toThrow(/"4711".*vafa move/);
    await expect(store.append('$settings', NO_STREAM, [anEvent()])).rejects.toThrow(RangeError);
    await store.close();
  });
});

describe('EventStoreDbEventStore over TLS', () => {
  const tls = selfSignedCertificate();
  const credentials = { username: 'vafa', password: 'open sesame' };
  let standIn: EventStoreDbStandIn;
  let folder: string;
  let authority: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vafa-tls-'));
    authority = join(folder, 'ca.pem');
    await writeFile(authority, tls.certificate);
    standIn = await EventStoreDbStandIn.start({ tls, credentials });
  });
  afterAll(async () => {
    await standIn.stop();
    await rm(folder, { recursive: true });
  });

  const connecting = (login: string, options: string): Promise<EventStoreDbEventStore> =>
    EventStoreDbEventStore.connect({
      url: `esdb://${login}localhost:${standIn.port}?tls=true${options}`,
      callDeadlineMs: 5_000,
      retryForMs: 1_000,
    });

  it('works with the authority and the password in the connection string', async () => {
    const store = await connecting('vafa:open%20sesame@', `&tlsCAFile=${encodeURIComponent(authority)}`);
    const stream = newStream();
    expect(await store.append(stream, NO_STREAM, [anEvent()])).toMatchObject({ status: 'appended' });
    expect(await store.read(stream, 0, 1)).toHaveLength(1);
    await store.close();
  });

  it.each([
    ['a wrong password', 'vafa:wrong@', true, /does not let us in.*VAFA_EVENTSTOREDB_URL/],
    ['no user', '', true, /does not let us in.*VAFA_EVENTSTOREDB_URL/],
    ['an unknown authority', 'vafa:open%20sesame@', false, /certificate.*tlsCAFile in VAFA_EVENTSTOREDB_URL/],
  ])('says what to do about %s', async (_case, login, trusts, words) => {
    const options = trusts ? `&tlsCAFile=${encodeURIComponent(authority)}` : '';
    await expect(connecting(login, options)).rejects.toThrow(words);
  });

  it('takes a password that was changed under way for an outage: the work may be done again', async () => {
    const store = await connecting('vafa:open%20sesame@', `&tlsCAFile=${encodeURIComponent(authority)}`);
    const stream = newStream();
    const event = anEvent();
    try {
      credentials.password = 'rotated';
      const work = [() => store.append(stream, NO_STREAM, [event]), () => store.read(stream, 0, 1), () => store.ping()];
      for (const one of work) {
        const failing = one();
        await expect(failing).rejects.toMatchObject({ isTransient: true });
        await expect(failing).rejects.toThrow(/does not let us in.*VAFA_EVENTSTOREDB_URL/);
      }
    } finally {
      credentials.password = 'open sesame';
    }
    expect(await store.append(stream, NO_STREAM, [event])).toMatchObject({ status: 'appended' });
    await store.close();
  });

  it('says what to do where TLS meets a plain server, and plain meets TLS', async () => {
    const plain = await EventStoreDbStandIn.start();
    const url = `esdb://localhost:${plain.port}?tls=true`;
    const failing = EventStoreDbEventStore.connect({ url, callDeadlineMs: 2_000, retryForMs: 500 });
    await expect(failing).rejects.toThrow(/VAFA_EVENTSTOREDB_URL/);
    await plain.stop();
    const bare = `esdb://127.0.0.1:${standIn.port}?tls=false`;
    const other = EventStoreDbEventStore.connect({ url: bare, callDeadlineMs: 2_000, retryForMs: 500 });
    await expect(other).rejects.toThrow(/VAFA_EVENTSTOREDB_URL/);
  });
});

it('is told when an append is done', async () => {
  const standIn = await EventStoreDbStandIn.start();
  const done: string[] = [];
  const onAppend = ({ events, attempts, outcome }: { events: number; attempts: number; outcome: string }): void =>
    void done.push(`${outcome} ${events} ${attempts}`);
  const store = await EventStoreDbEventStore.connect({ url: standIn.url, onAppend });
  const stream = newStream();
  await store.append(stream, NO_STREAM, [anEvent(), anEvent()]);
  await store.append(stream, NO_STREAM, [anEvent()]);
  expect(done).toEqual(['appended 2 1', 'conflict 1 1']);
  await eventually(() => expect(store.appendsPending).toBe(0));
  await store.close();
  await standIn.stop();
});
