import { compareInstants } from './instant.js';

/** Points of one origin: what is left of them, from when they may be spent and until when (`null`: for ever). */
export type Lot = {
  readonly lotId: string;
  readonly remaining: number;
  readonly availableAt: string;
  readonly expiresAt: string | null;
};

/** Points that a movement took out of a lot. Recorded because it was decided: no later rule of allocation changes it. */
export type LotDraw = { readonly lotId: string; readonly amount: number };

/** The order in which lots are spent: soonest expiry first, never-expiring last, then the oldest, then by id. */
export const compareLots = (one: Lot, other: Lot): number => {
  if (one.expiresAt !== other.expiresAt) {
    if (one.expiresAt === null) return 1;
    if (other.expiresAt === null) return -1;
    return compareInstants(one.expiresAt, other.expiresAt);
  }
  return compareInstants(one.availableAt, other.availableAt) || (one.lotId < other.lotId ? -1 : 1);
};

/** Whether a lot may be spent at this moment, by the clocks and not by whether somebody has noted its beginning or end yet. */
export const isAvailable = (lot: Lot, at: string): boolean =>
  compareInstants(lot.availableAt, at) <= 0 && (lot.expiresAt === null || compareInstants(lot.expiresAt, at) > 0);

/** Takes up to `amount` out of lots, in the order given. */
export const drawFrom = (lots: readonly Lot[], amount: number): LotDraw[] => {
  const draws: LotDraw[] = [];
  let left = amount;
  for (const { lotId, remaining } of lots) {
    if (left === 0) break;
    const drawn = Math.min(left, remaining);
    if (drawn > 0) draws.push({ lotId, amount: drawn });
    left -= drawn;
  }
  return draws;
};

/** The lots after draws; one with nothing left is gone, so that an account holds no more than what is open. @throws where the stream is corrupt. */
export const afterDraws = (lots: readonly Lot[], draws: readonly LotDraw[]): readonly Lot[] => {
  if (draws.length === 0) return lots;
  const drawn = new Map(draws.map(({ lotId, amount }) => [lotId, amount]));
  const left = lots.flatMap((lot) => {
    const amount = drawn.get(lot.lotId);
    if (amount === undefined) return [lot];
    drawn.delete(lot.lotId);
    if (amount > lot.remaining)
      throw new Error(`Lot ${lot.lotId} has ${lot.remaining} points, and ${amount} are drawn.`);
    return amount === lot.remaining ? [] : [{ ...lot, remaining: lot.remaining - amount }];
  });
  const [missing] = drawn.keys();
  if (missing !== undefined) throw new Error(`Points are drawn from lot ${missing}, which is not open.`);
  return left;
};

export const sumOfDraws = (draws: readonly LotDraw[]): number => draws.reduce((sum, draw) => sum + draw.amount, 0);
