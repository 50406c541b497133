import { Buffer } from 'node:buffer';

/** An event as the stand-in for EventStoreDB keeps it. Positions grow as they do in the real server's log: by size, not by one. */
export type StandInEvent = {
  readonly id: string;
  readonly streamId: string;
  readonly revision: bigint;
  readonly position: bigint;
  readonly type: string;
  readonly contentType: string;
  readonly data: Uint8Array;
  readonly metadata: Uint8Array;
  /** Ticks of 100 ns since 1970, as the server tells them. */
  readonly created: bigint;
};

export type ProposedEvent = Pick<StandInEvent, 'id' | 'type' | 'contentType' | 'data' | 'metadata'>;

/** What an append expects of its stream. */
export type Expected = 'any' | 'no_stream' | 'stream_exists' | bigint;

/** What the server says to an append. */
export type AppendAnswer =
  | { readonly result: 'success'; readonly revision: bigint; readonly position: bigint }
  | { readonly result: 'wrong-expected-version'; readonly actual: bigint | null }
  | { readonly result: 'stream-deleted' };

export type StreamAnswer =
  | { readonly result: 'found'; readonly events: readonly StandInEvent[] }
  | { readonly result: 'not-found' }
  | { readonly result: 'deleted' };

type Stream = {
  readonly events: StandInEvent[];
  /** Revisions below it are no longer read. */
  truncatedBefore: bigint;
  maxCount: number | undefined;
  state: 'open' | 'soft-deleted' | 'tombstoned';
};

const METADATA_OF = '$$';
const RECORD_OVERHEAD_BYTES = 100n;
const TICKS_PER_MS = 10_000n;

/** The in-memory log behind the stand-in, with the answers of a real 23.10 server to appends, reads, deletions and stream metadata. */
export class StandInLog {
  readonly all: StandInEvent[] = [];
  private readonly streams = new Map<string, Stream>();
  private readonly lastAppends = new Map<string, { readonly firstId: string | undefined; readonly atMs: number }>();
  private readonly listeners = new Set<(event: StandInEvent) => void>();
  private end = 0n;

