import { describe, expect, it } from '@jest/globals';
import { runInNewContext } from 'node:vm';
import { QueryRunnerAlreadyReleasedError } from 'typeorm';
import { isTransient } from './transient.js';

const withCode = (code: string): Error => Object.assign(new Error('failed'), { code });

describe('isTransient', () => {
  it.each(['08006', '57P01', '57P03', '53300', '40001', '40P01', 'ECONNRESET', 'ECONNREFUSED'])(
    'holds for %s',
    (code) => {
      expect(isTransient(withCode(code))).toBe(true);
    },
  );

  it.each(['23505', '42601', '22003', '57014', '42501'])('does not hold for %s', (code) => {
    expect(isTransient(withCode(code))).toBe(false);
  });

  it('looks into what wraps the driver’s error', () => {
    expect(isTransient(Object.assign(new Error('QueryFailedError'), { driverError: withCode('57P01') }))).toBe(true);
    expect(isTransient(new Error('append', { cause: withCode('ECONNRESET') }))).toBe(true);
    expect(isTransient(new AggregateError([withCode('ECONNREFUSED')]))).toBe(true);
  });

  it('knows errors of another realm', () => {
    expect(isTransient(runInNewContext(`Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })`))).toBe(true);
  });

  it('knows the driver’s words', () => {
    expect(isTransient(new Error('Connection terminated unexpectedly'))).toBe(true);
    expect(isTransient(new QueryRunnerAlreadyReleasedError())).toBe(true);
    expect(isTransient('a string')).toBe(false);
  });
});
