import type { Batch } from '../message-bus.js';
import type { NewLetter } from '../dead-letters.js';
import type { Replay } from '../replay-header.js';
import { pause } from '@vafa/persistence';
import { HandlerTimeout } from './handler-call.js';
import { inWords, isTransientFailure } from './handler-errors.js';
import type { Item } from './sorting.js';

const TRANSIENT_PAUSE_MIN_MS = 100;
const TRANSIENT_PAUSE_MAX_MS = 5_000;
const BACKOFF_MAX_MS = 5_000;
/** A handler that fails for everything would otherwise fill the log with thousands of the same line. */
const REPORTS_MAX = 5;

/** The page was given up before it was done, since its partitions are lost or the consumer closes. It comes again. */
export class PageAbandoned extends Error {
  override readonly name = 'PageAbandoned';
}

export type PageWork = {
  readonly batch: Batch;
  /** Attempts at a message alone before it goes to the dead letters. */
  readonly attemptsMax: number;
  /** Pause after its first attempt; it doubles. */
  readonly backoffMs: number;
  /** Chains of messages handled one by one that run at once. */
  readonly concurrencyMax: number;
  /** Calls the handlers with these items, in one go where they take pages. */
  readonly call: (items: readonly Item[]) => Promise<void>;
  /** Whether what a handler may have waited for answers. Asked once one ran out of time. */
  readonly areOthersWell: () => Promise<boolean>;
  /** Told of the first few failures. */
  readonly onError: (error: unknown) => void;
};

type Failure = { readonly error: unknown };
/** A message that failed alone, with the later ones of its key. */
type Suspect = { readonly items: Item[]; attempts: number; failure: Failure };
/** What keeps order: a key, or the message itself where it has none. */
type Chain = string | Item;

/**
 * Works off the runs of one page. A failure of the connection is tried again for as long as it takes. Any other failure is narrowed down by
 * halves to the messages that fail alone, which get their attempts while nothing later of their key overtakes them.
 */
export class PageWorker {
  readonly letters: NewLetter[] = [];
  readonly replayed: Replay[] = [];
  private readonly suspects = new Map<Chain, Suspect>();
  private readonly givenUp = new Set<Chain>();
  private reports = 0;

  constructor(private readonly work: PageWork) {}

  /** For handlers that take pages. @throws PageAbandoned. */
  async handlePages(items: readonly Item[]): Promise<void> {
    await this.narrow(items);
    await this.retrySuspects();
  }

  /** For handlers that take one message at a time: order within a key, many keys at once. @throws PageAbandoned. */
  async handleEach(items: readonly Item[]): Promise<void> {
    const chains = Map.groupBy(items, chainOf).values();
    const runner = async (): Promise<void> => {
      for (const chain of chains) for (const item of chain) await this.narrow([item]);
    };
    const { concurrencyMax } = this.work;
    const outcomes = await Promise.allSettled(Array.from({ length: concurrencyMax }, runner));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    await this.retrySuspects();
  }

  private async narrow(items: readonly Item[]): Promise<void> {
    const live = this.clear(items);
    const [first] = live;
    if (first === undefined) return;
    const failure = await this.attempt(live);
    if (failure === undefined) return this.succeed(live);
    if (live.length === 1) {
      this.suspects.set(chainOf(first), { items: [first], attempts: 1, failure });
      return;
    }
    const middle = live.length >> 1;
    await this.narrow(live.slice(0, middle));
    await this.narrow(live.slice(middle));
  }

  /** Those whose key is not in trouble; the others queue behind what failed. */
  private clear(items: readonly Item[]): readonly Item[] {
    if (this.suspects.size === 0 && this.givenUp.size === 0) return items;
    return items.filter((item) => {
      const chain = chainOf(item);
      const suspect = this.suspects.get(chain);
      if (suspect !== undefined) suspect.items.push(item);
      else if (this.givenUp.has(chain)) this.putBehind(item);
      else return true;
      return false;
    });
  }

  private async retrySuspects(): Promise<void> {
    for (let round = 0; this.suspects.size > 0; round++) {
      await this.pauseOrAbandon(Math.min(this.work.backoffMs * 2 ** round, BACKOFF_MAX_MS));
      for (const [chain, suspect] of this.suspects) await this.retry(chain, suspect);
    }
  }

  private async retry(chain: Chain, suspect: Suspect): Promise<void> {
    for (let item = suspect.items[0]; item !== undefined; item = suspect.items[0]) {
      const failure = suspect.attempts < this.work.attemptsMax ? await this.attempt([item]) : suspect.failure;
      if (failure !== undefined) {
        suspect.failure = failure;
        suspect.attempts++;
        if (suspect.attempts >= this.work.attemptsMax) this.giveUp(chain, suspect);
        return;
      }
      this.succeed([item]);
      suspect.items.shift();
      suspect.attempts = 0;
    }
    this.suspects.delete(chain);
  }

  private giveUp(chain: Chain, { items, failure }: Suspect): void {
    this.suspects.delete(chain);
    this.givenUp.add(chain);
    const [failed, ...behind] = items;
    if (failed === undefined) return;
    const { message, replay } = failed;
    this.letters.push({ message, replay, kind: 'failed', reason: inWords(failure.error) });
    behind.forEach((item) => this.putBehind(item));
  }

  private putBehind({ message, replay }: Item): void {
    this.letters.push({ message, replay, kind: 'behind', reason: 'an earlier message of its key failed' });
  }

  private succeed(items: readonly Item[]): void {
    for (const { replay } of items) if (replay !== undefined) this.replayed.push(replay);
  }

  /** Answers with a failure that is the messages' own. */
  private async attempt(items: readonly Item[]): Promise<Failure | undefined> {
    for (
      let milliseconds = TRANSIENT_PAUSE_MIN_MS;
      ;
      milliseconds = Math.min(milliseconds * 2, TRANSIENT_PAUSE_MAX_MS)
    ) {
      if (this.work.batch.isStale()) throw new PageAbandoned('the partitions belong to someone else');
      try {
        await this.work.call(items);
        return undefined;
      } catch (error) {
        if (this.reports++ < REPORTS_MAX) this.work.onError(error);
        const isAway =
          isTransientFailure(error) || (error instanceof HandlerTimeout && !(await this.work.areOthersWell()));
        if (!isAway) return { error };
      }
      await this.pauseOrAbandon(milliseconds);
    }
  }

  private async pauseOrAbandon(milliseconds: number): Promise<void> {
    const { signal } = this.work.batch;
    await pause(milliseconds, signal);
    if (signal.aborted) throw new PageAbandoned('the consumer closes');
  }
}

const chainOf = (item: Item): Chain => item.message.key ?? item;