  /** Called with every event at the moment that it is stored. Answers with a function that ends it. */
  onStored(listener: (event: StandInEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  append(streamId: string, expected: Expected, events: readonly ProposedEvent[]): AppendAnswer {
    const stream = this.streams.get(streamId);
    if (stream?.state === 'tombstoned') return { result: 'stream-deleted' };
    const head = BigInt((stream?.events.length ?? 0) - 1);
    const answer = this.check(stream, head, expected, events);
    if (answer !== undefined) return answer;
    if (events.length === 0) return { result: 'success', revision: head + 1n, position: this.end };
    const open = this.open(streamId);
    if (open.state === 'soft-deleted') open.state = 'open';
    for (const event of events) this.store(streamId, open, event);
    this.lastAppends.set(streamId, { firstId: events[0]?.id, atMs: performance.now() });
    if (streamId.startsWith(METADATA_OF)) this.applyMetadata(streamId.slice(METADATA_OF.length), open);
    return { result: 'success', revision: head + BigInt(events.length), position: this.end };
  }

  /** The answer to what is not written: a repeat or a refusal. */
  private check(
    stream: Stream | undefined,
    head: bigint,
    expected: Expected,
    events: readonly ProposedEvent[],
  ): AppendAnswer | undefined {
    const refusal: AppendAnswer = { result: 'wrong-expected-version', actual: head < 0n ? null : head };
    if (expected === 'any' || expected === 'stream_exists') {
      if (expected === 'stream_exists' && stream === undefined) return refusal;
      const first = stream?.events.findIndex((event) => event.id === events[0]?.id) ?? -1;
      return first < 0 ? undefined : (repeatOf(stream, BigInt(first), events) ?? refusal);
    }
    const wanted = expected === 'no_stream' ? -1n : expected;
    if (wanted === head || (wanted === -1n && stream?.state === 'soft-deleted')) return undefined;
    return wanted > head ? refusal : (repeatOf(stream, wanted + 1n, events) ?? refusal);
  }

  /** `from` included, in the direction asked for. */
  read(streamId: string, from: bigint | 'start' | 'end', backwards: boolean, count: number): StreamAnswer {
    const stream = this.streams.get(streamId);
    if (stream?.state === 'tombstoned') return { result: 'deleted' };
    if (stream === undefined || stream.events.length === 0 || stream.state === 'soft-deleted')
      return { result: 'not-found' };
    const { events, truncatedBefore, maxCount } = stream;
    const kept = maxCount === undefined ? 0n : BigInt(Math.max(0, events.length - maxCount));
    const lowest = kept > truncatedBefore ? kept : truncatedBefore;
    const head = BigInt(events.length - 1);
    const asked = from === 'start' ? 0n : from === 'end' ? head : from;
    const found: StandInEvent[] = [];
    let at = backwards ? (asked > head ? head : asked) : asked < lowest ? lowest : asked;
    for (; at >= lowest && at <= head && found.length < count; at += backwards ? -1n : 1n) {
      const event = events[Number(at)];
      if (event !== undefined) found.push(event);
    }
    return { result: 'found', events: found };
  }

  /** How long ago the last append to a stream was stored, in milliseconds, where it began with the event of this id; infinite for any other. */
  storedForMs(streamId: string, firstId: string | undefined): number {
    const last = this.lastAppends.get(streamId);
    return last === undefined || last.firstId !== firstId ? Infinity : performance.now() - last.atMs;
  }

  /** Index into `all` of the first event behind a position. */
  indexAfter(position: bigint): number {
    let [low, high] = [0, this.all.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.all[middle]?.position ?? 0n) <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  isTombstoned(streamId: string): boolean {
    return this.streams.get(streamId)?.state === 'tombstoned';
  }

  /** Soft: what is there is no longer read, and revisions go on. Hard: the stream is gone for ever. */
  delete(streamId: string, expected: Expected, hard: boolean): AppendAnswer {
    const stream = this.streams.get(streamId);
    if (stream?.state === 'tombstoned') return { result: 'stream-deleted' };
    const head = BigInt((stream?.events.length ?? 0) - 1);
    const fits =
      expected === 'any' ||
      (expected === 'stream_exists' ? stream !== undefined : (expected === 'no_stream' ? -1n : expected) === head);
    if (!fits) return { result: 'wrong-expected-version', actual: head < 0n ? null : head };
    const open = this.open(streamId);
    open.state = hard ? 'tombstoned' : 'soft-deleted';
    open.truncatedBefore = head + 1n;
    return { result: 'success', revision: head, position: this.end };
  }

  private open(streamId: string): Stream {
    const stream = this.streams.get(streamId) ?? {
      events: [],
      truncatedBefore: 0n,
      maxCount: undefined,
      state: 'open',
    };
    this.streams.set(streamId, stream);
    return stream;
  }

  private store(streamId: string, stream: Stream, event: ProposedEvent): void {
    this.end += RECORD_OVERHEAD_BYTES + BigInt(event.data.length + event.metadata.length);
    const stored: StandInEvent = {
      ...event,
      streamId,
      revision: BigInt(stream.events.length),
      position: this.end,
      created: BigInt(Temporal.Now.instant().epochMilliseconds) * TICKS_PER_MS,
    };
    stream.events.push(stored);
    this.all.push(stored);
    for (const listener of this.listeners) listener(stored);
  }

  private applyMetadata(streamId: string, metadata: Stream): void {
    const text = Buffer.from(metadata.events.at(-1)?.data ?? []).toString('utf8');
    const { $maxCount: maxCount, $tb: before } = JSON.parse(text) as { $maxCount?: number; $tb?: number };
    const stream = this.open(streamId);
    stream.maxCount = maxCount;
    if (before !== undefined) stream.truncatedBefore = BigInt(before);
  }
}

/** The answer to events that stand from `first` on one after another; undefined where they do not. */
const repeatOf = (
  stream: Stream | undefined,
  first: bigint,
  events: readonly ProposedEvent[],
): AppendAnswer | undefined => {
  const stood = events.map((_, i) => stream?.events[Number(first) + i]);
  const last = stood.at(-1);
  if (last === undefined || stood.some((event, i) => event?.id !== events[i]?.id)) return undefined;
  return { result: 'success', revision: last.revision, position: last.position };
};
