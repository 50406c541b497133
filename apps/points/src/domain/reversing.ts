import { worth, type Explanation } from './earning.js';
import type { Rate, Rounding } from './programme.js';

/** What a return takes of an award's component: it was worth what `keptBefore` earns, and is now worth what `keptAfter` does. */
export type ReversedComponent = {
  readonly rule: string;
  readonly version: number;
  readonly rate: Rate;
  readonly rounding: Rounding;
  /** The money of the component's lines that was still kept before this return, in minor units. */
  readonly keptBefore: number;
  /** The same after it. */
  readonly keptAfter: number;
  readonly points: number;
};

/** What a return takes of one award, with everything needed to work it out again. */
export type Reversal = {
  /** The award's transaction. */
  readonly awardId: string;
  readonly source: string;
  readonly purchaseId: string;
  /** The version of the programme that made the award; the components are its own, whatever is published since. */
  readonly programme: number;
  readonly components: readonly ReversedComponent[];
};

/** The award of a purchase as the ledger has it. */
export type StoredAward = {
  readonly awardId: string;
  readonly source: string;
  readonly purchaseId: string;
  readonly explanation: Explanation;
};

/** Money that came back, by line, in minor units. */
export type ReturnedAmounts = ReadonlyMap<string, number>;

/**
 * What a return of `now` takes of an award after returns of `before`: each component keeps what its kept goods are worth under its own rate and
 * rounding. The returns of a purchase follow one another without gaps, so that their sum is what the award lost, whatever the steps.
 */
export const reversalOf = (
  { awardId, source, purchaseId, explanation }: StoredAward,
  before: ReturnedAmounts,
  now: ReturnedAmounts,
): Reversal => ({
  awardId,
  source,
  purchaseId,
  programme: explanation.programme,
  components: explanation.components.flatMap(({ rule, version, rate, rounding, base, lines }) => {
    const keptBefore = base - sumOf(lines, before);
    const keptAfter = keptBefore - sumOf(lines, now);
    if (keptAfter === keptBefore) return [];
    const points = worth(rate, keptBefore) - worth(rate, keptAfter);
    return [{ rule, version, rate, rounding, keptBefore, keptAfter, points }];
  }),
});

/** All points of a reversal. */
export const pointsOfReversal = (reversal: Reversal): number =>
  reversal.components.reduce((sum, component) => sum + component.points, 0);

const sumOf = (lines: readonly string[], amounts: ReturnedAmounts): number =>
  lines.reduce((sum, line) => sum + (amounts.get(line) ?? 0), 0);
