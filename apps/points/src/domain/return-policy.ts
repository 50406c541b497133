import type { ReversalPolicy } from './account.js';

/** What is done with a return that names no purchase. */
export const UNREFERENCED = ['quarantine', 'latest-first'] as const;

/** What the club does with returns. */
export type ReturnPolicy = ReversalPolicy & {
  /** A return later than so many days, of 24 hours each, after its purchase needs approval; `null`: none does. */
  readonly windowDays: number | null;
  /** `quarantine`: a person names the purchase. `latest-first`: it goes back over the member's purchases from the latest before it. */
  readonly unreferenced: (typeof UNREFERENCED)[number];
};

/** Whether a return at `returnedAt` of what was bought at `boughtAt` needs no approval. Both canonical instants. */
export const isInTime = (boughtAt: string, returnedAt: string, windowDays: number | null): boolean => {
  if (windowDays === null) return true;
  const until = Temporal.Instant.from(boughtAt).add({ hours: windowDays * 24 });
  return Temporal.Instant.compare(Temporal.Instant.from(returnedAt), until) <= 0;
};

/** What is said of a return that was taken, but whose money not all purchases together cover. */
export const uncoveredReason = (minorUnits: number, currency: string): string | null =>
  minorUnits === 0 ? null : `uncovered: ${minorUnits} ${currency}`;
