import type { ServerWritableStream } from '@grpc/grpc-js';
import { once } from 'node:events';
import { caughtUpMessage, checkpointMessage, consumerTooSlow, eventMessage, streamDeleted } from './answers.js';
import { shared, streams } from './definitions.js';
import type { Streams } from './definitions.js';
import type { StandInEvent, StandInLog } from './stand-in-log.js';

export type ReadCall = ServerWritableStream<Streams.ReadReq, Streams.ReadResp>;

/** What the real server reads at a time for a subscription that catches up. */
const READ_BATCH_SIZE = 32;
/** A live subscriber that falls this many messages behind is dropped, as a real 23.10 server was seen to do. */
export const LIVE_BUFFER_MAX = 210;

/** Writes to a call no faster than it is read. False once the call has ended. */
export const writeTo = async (call: ReadCall, message: Streams.ReadResp): Promise<boolean> => {
  if (call.cancelled || call.destroyed) return false;
  if (call.write(message)) return true;
  const ended = new AbortController();
  const end = (): void => ended.abort();
  call.once('cancelled', end).once('close', end);
  await once(call, 'drain', { signal: ended.signal }).catch(() => undefined);
  call.off('cancelled', end).off('close', end);
  return !ended.signal.aborted;
};

const confirm = (): Streams.ReadResp =>
  new streams.ReadResp().setConfirmation(
    new streams.ReadResp.SubscriptionConfirmation().setSubscriptionId(crypto.randomUUID()),
  );

/** Sends what is stored from now on, in its order. Made before anything is awaited, so that nothing is missed. */
class Live {
  private readonly waiting: Streams.ReadResp[] = [];
  private wake: () => void = () => undefined;
  private readonly leave: () => void;
  private dropped = false;

  constructor(
    private readonly call: ReadCall,
    log: StandInLog,
    messages: (event: StandInEvent) => Streams.ReadResp[],
  ) {
    this.leave = log.onStored((event) => {
      if (this.dropped) return;
      this.waiting.push(...messages(event));
      if (this.waiting.length > LIVE_BUFFER_MAX) this.drop();
      this.wake();
    });
    call.once('cancelled', () => this.end()).once('close', () => this.end());
  }

  async pump(): Promise<void> {
    if (!(await writeTo(this.call, caughtUpMessage()))) return this.end();
    while (!this.dropped) {
      const message = this.waiting.shift();
      if (message === undefined) await new Promise<void>((resolve) => (this.wake = resolve));
      else if (!(await writeTo(this.call, message))) this.end();
    }
  }

  private end(): void {
    this.dropped = true;
    this.leave();
    this.wake();
  }

  /** What was not sent yet is lost. */
  private drop(): void {
    this.waiting.length = 0;
    this.end();
    this.call.emit('error', consumerTooSlow());
  }
}

/** A subscription to one stream behind a revision (exclusive; -1 is the beginning). */
export const subscribeToStream = async (
  call: ReadCall,
  log: StandInLog,
  streamId: string,
  after: bigint,
): Promise<void> => {
  if (log.isTombstoned(streamId)) {
    call.emit('error', streamDeleted(streamId));
    return;
  }
  if (!(await writeTo(call, confirm()))) return;
  for (let next = after + 1n; ;) {
    const answer = log.read(streamId, next, false, READ_BATCH_SIZE);
    const events = answer.result === 'found' ? answer.events : [];
    if (events.length === 0) break;
    for (const event of events) {
      if (!(await writeTo(call, eventMessage(event)))) return;
      next = event.revision + 1n;
    }
  }
  await new Live(call, log, (event) => (event.streamId === streamId ? [eventMessage(event)] : [])).pump();
};

export type AllFilter = {
  readonly matches: (event: StandInEvent) => boolean;
  /** Events that are looked through at a time. */
  readonly window: number;
  /** A checkpoint is told of after so many windows. */
  readonly interval: number;
};

/**
 * A subscription to everything behind a position. With a filter it tells of checkpoints as 23.10 does: while catching up after so many events
 * looked through, none at the end of the log, and then on the way.
 */
export const subscribeToAll = async (
  call: ReadCall,
  log: StandInLog,
  after: bigint,
  filter: AllFilter | null,
): Promise<void> => {
  if (!(await writeTo(call, confirm()))) return;
  const checkpointEvery = filter === null ? Infinity : filter.window * filter.interval;
  let considered = 0;
  let index = log.indexAfter(after);
  while (index < log.all.length) {
    let reached = log.all[index]?.position ?? 0n;
    const pageEnd = Math.min(log.all.length, index + (filter?.window ?? READ_BATCH_SIZE));
    for (let matched = 0; index < pageEnd && matched < READ_BATCH_SIZE; index++, considered++) {
      const event = log.all[index];
      if (event === undefined || filter?.matches(event) === false) continue;
      if (!(await writeTo(call, eventMessage(event)))) return;
      reached = event.position;
      matched++;
    }
    if (index >= log.all.length || considered < checkpointEvery) continue;
    considered %= checkpointEvery;
    if (!(await writeTo(call, checkpointMessage(reached)))) return;
  }
  const live = new Live(call, log, (event) => {
    const messages = filter?.matches(event) === false ? [] : [eventMessage(event)];
    if (++considered >= checkpointEvery) {
      considered = 0;
      messages.push(checkpointMessage(event.position));
    }
    return messages;
  });
  await live.pump();
};

/** What a request says about which events it wants. */
export const filterOf = (options: Streams.ReadReq.Options): AllFilter | null => {
  const given = options.getFilter();
  if (given === undefined) return null;
  const byStream = given.getStreamIdentifier();
  const expression = byStream ?? given.getEventType();
  const prefixes = expression?.getPrefixList() ?? [];
  const regex = new RegExp(expression?.getRegex() ?? '', 'u');
  const isWanted = (text: string): boolean =>
    prefixes.length > 0 ? prefixes.some((prefix) => text.startsWith(prefix)) : regex.test(text);
  return {
    matches: (event) => isWanted(byStream === undefined ? event.type : event.streamId),
    window: given.getMax() || READ_BATCH_SIZE,
    interval: given.getCheckpointintervalmultiplier() || 1,
  };
};

export const streamNotFound = (identifier: InstanceType<typeof shared.StreamIdentifier>): Streams.ReadResp =>
  new streams.ReadResp().setStreamNotFound(new streams.ReadResp.StreamNotFound().setStreamIdentifier(identifier));
