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

/**
 * Lines of a purchase with the money of what was kept of them. The share of a quantity depends on what came back before it.
 * @param {object[]} returned the data of its returns, in their order
 * @param {(detail: string) => void} [tooMuch] told where a line gave back more than there was
 */
export function keptOf(lines, returned, tooMuch = () => undefined) {
  const kept = new Map(
    lines.map(({ lineId, amount, quantity = '1' }) => [
      lineId,
      { money: BigInt(amount), pieces: millionths(quantity) },
    ]),
  );
  for (const { whole, lines: back = [] } of returned) {
    if (whole === true) for (const line of kept.values()) line.money = line.pieces = 0n;
    for (const line of back) giveBack(kept.get(line.lineId), line, tooMuch);
  }
  return lines.map((line) => ({ ...line, amount: kept.get(line.lineId).money }));
}

/** Takes the money that a return names off a line, or else the share of its pieces in what is kept, rounded down. */
function giveBack(kept, { lineId, amount, quantity = '0' }, tooMuch) {
  const pieces = millionths(quantity);
  const share = kept.pieces === 0n ? 0n : (kept.money * pieces) / kept.pieces;
  kept.money -= amount === undefined ? share : BigInt(amount);
  kept.pieces -= pieces;
  if (kept.money < 0n) tooMuch(`line ${lineId} gave ${-kept.money} more back than it cost`);
  if (kept.pieces < 0n) tooMuch(`line ${lineId} gave ${-kept.pieces} millionths more back than there were`);
}

/** A decimal text of up to six digits behind its point as a whole number. */
function millionths(text) {
  const [whole, fraction = ''] = text.split('.');
  return BigInt(whole) * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
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
