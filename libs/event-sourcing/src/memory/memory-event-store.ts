import type {
  AppendOutcome,
  EventStore,
  LogPage,
  NewEvent,
  Position,
  Revision,
  StoredEvent,
  SubscribeOptions,
} from '../event-store.js';
import { checkAppend, checkLoad, checkRead, checkStreamId, checkSubscribe } from '../limits.js';
import { WakeUp } from '../wake-up.js';

const RECHECK_MS = 250;

/** What several instances may share, as the instances of a real adapter share a server. */
export class MemoryLog {
  readonly events: StoredEvent[] = [];
  readonly streams = new Map<string, StoredEvent[]>();
  readonly wakeUp = new WakeUp();
}

/** The event store of tests: everything in memory, by the same contract as the others. */
export class MemoryEventStore implements EventStore {
  private closed = false;

  constructor(
    private readonly log: MemoryLog = new MemoryLog(),
    private readonly now: () => Temporal.Instant = () => Temporal.Now.instant(),
  ) {}

  async append(streamId: string, expected: Revision, events: readonly NewEvent[]): Promise<AppendOutcome> {
    checkAppend(streamId, expected, events);
    await this.answering();
    const stream = this.log.streams.get(streamId) ?? [];
    const head = stream.length - 1;
    if (expected !== head) {
      const repeated = events.every((event, i) => stream[expected + 1 + i]?.id === event.id);
      return repeated
        ? { status: 'appended', revision: expected + events.length, repeated }
        : { status: 'conflict', actual: head };
    }
    this.log.streams.set(streamId, stream);
    const now = this.now().round('microsecond').toString();
    for (const { id, type, data, metadata, recordedAt = now } of events) {
      const position = String(this.log.events.length + 1) as Position;
      const stored = { id, type, data, metadata, streamId, revision: stream.length, position, recordedAt };
      stream.push(stored);
      this.log.events.push(stored);
    }
    this.log.wakeUp.ring();
    return { status: 'appended', revision: stream.length - 1, repeated: false };
  }

  async load(streamIds: readonly string[], after?: ReadonlyMap<string, Revision>): Promise<Map<string, StoredEvent[]>> {
    checkLoad(streamIds);
    await this.answering();
    const found = new Map<string, StoredEvent[]>();
    for (const streamId of streamIds) {
      const events = (this.log.streams.get(streamId) ?? []).slice((after?.get(streamId) ?? -1) + 1);
      if (events.length > 0) found.set(streamId, events);
    }
    return found;
  }

  async read(streamId: string, from: Revision, limit: number): Promise<StoredEvent[]> {
    checkStreamId(streamId);
    checkRead(from, limit);
    await this.answering();
    return (this.log.streams.get(streamId) ?? []).slice(from, from + limit);
  }

  async *subscribe(options: SubscribeOptions): AsyncGenerator<LogPage, void, undefined> {
    checkSubscribe(options);
    const { signal } = options;
    let position = options.after === null ? 0 : Number(options.after);
    const until = options.until === undefined ? Infinity : Number(options.until);
    let announced = false;
    while (!signal.aborted && position < until) {
      await this.answering();
      const seen = this.log.wakeUp.rings;
      const scanned = this.log.events.slice(position, Math.min(position + options.pageSize, until));
      if (scanned.length === 0 && announced) {
        await this.log.wakeUp.wait(seen, RECHECK_MS, signal);
        continue;
      }
      position += scanned.length;
      announced = scanned.length < options.pageSize;
      const events = scanned.filter((event) => event.streamId.startsWith(options.prefix));
      yield { events, position: String(position) as Position, caughtUp: announced };
    }
  }

  async ping(): Promise<void> {
    await this.answering();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.log.wakeUp.ring();
  }

  /** No answer in the same turn, as no real adapter gives one. */
  private async answering(): Promise<void> {
    if (this.closed) throw new Error('the event store is closed');
    await Promise.resolve();
  }
}
