import { createHash } from 'node:crypto';
import { APPEND_BYTES_MAX, EVENTS_PER_APPEND_MAX } from './event-store.js';
import type { EventStore, NewEvent, Position, Revision, StoredEvent } from './event-store.js';
import { INSTALLATION_STREAM } from './ledger-home.js';
import { eventBytes } from './limits.js';

/** The ledger cannot be moved, or was found not to be the same; the sentence says why. Where it was it still is. */
export class MoveError extends Error {
  override readonly name = 'MoveError';
}

const PAGE_SIZE = 2_000;
const EVERY_STREAM = '';

export type CopyOptions = {
  readonly from: EventStore;
  readonly to: EventStore;
  /** What stands in the other store already; `null` is nothing. */
  readonly after: Position | null;
  readonly signal: AbortSignal;
  /** Called when everything up to a position stands in the other store. */
  readonly onPage: (position: Position, events: number) => Promise<void>;
};

/**
 * Copies a log in its order, with ids, text and times of recording, until its end. Nobody may write to either store meanwhile. Run again, it finds what
 * stands there already.
 * @throws MoveError where the other store holds something else in one of the streams.
 */
export const copyLog = async ({ from, to, after, signal, onPage }: CopyOptions): Promise<void> => {
  for await (const page of from.subscribe({ prefix: EVERY_STREAM, after, pageSize: PAGE_SIZE, signal })) {
    const events = page.events.filter(isLedger);
    for (const wave of wavesOf(appendsOf(events))) await Promise.all(wave.map((append) => put(to, append)));
    await onPage(page.position, events.length);
    if (page.caughtUp) return;
  }
  signal.throwIfAborted();
};

type Append = { readonly streamId: string; readonly expected: Revision; readonly events: NewEvent[]; bytes: number };

const isLedger = ({ streamId }: StoredEvent): boolean => streamId !== INSTALLATION_STREAM;

/** Neighbours of one stream go together; nothing changes places. */
const appendsOf = (events: readonly StoredEvent[]): Append[] => {
  const appends: Append[] = [];
  for (const { streamId, revision, id, type, data, metadata, recordedAt } of events) {
    const event = { id, type, data, metadata, recordedAt };
    const bytes = eventBytes(event);
    const last = appends.at(-1);
    const fits =
      last?.streamId === streamId &&
      last.events.length < EVENTS_PER_APPEND_MAX &&
      last.bytes + bytes <= APPEND_BYTES_MAX;
    if (last !== undefined && fits) {
      last.events.push(event);
      last.bytes += bytes;
    } else appends.push({ streamId, expected: revision - 1, events: [event], bytes });
  }
  return appends;
};

/** Appends that may be under way together: one to a stream, since the next to it waits, and would let others pass. */
function* wavesOf(appends: readonly Append[]): Generator<Append[]> {
  let wave: Append[] = [];
  const streams = new Set<string>();
  for (const append of appends) {
    if (streams.has(append.streamId)) {
      yield wave;
      wave = [];
      streams.clear();
    }
    wave.push(append);
    streams.add(append.streamId);
  }
  if (wave.length > 0) yield wave;
}

const put = async (to: EventStore, { streamId, expected, events }: Append): Promise<void> => {
  const outcome = await to.append(streamId, expected, events);
  if (outcome.status === 'conflict')
    throw new MoveError(
      `The stream ${streamId} holds something else behind revision ${expected} in the store that the ledger is to move to.`,
    );
};

/** The place of a reader in a log: before this event, or at the end. */
export type Place = { readonly streamId: string; readonly revision: Revision } | 'end';

/** Where a reader goes on that has read up to a position. */
export const placeAfter = async (store: EventStore, after: Position, signal: AbortSignal): Promise<Place> => {
  for await (const { events, caughtUp } of store.subscribe({ prefix: EVERY_STREAM, after, pageSize: 1, signal })) {
    const next = events.find(isLedger);
    if (next !== undefined) return { streamId: next.streamId, revision: next.revision };
    if (caughtUp) return 'end';
  }
  signal.throwIfAborted();
  return 'end';
};

/** A log as it was found to be: every stream's hash, and what stands before each of some places. */
export type LogProof = {
  readonly events: number;
  readonly streams: ReadonlyMap<string, string>;
  readonly places: readonly {
    /** Behind the event before the place; `null` where it is the first. */
    readonly position: Position | null;
    readonly events: number;
    /** Of the set of the events before it, whatever their order. */
    readonly hash: string;
  }[];
};

/**
 * Walks over a whole log. A stream's hash is a chain of SHA-256 over revision, id, type, data, metadata and time of recording; 100 bytes are kept
 * for each stream.
 */
export const proveLog = async (
  store: EventStore,
  places: readonly Place[],
  options: { readonly signal: AbortSignal; readonly onEvents: (events: number) => void },
): Promise<LogProof> => {
  const streams = new Map<string, string>();
  const found: (LogProof['places'][number] | undefined)[] = places.map(() => undefined);
  let [events, before]: [number, Position | null] = [0, null];
  let sum = 0n;
  const reached = (isThere: (place: Place) => boolean): void =>
    places.forEach((place, i) => {
      if (isThere(place)) found[i] ??= { position: before, events, hash: sum.toString(16) };
    });
  const { signal, onEvents } = options;
  for await (const page of store.subscribe({ prefix: EVERY_STREAM, after: null, pageSize: PAGE_SIZE, signal })) {
    for (const event of page.events.filter(isLedger)) {
      const { streamId, revision, id, type, data, metadata, recordedAt } = event;
      reached((place) => place !== 'end' && place.streamId === streamId && place.revision === revision);
      const own = [streams.get(streamId) ?? streamId, revision, id, type, data, metadata, recordedAt];
      const hash = createHash('sha256').update(JSON.stringify(own)).digest('base64');
      streams.set(streamId, hash);
      sum ^= BigInt(`0x${createHash('sha256').update(`${streamId} ${revision}`).digest('hex')}`);
      events++;
      before = event.position;
    }
    onEvents(events);
    if (page.caughtUp) break;
  }
  signal.throwIfAborted();
  reached((place) => place === 'end');
  const missing = places.find((_, i) => found[i] === undefined);
  if (missing !== undefined && missing !== 'end')
    throw new MoveError(`Revision ${missing.revision} of ${missing.streamId} is not there.`);
  return { events, streams, places: found.filter((place) => place !== undefined) };
};

/** @throws MoveError that names the first stream that differs, or says that a reader would not find its place. */
export const requireSame = (from: LogProof, to: LogProof): void => {
  for (const streamId of new Set([...from.streams.keys(), ...to.streams.keys()]))
    if (from.streams.get(streamId) !== to.streams.get(streamId))
      throw new MoveError(`The stream ${streamId} is not the same in both stores.`);
  from.places.forEach((place, i) => {
    const other = to.places[i];
    if (other?.events !== place.events || other.hash !== place.hash)
      throw new MoveError(
        'What a reader has read stands in another order in the other store: say vafa move --abandon, start the services until everything is read, then move again.',
      );
  });
};
