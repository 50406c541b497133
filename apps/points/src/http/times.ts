import { canonicalInstant, parseInstant } from '@vafa/contracts';
import type { Clock } from '@vafa/service';
import { FUTURE_TOLERANCE_MINUTES } from '../application/claiming.js';
import type { Moment } from '../read-models/history.js';
import { parameterProblem } from './parameters.js';

/** Both times of a read of the ledger: the moment it speaks of, and up to when it knew. */
export type Times = { readonly asOf: string; readonly knownAt: string };

/** How far `knownAt` may be ahead of this machine's clock, since another replica may have given it. */
export const CLOCK_SKEW_SECONDS_MAX = 60;

const INSTANT = { type: 'string', format: 'date-time' };

/** The two times in OpenAPI. */
export const AS_OF = {
  name: 'asOf',
  required: false,
  schema: INSTANT,
  description: 'The moment to speak of, inclusive: what counted by then. Now by default.',
} as const;
export const KNOWN_AT = {
  name: 'knownAt',
  required: false,
  schema: INSTANT,
  description: 'By what had been recorded until then, inclusive. Now by default.',
} as const;

export type Asked = {
  readonly times: Times;
  /** What to read: `undefined` where nobody asked for a time, which is the ledger as it stands. */
  readonly moment: Moment | undefined;
};

/**
 * The two times of a request. Without them it speaks of the ledger as it stands; with only one of them, the other is now.
 * @throws ProblemException 400 for what is no RFC 3339 date and time, and for one that has not come yet.
 */
export const askedTimes = (asOf: unknown, knownAt: unknown, clock: Clock): Asked => {
  const business = clock.now();
  const system = Temporal.Now.instant();
  const of = instantOf('asOf', asOf) ?? business;
  const known = instantOf('knownAt', knownAt) ?? system;
  // A till may be ahead of the clock by so much, and its purchases are asked for as well.
  if (isAfter(of, business.add({ minutes: FUTURE_TOLERANCE_MINUTES })))
    throw parameterProblem('asOf', `must not be later than now, ${canonicalInstant(business)}`);
  if (isAfter(known, system.add({ seconds: CLOCK_SKEW_SECONDS_MAX })))
    throw parameterProblem('knownAt', `must not be later than now, ${canonicalInstant(system)}`);
  const times = { asOf: canonicalInstant(of), knownAt: canonicalInstant(isAfter(known, system) ? system : known) };
  return { times, moment: asOf === undefined && knownAt === undefined ? undefined : times };
};

const instantOf = (name: string, value: unknown): Temporal.Instant | undefined => {
  if (value === undefined) return undefined;
  const instant = typeof value === 'string' ? parseInstant(value) : undefined;
  // In a query `+` is a blank: the most likely slip.
  if (instant === undefined)
    throw parameterProblem(name, 'must be one RFC 3339 date and time with Z or an offset (+ written as %2B)');
  return instant;
};

const isAfter = (left: Temporal.Instant, right: Temporal.Instant): boolean => Temporal.Instant.compare(left, right) > 0;
