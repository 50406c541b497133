import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Buffer } from 'node:buffer';
import { PassThrough } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type { LogPage } from '../event-store.js';
import { DeadlineExceededError } from './failures.js';
import { LogSubscription } from './log-subscription.js';
import { positionOf, toWire } from './wire-form.js';

const EVENTS = 10;

/** What the client hands out for an event of ours. */
const resolved = (i: number): object => {
  const { id, type, data, metadata } = toWire({ id: `event-${i}`, type: 'ThingHappened', data: '{}', metadata: '{}' });
  const position = { commit: BigInt(i), prepare: BigInt(i) };
  const created = new Date(0);
  return {
    event: {
      id,
      type,
      data: Buffer.from(data as Uint8Array),
      metadata,
      position,
      created,
      streamId: 'thing-1',
      revision: BigInt(i),
      isJson: false,
    },
  };
};

/** The events of a page, and whether it is the last for now. */
const told = ({ value }: IteratorResult<LogPage, unknown>): string => {
  const { events, caughtUp } = value as LogPage;
  return `${events.map(({ id }) => id).join(',')} ${caughtUp}`;
};

describe('LogSubscription', () => {
  let abort: AbortController;
  beforeEach(() => {
    abort = new AbortController();
  });
  afterEach(() => abort.abort());

  /** The client's subscription is a stream of objects that emits its errors without destroying itself. */
  const open = (confirmWithinMs = 60_000): { wire: PassThrough; log: LogSubscription } => {
    const wire = new PassThrough({ objectMode: true });
    const subscription = Object.assign(wire, { unsubscribe: async () => undefined });
    const log = new LogSubscription({
      subscription,
      after: null,
      until: null,
      head: null,
      pageSize: 100,
      confirmWithinMs,
      ownOnly: false,
      signal: abort.signal,
    });
    return { wire, log };
  };

  it('gives what had come before it was dropped, then the failure, and stands behind what it gave', async () => {
    const { wire, log } = open();
    for (let i = 1; i <= EVENTS; i++) wire.write(resolved(i));
    const failure = Object.assign(new Error('Consumer too slow to handle event while live'), { type: 'timeout' });
    wire.emit('error', failure);
    const pages: LogPage[] = [];
    const reading = (async () => {
      for await (const page of log.pages()) pages.push(page);
    })();
    await expect(reading).rejects.toBe(failure);
    const ids = pages.flatMap(({ events }) => events.map(({ id }) => id));
    expect(ids).toEqual(Array.from({ length: EVENTS }, (_, i) => `event-${i + 1}`));
    expect(log.position).toBe(positionOf({ commit: BigInt(EVENTS), prepare: BigInt(EVENTS) }));
    expect(pages.every(({ caughtUp }) => !caughtUp)).toBe(true);
  });

  it('fails where the server does not confirm it, and not once it has', async () => {
    await expect(open(10).log.pages().next()).rejects.toBeInstanceOf(DeadlineExceededError);
    const { wire, log } = open(10);
    wire.emit('confirmation');
    await pause(50);
    wire.write(resolved(1));
    expect(await log.pages().next()).toMatchObject({ value: { events: [{ id: 'event-1' }] } });
  });

  it('is caught up once the server says so, and no longer once it has fallen behind', async () => {
    const { wire, log } = open();
    const pages = log.pages();
    wire.emit('caughtUp');
    wire.write(resolved(1));
    const seen: string[] = [];
    while (!seen.includes('event-1 true')) seen.push(told(await pages.next()));
    wire.emit('fellBehind');
    wire.write(resolved(2));
    while (!seen.some((page) => page.startsWith('event-2'))) seen.push(told(await pages.next()));
    expect(seen.at(-1)).toBe('event-2 false');
    wire.emit('caughtUp');
    expect(told(await pages.next())).toBe(' true');
  });

  it('does not stand behind events that it took and never gave', async () => {
    const { wire, log } = open();
    wire.write(resolved(1));
    const pages = log.pages();
    const page = pages.next();
    expect(await page).toMatchObject({ value: { events: [{ id: 'event-1' }] } });
    // The page waits to be filled when the reader leaves.
    const next = pages.next();
    wire.write(resolved(2));
    await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    expect(await next).toMatchObject({ done: true });
    expect(log.position).toBe(positionOf({ commit: 1n, prepare: 1n }));
  });
});
