/** How many single-letter changes lead from one word to the other. */
export const distance = (from: string, to: string): number => {
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const replaced = (previous[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
};

/** The candidate most like the word, or nothing where none is near enough to be what was meant. */
export const nearest = (word: string, candidates: readonly string[]): string | undefined => {
  const folded = word.toLowerCase();
  const ranked = candidates
    .map((candidate) => ({ candidate, steps: distance(folded, candidate.toLowerCase()) }))
    .sort((left, right) => left.steps - right.steps);
  const best = ranked[0];
  if (best === undefined) return undefined;
  const within = candidates.find((candidate) => folded.length > 2 && candidate.toLowerCase().includes(folded));
  const allowed = Math.max(1, Math.floor(Math.max(word.length, best.candidate.length) / 3));
  return best.steps <= allowed ? best.candidate : within;
};

/** ` Did you mean …?`, or nothing. */
export const didYouMean = (word: string, candidates: readonly string[]): string => {
  const found = nearest(word, candidates);
  return found === undefined ? '' : ` Did you mean "${found}"?`;
};
