import { setTimeout as pause } from 'node:timers/promises';

import { Refusal } from '../command.js';
import { problemErrors, problemText, type Api } from '../installation/api.js';
import { OUTCOME_STATUSES, type OutcomeStatus } from './counts.js';

/** What became of one purchase: the club's outcome, or that it would not take the event at all. */
export type PurchaseOutcome = {
  readonly status: OutcomeStatus | 'rejected';
  readonly points: number;
  readonly reason: string | null;
  /** Where in the event the mistake stands, as a JSON pointer. */
  readonly pointer?: string;
};

const WAIT_SECONDS = 30;
const REQUEST_TIMEOUT_MS = (WAIT_SECONDS + 30) * 1_000;
/** How long the ledger may take to learn of an enrolment; at most half the patience, so that the outcome is still told. */
const MEMBER_COMES_WITHIN_MS = 60_000;
const ASK_AGAIN_MS = 250;
const ASK_AGAIN_MAX_MS = 5_000;

const isStatus = (value: unknown): value is OutcomeStatus => OUTCOME_STATUSES.some((status) => status === value);

/** One entry of `results`; nothing where the outcome is still to come. */
const outcomeOf = (result: unknown): PurchaseOutcome | undefined => {
  if (typeof result !== 'object' || result === null) return undefined;
  const { status, points, reason } = result as Record<string, unknown>;
  if (!isStatus(status)) return undefined;
  return {
    status,
    points: typeof points === 'number' ? points : 0,
    reason: typeof reason === 'string' ? reason : null,
  };
};

const rejected = (reason: string, pointer?: string): PurchaseOutcome => ({
  status: 'rejected',
  points: 0,
  reason,
  ...(pointer === undefined ? {} : { pointer }),
});

/** Splits `/3/data/total` into the event's index and the pointer within it. */
const indexed = (pointer: string): { index: number; rest: string } | undefined => {
  const match = /^\/(\d+)(\/.*)?$/.exec(pointer);
  return match === null ? undefined : { index: Number(match[1]), rest: match[2] ?? '' };
};

/** Sends purchases to the batch API and finds out what became of each, however often it takes. */
export class PurchaseSender {
  constructor(
    private readonly api: Api,
    private readonly signal: AbortSignal,
    /** How long outcomes that are not there yet are asked for, in milliseconds. */
    private readonly patienceMs: number,
  ) {}

  /**
   * The outcomes of these events (JSON text each), in their order, from the batch route at `path`. Sending again is harmless: the club answers a purchase that it
   * knows with the first outcome. `memberIsComing` says of which event the member is enrolled, so that waiting for the member is not
   * its last word; what still waits after some seconds stays so.
   */
  async send(
    path: string,
    events: readonly string[],
    memberIsComing: (index: number) => boolean,
  ): Promise<PurchaseOutcome[]> {
    const outcomes: (PurchaseOutcome | undefined)[] = events.map(() => undefined);
    const begun = performance.now();
    const deadline = begun + this.patienceMs;
    const memberComesBy = begun + Math.min(MEMBER_COMES_WITHIN_MS, this.patienceMs / 2);
    for (let attempt = 0; ; attempt += 1) {
      const open = outcomes.flatMap((outcome, index) => (outcome === undefined ? [index] : []));
      if (open.length === 0) return outcomes as PurchaseOutcome[];
      if (performance.now() > deadline)
        throw new Refusal(
          `The service has not said for ${Math.round(this.patienceMs / 1_000)} s what became of ${open.length} purchases.`,
        );
      if (attempt > 0)
        await pause(Math.min(ASK_AGAIN_MS * 2 ** (attempt - 1), ASK_AGAIN_MAX_MS), undefined, { signal: this.signal });
      const answered = await this.attempt(
        path,
        open.map((index) => events[index] as string),
      );
      const hopeful = performance.now() < memberComesBy;
      open.forEach((index, position) => {
        const outcome = answered[position];
        if (hopeful && outcome?.status === 'waiting' && memberIsComing(index)) return;
        outcomes[index] = outcome;
      });
    }
  }

  private async attempt(path: string, events: readonly string[]): Promise<(PurchaseOutcome | undefined)[]> {
    const answer = await this.api.request({
      method: 'POST',
      path,
      body: `[${events.join(',')}]`,
      headers: { 'content-type': 'application/cloudevents-batch+json', prefer: `wait=${WAIT_SECONDS}` },
      timeoutMs: REQUEST_TIMEOUT_MS,
    });
    if (answer.status === 200 || answer.status === 202) return this.results(answer.body, events.length);
    if (answer.status >= 500)
      throw new Refusal(`The service failed (HTTP ${answer.status}): ${problemText(answer.body)}`);
    return this.refused(path, events, answer.status, answer.body);
  }

  private results(body: unknown, expected: number): (PurchaseOutcome | undefined)[] {
    const results: unknown = typeof body === 'object' && body !== null && 'results' in body ? body.results : undefined;
    if (!Array.isArray(results)) return Array.from({ length: expected }, () => undefined);
    if (results.length !== expected)
      throw new Refusal(`The service answered ${expected} purchases with ${results.length} results.`);
    return results.map(outcomeOf);
  }

  /** The whole request was refused: the events that are at fault are put aside, the others sent again. */
  private async refused(
    path: string,
    events: readonly string[],
    status: number,
    body: unknown,
  ): Promise<(PurchaseOutcome | undefined)[]> {
    const faults = new Map<number, PurchaseOutcome>();
    for (const { pointer, detail } of problemErrors(body)) {
      const place = indexed(pointer);
      if (place !== undefined && place.index < events.length && !faults.has(place.index))
        faults.set(place.index, rejected(detail, place.rest));
    }
    if (faults.size > 0) {
      const rest = events.filter((_, index) => !faults.has(index));
      const outcomes = rest.length === 0 ? [] : await this.attempt(path, rest);
      return events.map((_, index) => faults.get(index) ?? outcomes.shift());
    }
    if (events.length === 1) return [rejected(`HTTP ${status}: ${problemText(body)}`)];
    const half = Math.ceil(events.length / 2);
    return [...(await this.attempt(path, events.slice(0, half))), ...(await this.attempt(path, events.slice(half)))];
  }
}
