import { describe, expect, it } from '@jest/globals';
import { spread } from './results.mjs';

describe('spread', () => {
  it.each([
    [[7], { min: 7, median: 7, max: 7, runs: 1 }],
    [[9, 1, 5], { min: 1, median: 5, max: 9, runs: 3 }],
    [[4, 1], { min: 1, median: 2.5, max: 4, runs: 2 }],
    [[0.3, 0.1, 0.9, 0.2], { min: 0.1, median: 0.25, max: 0.9, runs: 4 }],
  ])('of %j', (figures, expected) => expect(spread(figures)).toEqual(expected));
});
