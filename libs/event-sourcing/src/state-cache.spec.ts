import { describe, expect, it } from '@jest/globals';
import { StateCache } from './state-cache.js';

describe('StateCache', () => {
  it('forgets what was used longest ago', () => {
    const cache = new StateCache<string>(2);
    cache.set('a', { revision: 0, state: 'a' });
    cache.set('b', { revision: 0, state: 'b' });
    cache.get('a');
    cache.set('c', { revision: 0, state: 'c' });
    expect(cache.get('b')).toBeUndefined();
    expect(cache.get('a')?.state).toBe('a');
    cache.set('c', { revision: 1, state: 'c1' });
    expect(cache.size).toBe(2);
    cache.delete('a');
    expect(cache.size).toBe(1);
    cache.clear();
    expect(cache.size).toBe(0);
  });

  it('holds nothing where it may hold nothing', () => {
    const cache = new StateCache<string>(0);
    cache.set('a', { revision: 0, state: 'a' });
    expect(cache.get('a')).toBeUndefined();
  });
});
