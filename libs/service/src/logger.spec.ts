import { describe, expect, it } from '@jest/globals';
import { createLogger, readableLine } from './logger.js';

const logged = (write: (logger: ReturnType<typeof createLogger>) => void): Record<string, unknown> => {
  const lines: string[] = [];
  write(createLogger({ name: 'points', level: 'debug', destination: { write: (line) => void lines.push(line) } }));
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0] ?? '') as Record<string, unknown>;
};

const JWT = 'eyJhbGciOiJFUzI1NiJ9.eyJyb2xlIjoiYWRtaW4ifQ.c2ln';

describe('the logger', () => {
  it('writes JSON with level, service and time', () => {
    const line = logged((logger) => logger.info({ purchaseId: '1' }, 'taken'));
    expect(line).toMatchObject({ level: 'info', service: 'points', purchaseId: '1', msg: 'taken' });
    expect(line['time']).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  });

  it('hides secrets and personal data, wherever they stand', () => {
    const line = logged((logger) =>
      logger.warn(
        {
          headers: { Authorization: `Bearer ${JWT}`, 'set-cookie': 'a=b' },
          deep: [{ member: 'phone:+989121234567', first_name: 'Sara' }],
          url: 'postgresql://vafa:hunter2@db/vafa',
          err: Object.assign(new Error('key (reference)=(email:sara@example.org)'), { detail: 'phone:+98912' }),
        },
        `token ${JWT} of sara@example.org`,
      ),
    );
    const text = JSON.stringify(line);
    for (const secret of [JWT, 'hunter2', '912', 'Sara', 'sara', 'a=b']) expect(text).not.toContain(secret);
    expect(text).toContain('postgresql://vafa:[hidden]@db/vafa');
  });

  it('keeps what an error is, and its cause', () => {
    const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    const { err } = logged((logger) => logger.error({ err: new Error('away', { cause }) }));
    expect(err).toMatchObject({ type: 'Error', message: 'away', cause: { message: 'refused', code: 'ECONNREFUSED' } });
  });

  it('cuts what is deep, long or binary', () => {
    const circular: Record<string, unknown> = { many: Array.from({ length: 500 }, () => 1), bytes: Buffer.alloc(9) };
    circular['self'] = circular;
    const line = logged((logger) => logger.info(circular));
    expect(line).toMatchObject({ bytes: '[9 bytes]' });
    expect(line['many']).toHaveLength(50);
  });

  it('is short and readable on a terminal', () => {
    const line = { time: '2026-11-21T10:15:00.000Z', level: 'warn', service: 'points', msg: 'late', lag: 7 };
    const plain = readableLine(JSON.stringify(line)).replaceAll(String.fromCharCode(27), '');
    expect(plain).toBe('10:15:00 [33mwarn [0m points late lag=7');
  });
});
