import { Buffer } from 'node:buffer';
import type { EventData } from '@eventstore/db-client';
import { UnknownEventError } from '../event-codec.js';
import type { NewEvent, Position, Revision, StoredEvent } from '../event-store.js';

/** A position of EventStoreDB's log. */
export type WirePosition = { readonly commit: bigint; readonly prepare: bigint };

/** What of an event the client tells, as far as it is needed here. */
export type WireEvent = {
  readonly id: string;
  readonly streamId: string;
  readonly type: string;
  readonly revision: bigint;
  readonly isJson: boolean;
  readonly data: unknown;
  readonly metadata?: unknown;
  readonly created: Date;
  readonly position?: WirePosition | undefined;
};

/**
 * The first line of an event's metadata in EventStoreDB, before the metadata itself; with the time of recording where the event comes from another
 * store. Without it the client would parse the metadata and hand out something else than was written. It also shows that the event is ours.
 */
const MARK = 'vafa/1';
const NEW_LINE = '\n';
const ENCODER = new TextEncoder();

/** As it is sent: bytes, so that the text stays as it is to the letter. */
export const toWire = (event: NewEvent): EventData => ({
  contentType: 'application/octet-stream',
  id: event.id,
  type: event.type,
  data: Buffer.from(event.data),
  // Nothing but a plain array of bytes is left as it is by the client.
  metadata: ENCODER.encode(headOf(event) + event.metadata),
});

const headOf = ({ recordedAt }: NewEvent): string =>
  recordedAt === undefined ? MARK + NEW_LINE : `${MARK} ${recordedAt}${NEW_LINE}`;

/** Bytes of one event besides its data and metadata, as the server counts them against its limit of 1 MiB a call. */
export const framingBytes = (event: NewEvent): number => headOf(event).length + 2 * event.type.length;

/** Whether it bears the mark of ours. */
export const isOurs = ({ isJson, metadata }: WireEvent): boolean =>
  !isJson && metadata instanceof Uint8Array && textOf(metadata.subarray(0, MARK.length)) === MARK;

/** As it was appended. @throws UnknownEventError for an event that somebody else has written. */
export const fromWire = (event: WireEvent): StoredEvent => {
  const revision = Number(event.revision);
  const metadata = event.metadata instanceof Uint8Array ? textOf(event.metadata) : '';
  const end = metadata.indexOf(NEW_LINE);
  const [mark, movedAt] = metadata.slice(0, end).split(' ');
  if (end < 0 || mark !== MARK || !(event.data instanceof Uint8Array) || event.isJson)
    throw new UnknownEventError(
      { streamId: event.streamId, revision, type: event.type },
      'not written by Vafa',
      FOREIGN,
    );
  if (event.position === undefined)
    throw new Error(`revision ${revision} of ${event.streamId} came without a position`);
  return {
    id: event.id,
    type: event.type,
    data: textOf(event.data),
    metadata: metadata.slice(end + 1),
    streamId: event.streamId,
    revision,
    position: positionOf(event.position),
    recordedAt: movedAt ?? Temporal.Instant.fromEpochMilliseconds(event.created.getTime()).toString(),
  };
};

const FOREIGN = 'Nothing else may write to this stream: see who else uses the EventStoreDB of VAFA_EVENTSTOREDB_URL.';

const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');

export const positionOf = ({ commit, prepare }: WirePosition): Position => `${commit}:${prepare}` as Position;

/** @throws RangeError for a position of another store. */
export const wirePosition = (position: Position): WirePosition => {
  const [, commit, prepare] = /^(\d{1,19}):(\d{1,19})$/.exec(position) ?? [];
  if (commit === undefined || prepare === undefined)
    throw new RangeError(
      `the position ${JSON.stringify(position)} is not one of EventStoreDB: its reader has read another store. ` +
        'A ledger changes its store by vafa move.',
    );
  return { commit: BigInt(commit), prepare: BigInt(prepare) };
};

/** What a stream that has no revision -1 expects. */
export const expectedOf = (expected: Revision): bigint | 'no_stream' => (expected < 0 ? 'no_stream' : BigInt(expected));
