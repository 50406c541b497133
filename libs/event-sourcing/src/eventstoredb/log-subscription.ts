import type { AllStreamSubscription } from '@eventstore/db-client';
import { setTimeout as pause } from 'node:timers/promises';
import type { LogPage, Position } from '../event-store.js';
import { DeadlineExceededError } from './failures.js';
import { fromWire, isOurs, positionOf } from './wire-form.js';
import type { WireEvent, WirePosition } from './wire-form.js';

/** Events that wait to be read, at least: a live subscriber that falls some 200 behind what the client holds is dropped by the server. */
export const HIGH_WATER_MARK = 2_000;
/** How long a page is waited for to fill while there is more to come. */
const LINGER_MS = 20;

/** Something the server has told between two events: it holds once so many events have been read. */
type Mark = { readonly afterEvents: number; readonly position: WirePosition | 'caught-up' | 'fell-behind' };

const isBehind = (one: WirePosition, other: WirePosition): boolean =>
  one.commit < other.commit || (one.commit === other.commit && one.prepare < other.prepare);

export type LogSubscriptionOptions = {
  readonly subscription: AllStreamSubscription;
  readonly after: WirePosition | null;
  readonly until: WirePosition | null;
  /** The end of the log before the subscription began: once caught up, everything up to it has been given. */
  readonly head: WirePosition | null;
  readonly pageSize: number;
  /** How long the server may take to confirm the subscription; from then on it is the connection's silence that tells. */
  readonly confirmWithinMs: number;
  /** Whether what somebody else has written is left out, rather than refused: where every stream is asked for. */
  readonly ownOnly: boolean;
  readonly signal: AbortSignal;
};

/** Makes pages of one subscription of the client, until it breaks, is ended, or has reached `until`. */
export class LogSubscription {
  private readonly marks: Mark[] = [];
  private read = 0;
  /** Up to where events were taken out of the subscription, or the log was told to hold nothing. */
  private at: WirePosition | null;
  /** The same of the last page that was handed out: what lies between the two is lost with the subscription. */
  private given: WirePosition | null;
  private isLive = false;
  private hasEnded = false;
  private failure: unknown;
  private wake: () => void = () => undefined;
  private readonly unconfirmed: NodeJS.Timeout;

  constructor(private readonly options: LogSubscriptionOptions) {
    this.at = options.after;
    this.given = options.after;
    const { subscription, confirmWithinMs } = options;
    const silence = `the subscription was not confirmed within ${confirmWithinMs} ms`;
    this.unconfirmed = setTimeout(() => this.end(new DeadlineExceededError(silence)), confirmWithinMs);
    subscription.once('confirmation', () => clearTimeout(this.unconfirmed));
    subscription.on('readable', () => this.wake());
    subscription.on('caughtUp', () => this.mark('caught-up'));
    subscription.on('fellBehind', () => this.mark('fell-behind'));
    subscription.on('error', (error) => this.end(error));
    subscription.on('end', () => this.end(new Error('the server has ended the subscription: write after end')));
    options.signal.addEventListener('abort', () => this.wake(), { once: true });
  }

  /** The client hands over a checkpoint of the server. */
  checkpoint(position: WirePosition): void {
    this.mark(position);
  }

  /** The position behind the last page that was handed out. */
  get position(): Position | null {
    return this.given === null ? null : positionOf(this.given);
  }

  async *pages(): AsyncGenerator<LogPage, void, undefined> {
    const { signal, until } = this.options;
    try {
      while (!signal.aborted) {
        const page = await this.next();
        if (page === undefined) return;
        this.given = this.at;
        yield page;
        if (until !== null && this.at !== null && !isBehind(this.at, until)) return;
      }
    } finally {
      clearTimeout(this.unconfirmed);
      this.options.subscription.unsubscribe().catch(() => undefined);
      this.options.subscription.destroy();
    }
  }

  private mark(position: Mark['position']): void {
    // What has come before it and was not read yet lies in the stream's buffer.
    this.marks.push({ afterEvents: this.read + this.options.subscription.readableLength, position });
    this.wake();
  }

  private end(failure: unknown): void {
    if (this.hasEnded) return;
    clearTimeout(this.unconfirmed);
    this.hasEnded = true;
    this.failure = failure;
    this.wake();
  }

  /** Undefined once the signal is aborted. */
  private async next(): Promise<LogPage | undefined> {
    const { pageSize, signal } = this.options;
    const events: WireEvent[] = [];
    const wasLive = this.isLive;
    const before = this.at;
    let deadline = Infinity;
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => (this.wake = resolve));
      this.take(events);
      const isFull = events.length >= pageSize;
      const isNew = events.length > 0 || this.at !== before || this.isLive !== wasLive;
      if (isFull || (isNew && (this.isLive || performance.now() >= deadline))) return this.pageOf(events);
      if (this.hasEnded) {
        // What had come before the end is given before the end is told.
        if (events.length > 0) return this.pageOf(events);
        throw this.failure;
      }
      if (isNew && deadline === Infinity) deadline = performance.now() + LINGER_MS;
      await (isNew ? Promise.race([woken, pause(LINGER_MS)]) : woken);
    }
    return undefined;
  }

  private pageOf(events: readonly WireEvent[]): LogPage {
    const { until, subscription, head, ownOnly } = this.options;
    const within = until === null ? events : events.filter(({ position }) => position && !isBehind(until, position));
    const wanted = ownOnly ? within.filter(isOurs) : within;
    const caughtUp = this.isLive && !this.hasEnded && subscription.readableLength === 0;
    const position = positionOf(this.at ?? head ?? NOWHERE);
    return { events: wanted.map(fromWire), position, caughtUp };
  }

  /** Moves what is there into the page, and everything that the server has told up to that point into force. */
  private take(events: WireEvent[]): void {
    const { subscription, pageSize, head } = this.options;
    this.settle();
    while (events.length < pageSize) {
      const resolved = subscription.read() as { event?: WireEvent } | null;
      if (resolved === null) break;
      this.read++;
      const { event } = resolved;
      if (event?.position !== undefined) {
        events.push(event);
        this.at = event.position;
      }
      this.settle();
    }
    if (this.isLive && head !== null && (this.at === null || isBehind(this.at, head))) this.at = head;
  }

  private settle(): void {
    while (this.marks[0] !== undefined && this.marks[0].afterEvents <= this.read) {
      const { position } = this.marks.shift() as Mark;
      if (typeof position === 'string') this.isLive = position === 'caught-up';
      else if (this.at === null || isBehind(this.at, position)) this.at = position;
    }
  }
}

/** The position of a log in which nothing stands yet. */
const NOWHERE: WirePosition = { commit: 0n, prepare: 0n };
