import {
  APPEND_BYTES_MAX,
  EVENT_BYTES_MAX,
  EVENT_TYPE_CHARACTERS_MAX,
  EVENTS_PER_APPEND_MAX,
  NO_STREAM,
  PAGE_SIZE_MAX,
  STREAM_ID_CHARACTERS_MAX,
  STREAMS_PER_LOAD_MAX,
} from './event-store.js';
import type { NewEvent, Revision, SubscribeOptions } from './event-store.js';

/** Revisions are stored as 32-bit integers. */
const REVISION_MAX = 2_147_483_647;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Canonical UTC with microseconds at most, as stores tell it. */
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z$/;

const refuse = (what: string): never => {
  throw new RangeError(what);
};

/** Text that every adapter can store to the letter: PostgreSQL takes no NUL, and half a surrogate pair has no UTF-8. */
const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed();

/** Bytes an event takes: its data and metadata in UTF-8. */
export const eventBytes = (event: Pick<NewEvent, 'data' | 'metadata'>): number =>
  Buffer.byteLength(event.data) + Buffer.byteLength(event.metadata);

/**
 * Checks an append against the port's limits, before anything is sent: one bad call must not fail the others of its group.
 * @returns the bytes of its data and metadata
 * @throws RangeError that names the limit.
 */
export const checkAppend = (streamId: string, expected: Revision, events: readonly NewEvent[]): number => {
  checkStreamId(streamId);
  if (!Number.isInteger(expected) || expected < NO_STREAM) refuse(`expected revision ${expected} is not -1 or more`);
  if (events.length < 1 || events.length > EVENTS_PER_APPEND_MAX)
    refuse(`an append takes 1 to ${EVENTS_PER_APPEND_MAX} events, not ${events.length}`);
  if (expected + events.length > REVISION_MAX) refuse(`revisions end at ${REVISION_MAX}`);
  let total = 0;
  for (const event of events) {
    const bytes = checkEvent(event);
    if (bytes > EVENT_BYTES_MAX) refuse(`event ${event.id} has ${bytes} bytes, more than ${EVENT_BYTES_MAX}`);
    total += bytes;
  }
  if (total > APPEND_BYTES_MAX) refuse(`the append has ${total} bytes, more than ${APPEND_BYTES_MAX}`);
  if (events.length > 1 && new Set(events.map((event) => event.id)).size < events.length)
    refuse(`the append to ${streamId} names an event id twice`);
  return total;
};

const checkEvent = (event: NewEvent): number => {
  if (!UUID.test(event.id)) refuse(`event id ${JSON.stringify(event.id)} is not a uuid in lower case`);
  if (event.type.length < 1 || event.type.length > EVENT_TYPE_CHARACTERS_MAX || !isStorable(event.type))
    refuse(`an event type has 1 to ${EVENT_TYPE_CHARACTERS_MAX} characters`);
  if (!isStorable(event.data) || !isStorable(event.metadata))
    refuse(`event ${event.id} holds NUL or half a surrogate pair, which are not JSON text`);
  if (event.recordedAt !== undefined && !INSTANT.test(event.recordedAt))
    refuse(`event ${event.id} was recorded at ${JSON.stringify(event.recordedAt)}, which is no instant in UTC`);
  return eventBytes(event);
};

export const checkStreamId = (streamId: string): void => {
  if (streamId.length < 1 || streamId.length > STREAM_ID_CHARACTERS_MAX || !isStorable(streamId))
    refuse(`a stream id has 1 to ${STREAM_ID_CHARACTERS_MAX} characters`);
};

export const checkLoad = (streamIds: readonly string[]): void => {
  if (streamIds.length > STREAMS_PER_LOAD_MAX)
    refuse(`a load takes ${STREAMS_PER_LOAD_MAX} streams at most, not ${streamIds.length}`);
};

export const checkRead = (from: Revision, limit: number): void => {
  if (!Number.isInteger(from) || from < 0) refuse(`a stream is read from revision 0 or later, not ${from}`);
  checkPageSize(limit);
};

export const checkSubscribe = (options: SubscribeOptions): void => checkPageSize(options.pageSize);

const checkPageSize = (size: number): void => {
  if (!Number.isInteger(size) || size < 1 || size > PAGE_SIZE_MAX)
    refuse(`a page has 1 to ${PAGE_SIZE_MAX} events, not ${size}`);
};
