import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Deadlines } from './deadlines.js';
import { DeadlineExceededError } from './failures.js';

const DEADLINE_MS = 1_000;

describe('Deadlines', () => {
  let deadlines: Deadlines;
  beforeEach(() => {
    jest.useFakeTimers();
    deadlines = new Deadlines(DEADLINE_MS);
  });
  afterEach(() => {
    deadlines.close();
    jest.useRealTimers();
  });

  it('ends as the work ends', async () => {
    await expect(deadlines.within(Promise.resolve(7))).resolves.toBe(7);
    await expect(deadlines.within(Promise.reject(new Error('no')))).rejects.toThrow('no');
  });

  it('gives each up at its own time, and those that have ended not at all', async () => {
    const ended: string[] = [];
    const follow = (name: string, work: Promise<unknown>): void =>
      void deadlines.within(work).then(
        () => ended.push(name),
        (error: unknown) => ended.push(`${name}: ${error instanceof DeadlineExceededError}`),
      );
    const { promise: late, resolve } = Promise.withResolvers<void>();
    follow('first', new Promise(() => undefined));
    await jest.advanceTimersByTimeAsync(400);
    follow('second', late);
    follow('third', new Promise(() => undefined));
    await jest.advanceTimersByTimeAsync(599);
    expect(ended).toEqual([]);
    await jest.advanceTimersByTimeAsync(1);
    expect(ended).toEqual(['first: true']);
    resolve();
    await jest.advanceTimersByTimeAsync(399);
    expect(ended).toEqual(['first: true', 'second']);
    await jest.advanceTimersByTimeAsync(2);
    expect(ended).toEqual(['first: true', 'second', 'third: true']);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('has one timer for any number, which begins anew', async () => {
    const all = Array.from({ length: 100 }, () => deadlines.within(new Promise(() => undefined)));
    expect(jest.getTimerCount()).toBe(1);
    const given = Promise.allSettled(all);
    await jest.advanceTimersByTimeAsync(DEADLINE_MS + 1);
    expect((await given).every(({ status }) => status === 'rejected')).toBe(true);
    expect(jest.getTimerCount()).toBe(0);
    const again = expect(deadlines.within(new Promise(() => undefined))).rejects.toThrow('no answer within 1000 ms');
    await jest.advanceTimersByTimeAsync(DEADLINE_MS + 1);
    await again;
  });
});
