import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runPoints, type RunningPoints } from './running-points.js';

let club: RunningPoints;

beforeAll(async () => {
  club = await runPoints('2026-06-10T12:00:00Z', { VAFA_ZONE: 'Asia/Tehran', VAFA_CALENDAR: 'persian' });
});
afterAll(() => club.close());

type Closing = { period: string; start?: string | null; end: string; knownAt: string; closedAt: string };
type Role = 'finance' | 'support' | 'service' | 'cashier';

const close = (period: string, as: Role = 'finance') =>
  club.points.call<Closing>('POST', `/v1/periods/${period}/close`, { as });
const list = (query = '') =>
  club.points.call<{ items: Closing[]; next: string | null }>('GET', `/v1/periods${query}`, { as: 'finance' });

describe('closing a period', () => {
  it('closes it with every one before it, once', async () => {
    const memberId = await club.enrol();
    const { known } = await club.buy(memberId, 10, '2026-03-25T10:00:00Z');
    const closed = await close('1405-01');
    expect(closed).toMatchObject({ status: 200, body: { period: '1405-01', end: '2026-04-20T20:30:00Z' } });
    expect(Temporal.Instant.compare(closed.body.knownAt, known)).toBeGreaterThanOrEqual(0);
    expect((await close('1405-01')).body).toEqual(closed.body);
    expect((await close('1404-12')).body).toEqual(closed.body);
    const next = await close('1405-02');
    expect(Temporal.Instant.compare(next.body.knownAt, closed.body.knownAt)).toBeGreaterThan(0);
    expect((await list()).body).toEqual({
      zone: 'Asia/Tehran',
      calendar: 'persian',
      items: [
        { ...next.body, start: closed.body.end },
        { ...closed.body, start: null },
      ],
      next: null,
    });
    const page = await list('?limit=1');
    expect(page.body.items.map(({ period }) => period)).toEqual(['1405-02']);
    expect((await list(`?limit=1&after=${page.body.next}`)).body.items.map(({ period }) => period)).toEqual([
      '1405-01',
    ]);
  });

  it('stands in the audit, once', async () => {
    await close('1405-01');
    const { entries } = await club.points.context.audit.list({ action: 'periods.closed', limit: 10 });
    expect(entries.filter(({ subject }) => subject === 'period:1405-01')).toHaveLength(1);
  });

  it('is refused for a month that is not over, and for what is none', async () => {
    expect(await close('1405-03')).toMatchObject({
      status: 409,
      body: { type: '/problems/period-not-over', end: '2026-06-21T20:30:00Z' },
    });
    for (const name of ['1405-13', '2026-05-01', 'last']) expect((await close(name)).status).toBe(400);
  });

  it('is for finance and admins only', async () => {
    for (const role of ['support', 'service', 'cashier'] as const)
      expect((await close('1405-01', role)).status).toBe(403);
    expect((await club.points.call('GET', '/v1/periods', { as: 'support' })).status).toBe(200);
    expect((await club.points.call('GET', '/v1/periods', { as: 'cashier' })).status).toBe(403);
  });
});
