/**
 * Orders two canonical UTC instants (`2026-11-21T10:15:00Z`, with any number of decimals or none).
 * Without the `Z` their text order is their time order: digits align, and a shorter fraction is a prefix of a longer one.
 */
export const compareInstants = (left: string, right: string): number => {
  const [a, b] = [left.slice(0, -1), right.slice(0, -1)];
  return a < b ? -1 : a > b ? 1 : 0;
};

/** The later of two canonical instants; `null` is before everything. */
export const laterOf = (instant: string, other: string | null): string =>
  other !== null && compareInstants(other, instant) > 0 ? other : instant;
