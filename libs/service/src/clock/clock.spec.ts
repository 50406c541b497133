import { describe, expect, it } from '@jest/globals';
import { silentLogger } from '../logger.js';
import { FixedClock } from './clock.js';
import { DatabaseClock } from './database-clock.js';

const hours = (count: number): Temporal.Duration => Temporal.Duration.from({ hours: count });

describe('a fixed clock', () => {
  it('stands still unless moved, and never goes back', async () => {
    const clock = new FixedClock('2026-01-01T00:00:00Z');
    expect(clock.now().toString()).toBe('2026-01-01T00:00:00Z');
    expect((await clock.advance(hours(36))).toString()).toBe('2026-01-02T12:00:00Z');
    expect((await clock.set(Temporal.Instant.from('2026-02-01T00:00:00Z'))).toString()).toBe('2026-02-01T00:00:00Z');
    await expect(clock.advance(hours(-1))).rejects.toMatchObject({ reason: 'backwards' });
    await expect(clock.set(Temporal.Instant.from('2026-01-31T00:00:00Z'))).rejects.toMatchObject({
      reason: 'backwards',
    });
    await expect(clock.advance(hours(1_000_000))).rejects.toMatchObject({ reason: 'too-far' });
  });
});

describe('the clock in the database', () => {
  it('refuses to be moved in production', async () => {
    const statements: string[] = [];
    const query = async <Row>(sql: string): Promise<Row[]> => {
      statements.push(sql);
      return [{ offset_ms: 0 } as Row];
    };
    const clock = await DatabaseClock.open({ database: { query }, production: true, logger: silentLogger() });
    await expect(clock.advance(hours(1))).rejects.toMatchObject({ reason: 'production' });
    clock.close();
    expect(statements).toEqual(['select offset_ms from service.clock']);
  });
});
