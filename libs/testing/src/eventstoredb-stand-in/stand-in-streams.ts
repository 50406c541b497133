import type {
  Metadata,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  StatusObject,
  sendUnaryData,
} from '@grpc/grpc-js';
import {
  appendResponse,
  batchResponse,
  identifier,
  streamDeleted,
  streamOf,
  tooLarge,
  wrongVersion,
} from './answers.js';
import type { BatchFailure } from './answers.js';
import { streams } from './definitions.js';
import type { Shared, Streams } from './definitions.js';
import type { AppendAnswer, Expected, ProposedEvent, StandInLog } from './stand-in-log.js';
import { filterOf, streamNotFound, subscribeToAll, subscribeToStream, writeTo } from './subscription.js';
import { eventMessage } from './answers.js';
import type { ReadCall } from './subscription.js';

/** What one append may hold, as the real server counts it by default. */
export const APPEND_BYTES_MAX = 1_048_576;
/** The server gives up a write that is not committed by then, whatever the client is ready to wait. */
export const WRITE_TIMEOUT_MS = 2_000;

/** What the server in front decides before a call is worked on. */
export type Gate = {
  /** Why a call is refused, if it is. */
  refusal(metadata: Metadata, writes: boolean): StatusObject | 'not-ready' | undefined;
  /** Resolves when it is this append's turn to be committed; false where the connection was cut instead. */
  turn(streamId: string): Promise<boolean>;
  /** Called when an append is stored and before it is answered; false where the connection was cut instead. */
  stored(streamId: string): boolean;
  /** Whether the repeat of what was stored so long ago, in milliseconds, is left to time out. */
  isRacing(storedForMs: number): boolean;
  /** Whether this subscription is left without any answer. */
  isSilent(): boolean;
  /** Waits as slow servers do. */
  delay(): Promise<void>;
};

type Pending = {
  readonly streamId: string;
  readonly expected: Expected;
  readonly events: ProposedEvent[];
  bytes: number;
};

type Proposed = {
  getId(): Shared.UUID | undefined;
  getMetadataMap(): { get(name: string): string | undefined };
  getData_asU8(): Uint8Array;
  getCustomMetadata_asU8(): Uint8Array;
};

const eventOf = (message: Proposed): ProposedEvent => ({
  id: message.getId()?.getString() ?? '',
  type: message.getMetadataMap().get('type') ?? '',
  contentType: message.getMetadataMap().get('content-type') ?? '',
  data: message.getData_asU8(),
  metadata: message.getCustomMetadata_asU8(),
});

/** As the server counts: UTF-16 names, and the bytes of both bodies. */
const sizeOf = (event: ProposedEvent): number => event.data.length + event.metadata.length + 2 * event.type.length;

type ExpectedOptions = {
  hasAny(): boolean;
  hasNoStream(): boolean;
  hasStreamExists(): boolean;
};

const expectedOf = (options: ExpectedOptions, revision: string): Expected => {
  if (options.hasAny()) return 'any';
  if (options.hasNoStream()) return 'no_stream';
  return options.hasStreamExists() ? 'stream_exists' : BigInt(revision);
};

/** The Streams service of the stand-in for EventStoreDB. */
export class StandInStreams {
  constructor(
    private readonly log: StandInLog,
    private readonly gate: Gate,
    private readonly writeTimeoutMs: number,
  ) {}

  /** The handlers, as the client's own service definition names them. */
  readonly handlers = {
    read: (call: ReadCall): void => this.run(call, this.read(call)),
    batchAppend: (call: ServerDuplexStream<Streams.BatchAppendReq, Streams.BatchAppendResp>): void =>
      this.batchAppend(call),
    append: (
      call: ServerReadableStream<Streams.AppendReq, Streams.AppendResp>,
      answer: sendUnaryData<Streams.AppendResp>,
    ): void => this.run(call, this.append(call, answer)),
    delete: (
      call: ServerUnaryCall<Streams.DeleteReq, Streams.DeleteResp>,
      answer: sendUnaryData<Streams.DeleteResp>,
    ): void => this.remove(call, answer, false, () => new streams.DeleteResp()),
    tombstone: (
      call: ServerUnaryCall<Streams.TombstoneReq, Streams.TombstoneResp>,
      answer: sendUnaryData<Streams.TombstoneResp>,
    ): void => this.remove(call, answer, true, () => new streams.TombstoneResp()),
  };

