import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Generation } from './kafka-membership.js';

const SESSION_TIMEOUT_MS = 6_000;

let nowMs = 0;
const failure = (type: string): Error => Object.assign(new Error(type), { type });
const joined = (): Generation => new Generation(1, SESSION_TIMEOUT_MS, { orders: [0, 2] });

beforeEach(() => {
  jest.spyOn(performance, 'now').mockImplementation(() => nowMs);
});

afterEach(() => {
  jest.restoreAllMocks();
});

describe('Generation', () => {
  it('knows its partitions', () => {
    expect([0, 1, 2].map((partition) => joined().has('orders', partition))).toEqual([true, false, true]);
    expect(joined().has('others', 0)).toBe(false);
  });

  it('is stale after a silence as long as the session', () => {
    const generation = joined();
    nowMs += SESSION_TIMEOUT_MS + 1;
    expect(generation.isStale()).toBe(true);
  });

  it('stays a member while the group gathers, as long as it is heard of, and begins nothing', () => {
    const generation = joined();
    for (let beat = 0; beat < 20; beat++) {
      nowMs += 1_000;
      expect(generation.failed(failure('REBALANCE_IN_PROGRESS'))).toBe(true);
    }
    expect([generation.signal.aborted, generation.isStale(), generation.isMember()]).toEqual([true, false, true]);
    expect(generation.reason).toMatchObject({ type: 'REBALANCE_IN_PROGRESS' });
  });

  it.each(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'FENCED_INSTANCE_ID'])('is lost by %s', (type) => {
    const generation = joined();
    expect(generation.failed(failure(type))).toBe(true);
    expect([generation.isStale(), generation.isLost(), generation.isMember()]).toEqual([true, true, false]);
  });

  it('goes on through errors that say nothing of the group', () => {
    const generation = joined();
    expect(generation.failed(failure('REQUEST_TIMED_OUT'))).toBe(false);
    expect([generation.signal.aborted, generation.isMember()]).toEqual([false, true]);
  });

  it('is lost where the client has joined anew beside it, and has nothing to tell it', () => {
    const generation = joined();
    generation.replace();
    expect([generation.signal.aborted, generation.isStale(), generation.isLost()]).toEqual([true, true, true]);
    expect(generation.reason).toBeUndefined();
  });
});
