// What a purchase is worth and when two inputs are the same, written down a second time from the public description and
// not from the program: whoever changes the rules changes them here as well, by hand.
import { createHash } from 'node:crypto';

/** Decimal digits of minor units, where they are not two. */
const DIGITS = new Map(
  Object.entries({ IRR: 0, JPY: 0, KRW: 0, CLP: 0, VND: 0, ISK: 0, BHD: 3, IQD: 3, JOD: 3, KWD: 3, OMR: 3, TND: 3 }),
);
const EARNS_NOTHING = new Set(['gift-card', 'fee', 'points-payment']);
/** Purchases further ahead of the clock than this are refused. */
const FUTURE_MICROS = 60n * 60n * 1_000_000n;

/**
 * Points of a purchase under the programme of a fresh installation: one for each whole unit of the currency, 10,000 units for the rial,
 * nothing for gift cards, fees and what was paid with points.
 * @returns {bigint}
 */
export function pointsFor({ currency, lines }) {
  let money = 0n;
  for (const line of lines) if (!EARNS_NOTHING.has(line.kind)) money += BigInt(line.amount);
  if (money <= 0n) return 0n;
  const unit = 10n ** BigInt(DIGITS.get(currency) ?? 2);
  return money / (currency === 'IRR' ? unit * 10_000n : unit);
}

/** SHA-256 over the canonical JSON of the data, its member left out. */
export function contentHash(data) {
  const { member: _member, ...content } = data;
  return createHash('sha256').update(canonical(content)).digest('hex');
}

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const names = Object.keys(value).sort((a, b) => (a < b ? -1 : 1));
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`;
}

/** Microseconds since 1970 of an RFC 3339 text; finer parts are cut off. */
export function micros(text) {
  const nanos = Temporal.Instant.from(text).epochNanoseconds;
  return nanos >= 0n || nanos % 1000n === 0n ? nanos / 1000n : nanos / 1000n - 1n;
}

/** Whether a purchase that came in at one time says it happened too long after it. */
export const isAhead = (occurredMicros, receivedMicros) => occurredMicros > receivedMicros + FUTURE_MICROS;

/** The name of a purchase in this checker. */
export const keyOf = (source, purchaseId) => `${source} ${purchaseId}`;
