import { Metadata, status as Code } from '@grpc/grpc-js';
import type { StatusObject } from '@grpc/grpc-js';
import { Buffer } from 'node:buffer';
import { any, google, shared, status, streams } from './definitions.js';
import type { Shared, Streams } from './definitions.js';
import type { AppendAnswer, Expected, StandInEvent } from './stand-in-log.js';

/** How the real server names its errors: a status, and the reason among the metadata. */
const failure = (code: Code, details: string, metadata: Readonly<Record<string, string>> = {}): StatusObject => {
  const map = new Metadata();
  for (const [name, value] of Object.entries(metadata)) map.set(name, value);
  return { code, details, metadata: map };
};

export const accessDenied = (): StatusObject =>
  failure(Code.PERMISSION_DENIED, 'Access Denied', { exception: 'access-denied' });
export const unauthenticated = (): StatusObject => failure(Code.UNAUTHENTICATED, 'Unauthenticated');
export const unavailable = (): StatusObject => failure(Code.UNAVAILABLE, 'Service Unavailable');
export const internal = (): StatusObject => failure(Code.INTERNAL, 'Unexpected error');
export const notReady = (): StatusObject => failure(Code.UNKNOWN, 'Server Is Not Ready');
export const consumerTooSlow = (): StatusObject =>
  failure(Code.ABORTED, 'Operation timed out: Consumer too slow to handle event while live');
export const notLeader = (leader: { host: string; port: number } | null): StatusObject =>
  leader === null
    ? failure(Code.UNKNOWN, 'No leader info available in response')
    : failure(Code.NOT_FOUND, 'Leader info available', {
        exception: 'not-leader',
        'leader-endpoint-host': leader.host,
        'leader-endpoint-port': String(leader.port),
      });
export const streamDeleted = (streamId: string): StatusObject =>
  failure(Code.FAILED_PRECONDITION, `Event stream '${streamId}' is deleted.`, {
    exception: 'stream-deleted',
    'stream-name': streamId,
  });
export const tooLarge = (limit: number): StatusObject =>
  failure(Code.INVALID_ARGUMENT, `Maximum Append Size of ${limit} Exceeded.`, {
    exception: 'maximum-append-size-exceeded',
    'maximum-append-size': String(limit),
  });
export const wrongVersion = (streamId: string, expected: Expected, actual: bigint | null): StatusObject =>
  failure(Code.FAILED_PRECONDITION, `Append failed due to WrongExpectedVersion. Stream: ${streamId}`, {
    exception: 'wrong-expected-version',
    'stream-name': streamId,
    'expected-version': String(typeof expected === 'bigint' ? expected : EXPECTED_CODES[expected]),
    'actual-version': actual === null ? '' : String(actual),
  });

const EXPECTED_CODES = { any: -2, no_stream: -1, stream_exists: -4 };

/** The id of a stream as it travels: bytes. */
export const identifier = (streamId: string): Shared.StreamIdentifier =>
  new shared.StreamIdentifier().setStreamName(Buffer.from(streamId).toString('base64'));

export const streamOf = (given: Shared.StreamIdentifier | undefined): string =>
  Buffer.from(given?.getStreamName_asU8() ?? []).toString('utf8');

/** An event as the answers to reads and subscriptions carry it. */
export const eventMessage = (event: StandInEvent): Streams.ReadResp => {
  const position = String(event.position);
  const recorded = new streams.ReadResp.ReadEvent.RecordedEvent()
    .setId(new shared.UUID().setString(event.id))
    .setStreamIdentifier(identifier(event.streamId))
    .setStreamRevision(String(event.revision))
    .setCommitPosition(position)
    .setPreparePosition(position)
    .setData(event.data)
    .setCustomMetadata(event.metadata);
  recorded.getMetadataMap().set('type', event.type).set('content-type', event.contentType);
  recorded.getMetadataMap().set('created', String(event.created));
  const read = new streams.ReadResp.ReadEvent().setEvent(recorded).setCommitPosition(position);
  return new streams.ReadResp().setEvent(read);
};

export const checkpointMessage = (position: bigint): Streams.ReadResp =>
  new streams.ReadResp().setCheckpoint(
    new streams.ReadResp.Checkpoint().setCommitPosition(String(position)).setPreparePosition(String(position)),
  );

