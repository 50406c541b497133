import type { LineKind } from './purchase.js';

/** Points per minor units of money, as a rational: never a float. `[1, 100]` is one point for 100 cents. */
export type Rate = readonly [points: number, perMinorUnits: number];

/** How a product of rate and amount becomes whole points; always applied once per purchase. */
export type Rounding = 'floor';

/** Earns on the money of a purchase. */
export type EarnRule = {
  readonly id: string;
  readonly version: number;
  /** Line kinds that this rule does not reward. */
  readonly excludedKinds: readonly LineKind[];
  readonly rounding: Rounding;
  /** How much money, in whole units of the currency, one point takes; a currency without an entry takes `unitsPerPoint.default`. */
  readonly unitsPerPoint: Readonly<Record<string, number>> & { readonly default: number };
};

export type Programme = {
  /** Counts up with every publication; stored with each award. */
  readonly version: number;
  readonly earnRules: readonly EarnRule[];
};

/**
 * The programme of a fresh installation: one point for each whole unit of the purchase's currency (10,000 for the rial), on
 * everything but gift cards, fees and points payments, rounded down per purchase; points never expire and never wait.
 */
export const FIRST_PROGRAMME: Programme = {
  version: 1,
  earnRules: [
    {
      id: 'base',
      version: 1,
      excludedKinds: ['gift-card', 'fee', 'points-payment'],
      rounding: 'floor',
      unitsPerPoint: { default: 1, IRR: 10_000 },
    },
  ],
};

/** The rate of a rule for a currency with `exponent` decimal digits in its minor unit (USD 2, IRR 0, KWD 3). */
export const rateOf = (rule: EarnRule, currency: string, exponent: number): Rate => [
  1,
  (rule.unitsPerPoint[currency] ?? rule.unitsPerPoint.default) * 10 ** exponent,
];
