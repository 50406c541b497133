import { rateOf, type EarnRule, type Programme, type Rate, type Rounding } from './programme.js';
import type { LineKind, Purchase } from './purchase.js';

/** One part of an award, with everything needed to work it out again and to reverse it later without asking today's rules. */
export type Component = {
  readonly rule: string;
  readonly version: number;
  readonly rate: Rate;
  /** The money it was worked out on, in minor units. */
  readonly base: number;
  readonly points: number;
  readonly rounding: Rounding;
  /** Ids of the lines that counted. */
  readonly lines: readonly string[];
};

/** Why lines, or the whole purchase, earned nothing under a rule. */
export type Declined =
  | {
      readonly rule: string;
      readonly reason: 'kind-excluded';
      readonly kind: LineKind;
      readonly lines: readonly string[];
    }
  | { readonly rule: string; readonly reason: 'below-one-point'; readonly base: number; readonly needed: number };

/** What a purchase earned and why, and what did not earn and why not. Stored with the award. */
export type Explanation = {
  /** The programme's version. */
  readonly programme: number;
  readonly currency: string;
  readonly components: readonly Component[];
  readonly declined: readonly Declined[];
};

/** Evaluates every rule of the programme over one purchase. Pure; `exponent` is that of the purchase's currency. */
export const evaluate = (purchase: Purchase, programme: Programme, exponent: number): Explanation => {
  const components: Component[] = [];
  const declined: Declined[] = [];
  for (const rule of programme.earnRules) {
    const lines = purchase.lines.filter((line) => !rule.excludedKinds.includes(line.kind));
    declined.push(...excludedBy(rule, purchase));
    const rate = rateOf(rule, purchase.currency, exponent);
    const base = lines.reduce((sum, line) => sum + line.amount, 0);
    const points = worth(rate, base);
    if (points > 0) {
      const { id, version, rounding } = rule;
      components.push({ rule: id, version, rate, base, points, rounding, lines: lines.map((line) => line.lineId) });
    } else if (lines.length > 0) {
      declined.push({ rule: rule.id, reason: 'below-one-point', base, needed: Math.ceil(rate[1] / rate[0]) });
    }
  }
  return { programme: programme.version, currency: purchase.currency, components, declined };
};

/** All points of an explanation. */
export const pointsOf = (explanation: Explanation): number =>
  explanation.components.reduce((sum, component) => sum + component.points, 0);

/** `rate × base` rounded down to whole points, and never below none. */
export const worth = ([points, perMinorUnits]: Rate, base: number): number => {
  if (base <= 0) return 0;
  const product = points * base;
  if (Number.isSafeInteger(product)) return Math.floor(product / perMinorUnits);
  return Number((BigInt(points) * BigInt(base)) / BigInt(perMinorUnits));
};

const excludedBy = (rule: EarnRule, purchase: Purchase): Declined[] =>
  rule.excludedKinds.flatMap((kind) => {
    const lines = purchase.lines.filter((line) => line.kind === kind).map((line) => line.lineId);
    return lines.length === 0 ? [] : [{ rule: rule.id, reason: 'kind-excluded' as const, kind, lines }];
  });
