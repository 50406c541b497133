import type { MovementExplanation } from '../read-models/movements.js';
import { keyText, type ClaimKey } from './claims.js';

export type OutcomeStatus = 'taken' | 'waiting' | 'anonymous' | 'conflict' | 'quarantined' | 'refused';

/** What became of an input, as callers over HTTP and listeners on the bus learn it, under the name that its id has there. */
export type Outcome = ClaimKey & {
  readonly status: OutcomeStatus;
  readonly memberId: string | null;
  readonly points: number;
  readonly transactionId: string | null;
  readonly reason: string | null;
  readonly explanation: MovementExplanation | null;
};

/** An input that passed validation at either door. `hash` is that of its content without the member. */
export type Incoming<Data extends { readonly member: string | null } = { readonly member: string | null }> =
  ClaimKey & {
    readonly data: Data;
    readonly hash: string;
    /** W3C trace context of the message that it came by: what is told of it names it. */
    readonly traceparent?: string | undefined;
  };

/** What somebody waits for is told by content and member as well as the key, since the same key with others is a conflict. */
export const fingerprint = (awaited: Incoming): string =>
  `${keyText(awaited)}\u0000${awaited.data.member ?? ''}\u0000${awaited.hash}`;

/** How often waiters are looked up in the register, for outcomes that another process brought about. */
export const LOOK_UP_INTERVAL_MS = 1_000;
export const LOOK_UP_SIZE_MAX = 1_000;

type Waiter = {
  readonly awaited: Incoming;
  readonly since: number;
  readonly resolve: (outcome: Outcome | null) => void;
};

/** Those who wait for one input, and the movements that would answer them. */
type Waiting = { readonly waiters: Set<Waiter>; readonly transactions: Set<string> };

/**
 * Those who wait for the outcome of what they sent. Within this process they are answered by whoever brings the outcome
 * about (for an award: once the read models show it, so that a caller reads what it was told); what other processes do is looked
 * up now and then, in one query for all.
 */
export class Outcomes {
  private readonly waiting = new Map<string, Waiting>();
  private readonly expected = new Map<string, Set<string>>();
  private timer: NodeJS.Timeout | undefined;

  /** @param lookUp answers the outcomes that the register knows, in the order asked, `null` where there is none yet. */
  constructor(private readonly lookUp: (awaited: readonly Incoming[]) => Promise<readonly (Outcome | null)[]>) {}

  /** The outcome, or `null` once `waitMs` have passed without one. */
  wait(awaited: Incoming, waitMs: number): Promise<Outcome | null> {
    const key = fingerprint(awaited);
    return new Promise((resolve) => {
      const timeout = setTimeout(() => done(null), waitMs);
      const done = (outcome: Outcome | null): void => {
        clearTimeout(timeout);
        this.leave(key, waiter);
        resolve(outcome);
      };
      const waiter: Waiter = { awaited, since: performance.now(), resolve: done };
      const waiting = this.waiting.get(key);
      if (waiting === undefined) this.waiting.set(key, { waiters: new Set([waiter]), transactions: new Set() });
      else waiting.waiters.add(waiter);
      this.schedule();
    });
  }

  /** Answers those who wait for exactly this input. */
  settle(key: string, outcome: Outcome): void {
    for (const waiter of [...(this.waiting.get(key)?.waiters ?? [])]) waiter.resolve(outcome);
  }

  /** Notes that the input with this fingerprint, if anybody waits for it, is answered by the movement `transactionId`. */
  expect(transactionId: string, key: string): void {
    const waiting = this.waiting.get(key);
    if (waiting === undefined) return;
    waiting.transactions.add(transactionId);
    const keys = this.expected.get(transactionId);
    if (keys === undefined) this.expected.set(transactionId, new Set([key]));
    else keys.add(key);
  }

  /** Answers those whose input led to this movement. */
  settleExpected(transactionId: string, outcome: Outcome): void {
    const keys = this.expected.get(transactionId);
    if (keys === undefined) return;
    this.expected.delete(transactionId);
    for (const key of keys) this.settle(key, outcome);
  }

  /** True where nobody waits for anything. */
  get nobodyWaits(): boolean {
    return this.waiting.size === 0;
  }

  /** True where nobody waits for a movement: callers may save themselves the work. */
  get idle(): boolean {
    return this.expected.size === 0;
  }

  /** Answers everybody who still waits with nothing: the service stops. */
  close(): void {
    clearTimeout(this.timer);
    for (const { waiters } of [...this.waiting.values()]) for (const waiter of [...waiters]) waiter.resolve(null);
  }

  /** What was expected for the last of them is let go of with it: where another process has the reader, no movement ever comes by here. */
  private leave(key: string, waiter: Waiter): void {
    const waiting = this.waiting.get(key);
    if (waiting === undefined || !waiting.waiters.delete(waiter) || waiting.waiters.size > 0) return;
    this.waiting.delete(key);
    for (const transactionId of waiting.transactions) {
      const keys = this.expected.get(transactionId);
      keys?.delete(key);
      if (keys?.size === 0) this.expected.delete(transactionId);
    }
  }

  private schedule(): void {
    this.timer ??= setTimeout(() => void this.lookUpOverdue(), LOOK_UP_INTERVAL_MS).unref();
  }

  private async lookUpOverdue(): Promise<void> {
    const before = performance.now() - LOOK_UP_INTERVAL_MS;
    const overdue = [...this.waiting.values()]
      .flatMap(({ waiters }) => [...waiters])
      .filter((waiter) => waiter.since < before)
      .slice(0, LOOK_UP_SIZE_MAX);
    try {
      const found = overdue.length === 0 ? [] : await this.lookUp(overdue.map((waiter) => waiter.awaited));
      for (const [index, waiter] of overdue.entries()) {
        const outcome = found[index] ?? null;
        if (outcome !== null) waiter.resolve(outcome);
      }
    } catch {
      // The database is away: waiters are looked up again, and run into their own limit if it stays away.
    }
    this.timer = undefined;
    if (this.waiting.size > 0) this.schedule();
  }
}