  private run(call: { emit(name: 'error', error: unknown): boolean }, work: Promise<void>): void {
    work.catch((error: unknown) => call.emit('error', error));
  }

  private refusal(metadata: Metadata, writes: boolean): StatusObject | undefined {
    const refusal = this.gate.refusal(metadata, writes);
    return refusal === 'not-ready' ? { code: 2, details: 'Server Is Not Ready', metadata } : refusal;
  }

  private async read(call: ReadCall): Promise<void> {
    const refusal = this.refusal(call.metadata, false);
    if (refusal !== undefined) {
      call.emit('error', refusal);
      return;
    }
    await this.gate.delay();
    const options = call.request.getOptions() ?? new streams.ReadReq.Options();
    if (options.hasSubscription() && this.gate.isSilent()) return;
    const stream = options.getStream();
    if (stream !== undefined) await this.readStream(call, options, stream);
    else await this.readAll(call, options);
  }

  private async readStream(
    call: ReadCall,
    options: Streams.ReadReq.Options,
    stream: Streams.ReadReq.Options.StreamOptions,
  ): Promise<void> {
    const given = stream.getStreamIdentifier();
    const streamId = streamOf(given);
    if (options.hasSubscription()) {
      const after = stream.hasStart() ? -1n : stream.hasEnd() ? BigInt(2 ** 53) : BigInt(stream.getRevision());
      return subscribeToStream(call, this.log, streamId, after);
    }
    const from = stream.hasStart() ? 'start' : stream.hasEnd() ? 'end' : BigInt(stream.getRevision());
    const answer = this.log.read(streamId, from, isBackwards(options), Number(options.getCount()));
    if (answer.result === 'deleted') {
      call.emit('error', streamDeleted(streamId));
      return;
    }
    if (answer.result === 'not-found') await writeTo(call, streamNotFound(identifier(streamId)));
    else for (const event of answer.events) if (!(await writeTo(call, eventMessage(event)))) return;
    call.end();
  }

  private async readAll(call: ReadCall, options: Streams.ReadReq.Options): Promise<void> {
    const all = options.getAll() ?? new streams.ReadReq.Options.AllOptions();
    const given = BigInt(all.getPosition()?.getCommitPosition() ?? 0);
    const end = this.log.all.at(-1)?.position ?? 0n;
    const filter = filterOf(options);
    if (options.hasSubscription()) {
      const after = all.hasStart() ? 0n : all.hasEnd() ? end : given;
      return subscribeToAll(call, this.log, after, filter);
    }
    const backwards = isBackwards(options);
    let index = all.hasStart() ? 0 : all.hasEnd() ? this.log.all.length : this.log.indexAfter(given - 1n);
    if (backwards) index--;
    for (let left = Number(options.getCount()); left > 0; index += backwards ? -1 : 1) {
      const event = this.log.all[index];
      if (event === undefined) break;
      if (filter?.matches(event) === false) continue;
      if (!(await writeTo(call, eventMessage(event)))) return;
      left--;
    }
    call.end();
  }

  private batchAppend(call: ServerDuplexStream<Streams.BatchAppendReq, Streams.BatchAppendResp>): void {
    const refusal = this.gate.refusal(call.metadata, true);
    if (refusal !== undefined && refusal !== 'not-ready') {
      call.emit('error', refusal);
      return;
    }
    const open = new Map<string, Pending>();
    call.on('data', (request: Streams.BatchAppendReq) => {
      const correlation = request.getCorrelationId();
      const id = correlation?.getString() ?? '';
      const options = request.getOptions();
      const pending = open.get(id) ?? (options === undefined ? undefined : begin(options));
      if (pending === undefined) return;
      open.set(id, pending);
      for (const message of request.getProposedMessagesList()) {
        const event = eventOf(message);
        pending.events.push(event);
        pending.bytes += sizeOf(event);
      }
      if (!request.getIsFinal()) return;
      open.delete(id);
      const deadline = options?.getDeadline()?.toDate().getTime() ?? Infinity;
      this.run(call, this.answerBatch(call, correlation, pending, deadline));
    });
    call.on('end', () => call.end());
    call.on('error', () => open.clear());
  }

