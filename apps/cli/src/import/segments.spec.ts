import { describe, expect, it } from '@jest/globals';
import { Segments, type Confirmed } from './segments.js';

describe('segments', () => {
  const rejection = (line: number) => ({ line, status: 'rejected' as const, reason: 'x', row: null });

  it('confirm the front of the file only, however the answers come', () => {
    const confirmed: Confirmed[] = [];
    const segments = new Segments((piece) => confirmed.push(piece));
    const rows = Array.from({ length: 3_500 }, (_, index) => segments.open(index + 2));
    for (const row of rows.slice(1_000, 2_000)) segments.settle(row);
    expect(confirmed).toEqual([]);
    for (const row of rows.slice(0, 1_000)) segments.settle(row);
    expect(confirmed.map(({ line, counts }) => [line, counts.rows])).toEqual([[2_001, 2_000]]);
    for (const row of rows.slice(3_000)) segments.settle(row);
    segments.finish();
    expect(confirmed).toHaveLength(1);
    for (const row of rows.slice(2_000, 3_000)) segments.settle(row);
    segments.finish();
    expect(confirmed.reduce((sum, { counts }) => sum + counts.rows, 0)).toBe(3_500);
    expect(confirmed.at(-1)?.line).toBe(3_501);
  });

  it('do not close the last one while it may grow', () => {
    const confirmed: Confirmed[] = [];
    const segments = new Segments((piece) => confirmed.push(piece));
    segments.settle(segments.open(2));
    expect(confirmed).toEqual([]);
    segments.settle(segments.open(3));
    segments.finish();
    expect(confirmed).toMatchObject([{ line: 3, counts: { rows: 2 } }]);
  });

  it('hand over rejections in the order of the file', () => {
    const confirmed: Confirmed[] = [];
    const segments = new Segments((piece) => confirmed.push(piece));
    const [first, second] = [segments.open(2), segments.open(3)];
    second.rejections.push(rejection(3));
    first.rejections.push(rejection(2));
    segments.settle(second);
    segments.settle(first);
    segments.finish();
    expect(confirmed.flatMap(({ rejections }) => rejections.map(({ line }) => line))).toEqual([2, 3]);
  });
});
