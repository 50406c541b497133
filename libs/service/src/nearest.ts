/** The candidate with the fewest letters to insert, remove or change, if that is at most `distanceMax`. */
export const nearest = (name: string, candidates: readonly string[], distanceMax: number): string | null => {
  let best: string | null = null;
  let bestDistance = distanceMax + 1;
  for (const candidate of candidates) {
    const distance = editDistance(name, candidate);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
};

/** How many letters to insert, remove, change or swap with a neighbour to make one word the other. */
export const editDistance = (one: string, other: string): number => {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let row = 1; row <= one.length; row++) {
    const current = [row];
    for (let column = 1; column <= other.length; column++) {
      const same = one[row - 1] === other[column - 1];
      const swapped = row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      const distance = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (same ? 0 : 1),
        swapped ? (beforePrevious[column - 2] ?? 0) + 1 : Infinity,
      );
      current.push(distance);
    }
    [beforePrevious, previous] = [previous, current];
  }
  return previous[other.length] ?? 0;
};