export const caughtUpMessage = (): Streams.ReadResp =>
  new streams.ReadResp().setCaughtUp(new streams.ReadResp.CaughtUp());

/** The answer on the older call that takes one append. */
export const appendResponse = (expected: Expected, answer: AppendAnswer): Streams.AppendResp => {
  const response = new streams.AppendResp();
  if (answer.result === 'success') {
    const position = new streams.AppendResp.Position()
      .setCommitPosition(String(answer.position))
      .setPreparePosition(String(answer.position));
    const success = new streams.AppendResp.Success().setCurrentRevision(String(answer.revision)).setPosition(position);
    return response.setSuccess(success);
  }
  const wrong = new streams.AppendResp.WrongExpectedVersion();
  const actual = answer.result === 'stream-deleted' ? null : answer.actual;
  if (actual === null) wrong.setCurrentNoStream(new shared.Empty());
  else wrong.setCurrentRevision(String(actual));
  if (expected === 'any') wrong.setExpectedAny(new shared.Empty());
  else if (expected === 'no_stream') wrong.setExpectedNoStream(new shared.Empty());
  else if (expected === 'stream_exists') wrong.setExpectedStreamExists(new shared.Empty());
  else wrong.setExpectedRevision(String(expected));
  return response.setWrongExpectedVersion(wrong);
};

type Detail = { serializeBinary(): Uint8Array };

const batchError = (message: string, detail: Detail, type: string): InstanceType<typeof status.Status> => {
  const details = new any.Any();
  details.pack(detail.serializeBinary(), type);
  return new status.Status().setMessage(message).setDetails(details);
};

/** What an append over the batch stream is answered with besides success. */
export type BatchFailure =
  'timeout' | 'not-ready' | 'access-denied' | { readonly limit: number } | Exclude<AppendAnswer, { result: 'success' }>;

const batchFailure = (
  streamId: string,
  expected: Expected,
  given: BatchFailure,
): InstanceType<typeof status.Status> => {
  if (given === 'timeout') return batchError('Timeout', new shared.Timeout(), 'event_store.client.Timeout');
  if (given === 'not-ready') return batchError('Server Is Not Ready', new shared.Empty(), 'google.protobuf.Empty');
  if (given === 'access-denied')
    return batchError('Access Denied', new shared.AccessDenied(), 'event_store.client.AccessDenied');
  if ('limit' in given)
    return batchError(
      'Maximum append size exceeded',
      new shared.MaximumAppendSizeExceeded().setMaxappendsize(given.limit),
      'event_store.client.MaximumAppendSizeExceeded',
    );
  if (given.result === 'stream-deleted')
    return batchError(
      'Stream deleted',
      new shared.StreamDeleted().setStreamIdentifier(identifier(streamId)),
      'event_store.client.StreamDeleted',
    );
  const wrong = new shared.WrongExpectedVersion();
  if (given.actual === null) wrong.setCurrentNoStream(new google.Empty());
  else wrong.setCurrentStreamRevision(String(given.actual));
  if (expected === 'any') wrong.setExpectedAny(new google.Empty());
  else if (expected === 'no_stream') wrong.setExpectedNoStream(new google.Empty());
  else if (expected === 'stream_exists') wrong.setExpectedStreamExists(new google.Empty());
  else wrong.setExpectedStreamPosition(String(expected));
  return batchError('Wrong expected version', wrong, 'event_store.client.WrongExpectedVersion');
};

/** The answer on the stream that carries many appends at once. */
export const batchResponse = (
  correlation: Shared.UUID | undefined,
  streamId: string,
  expected: Expected,
  answer: BatchFailure | Extract<AppendAnswer, { result: 'success' }>,
): Streams.BatchAppendResp => {
  const response = new streams.BatchAppendResp()
    .setCorrelationId(correlation)
    .setStreamIdentifier(identifier(streamId));
  if (typeof answer !== 'object' || !('result' in answer) || answer.result !== 'success')
    return response.setError(batchFailure(streamId, expected, answer));
  const position = new shared.AllStreamPosition()
    .setCommitPosition(String(answer.position))
    .setPreparePosition(String(answer.position));
  const success = new streams.BatchAppendResp.Success();
  return response.setSuccess(success.setCurrentRevision(String(answer.revision)).setPosition(position));
};