  private async answerBatch(
    call: ServerDuplexStream<Streams.BatchAppendReq, Streams.BatchAppendResp>,
    correlation: Shared.UUID | undefined,
    pending: Pending,
    deadline: number,
  ): Promise<void> {
    const { streamId, expected } = pending;
    let answered = false;
    const answer = (given: BatchFailure | AppendAnswer): void => {
      if (answered || call.cancelled || call.destroyed) return;
      answered = true;
      clearTimeout(timer);
      call.write(batchResponse(correlation, streamId, expected, given));
    };
    const waitMs = Math.max(0, Math.min(this.writeTimeoutMs, deadline - Temporal.Now.instant().epochMilliseconds));
    const timer = setTimeout(() => answer('timeout'), waitMs);
    const refusal = this.gate.refusal(call.metadata, true);
    if (refusal === 'not-ready') return answer('not-ready');
    if (refusal !== undefined) {
      clearTimeout(timer);
      call.emit('error', refusal);
      return;
    }
    if (pending.bytes > APPEND_BYTES_MAX) return answer({ limit: APPEND_BYTES_MAX });
    const given = await this.commit(pending);
    if (given === 'cut') clearTimeout(timer);
    else if (given !== 'racing') answer(given);
  }

  /** Waits for its turn, stores, and answers; `cut` where the connection is gone and nobody hears, `racing` where the write is to time out. */
  private async commit({ streamId, expected, events }: Pending): Promise<AppendAnswer | 'cut' | 'racing'> {
    if (!(await this.gate.turn(streamId))) return 'cut';
    if (this.gate.isRacing(this.log.storedForMs(streamId, events[0]?.id))) return 'racing';
    const answer = this.log.append(streamId, expected, events);
    if (!this.gate.stored(streamId)) return 'cut';
    await this.gate.delay();
    return answer;
  }

  private async append(
    call: ServerReadableStream<Streams.AppendReq, Streams.AppendResp>,
    answer: sendUnaryData<Streams.AppendResp>,
  ): Promise<void> {
    const refusal = this.refusal(call.metadata, true);
    if (refusal !== undefined) return answer(refusal);
    let pending: Pending | undefined;
    for await (const request of call as AsyncIterable<Streams.AppendReq>) {
      const options = request.getOptions();
      const message = request.getProposedMessage();
      if (options !== undefined)
        pending = {
          streamId: streamOf(options.getStreamIdentifier()),
          expected: expectedOf(options, options.getRevision()),
          events: [],
          bytes: 0,
        };
      if (message === undefined || pending === undefined) continue;
      const event = eventOf(message);
      pending.events.push(event);
      pending.bytes += sizeOf(event);
    }
    if (pending === undefined) return;
    if (pending.bytes > APPEND_BYTES_MAX) return answer(tooLarge(APPEND_BYTES_MAX));
    const given = await this.commit(pending);
    if (given === 'cut' || given === 'racing') return;
    if (given.result === 'stream-deleted') return answer(streamDeleted(pending.streamId));
    answer(null, appendResponse(pending.expected, given));
  }

  private remove<Response>(
    call: ServerUnaryCall<Streams.DeleteReq | Streams.TombstoneReq, Response>,
    answer: sendUnaryData<Response>,
    hard: boolean,
    response: () => Response,
  ): void {
    const refusal = this.refusal(call.metadata, true);
    if (refusal !== undefined) return answer(refusal);
    const options = call.request.getOptions();
    if (options === undefined) return answer({ code: 3, details: 'options are missing' });
    const streamId = streamOf(options.getStreamIdentifier());
    const expected = expectedOf(options, options.getRevision());
    const given = this.log.delete(streamId, expected, hard);
    if (given.result === 'stream-deleted') return answer(streamDeleted(streamId));
    if (given.result === 'wrong-expected-version') return answer(wrongVersion(streamId, expected, given.actual));
    answer(null, response());
  }
}

const isBackwards = (options: Streams.ReadReq.Options): boolean =>
  options.getReadDirection() === streams.ReadReq.Options.ReadDirection.BACKWARDS;

const begin = (options: Streams.BatchAppendReq.Options): Pending => ({
  streamId: streamOf(options.getStreamIdentifier()),
  expected: expectedOf(options, options.getStreamPosition()),
  events: [],
  bytes: 0,
});
