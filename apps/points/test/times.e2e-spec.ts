import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { uuidv7 } from 'uuidv7';
import { runPoints, type RunningPoints } from './running-points.js';

const NOW = '2026-06-10T12:00:00Z';

let club: RunningPoints;

beforeAll(async () => {
  club = await runPoints(NOW);
});
afterAll(() => club.close());

const at = (asOf?: string, knownAt?: string): string =>
  `?${new URLSearchParams({ ...(asOf && { asOf }), ...(knownAt && { knownAt }) }).toString()}`;

describe('a read of the ledger at two times', () => {
  it('answers with what counted then, by what was known then', async () => {
    const memberId = await club.enrol();
    const march = await club.buy(memberId, 10, '2026-03-05T10:00:00Z');
    const april = await club.buy(memberId, 20, '2026-04-05T10:00:00Z');
    // Late: it counts from the account's own time on, which never goes back.
    const late = await club.buy(memberId, 5, '2026-03-20T10:00:00Z');
    const balances: [string | undefined, string | undefined, number][] = [
      [undefined, undefined, 35],
      ['2026-03-05T09:59:59Z', undefined, 0],
      ['2026-03-05T10:00:00Z', undefined, 10],
      ['2026-03-31T23:59:59.999999Z', undefined, 10],
      ['2026-04-05T12:00:00+02:00', undefined, 35],
      [undefined, march.known, 10],
      [undefined, april.known, 30],
      ['2026-03-31T00:00:00Z', april.known, 10],
      [undefined, late.known, 35],
      [undefined, '2026-01-01T00:00:00Z', 0],
    ];
    for (const [asOf, knownAt, balance] of balances) {
      const answer = await club.read(memberId, at(asOf, knownAt));
      expect(answer).toMatchObject({
        status: 200,
        body: { balance, available: balance, pending: 0, held: 0, debt: 0 },
      });
    }
  });

  it('says both times, as they were understood', async () => {
    const memberId = await club.enrol();
    await club.buy(memberId, 1, '2026-03-05T10:00:00Z');
    const both = await club.read(memberId, at('2026-04-01T02:30:00.50+03:30', '2026-05-01T00:00:00Z'));
    expect(both.body).toMatchObject({ asOf: '2026-03-31T23:00:00.5Z', knownAt: '2026-05-01T00:00:00Z' });
    const neither = await club.read<{ asOf: string; knownAt: string }>(memberId, '');
    expect(neither.body.asOf).toBe(NOW);
    expect(Math.abs(Temporal.Now.instant().since(neither.body.knownAt).total('minutes'))).toBeLessThan(10);
  });

  it('lists the lots and the transactions of then, page by page', async () => {
    const memberId = await club.enrol();
    for (const day of [1, 2, 3, 4, 5]) await club.buy(memberId, day, `2026-03-0${day}T10:00:00Z`);
    for (const list of ['lots', 'transactions']) {
      const amounts: number[] = [];
      let next: string | null = '';
      while (next !== null) {
        const path: string = `/${list}${at('2026-03-04T00:00:00Z')}&limit=2${next && `&after=${next}`}`;
        const { body } = await club.read<{ items: { amount: number }[]; next: string | null; asOf: string }>(
          memberId,
          path,
        );
        expect(body.asOf).toBe('2026-03-04T00:00:00Z');
        amounts.push(...body.items.map(({ amount }) => amount));
        next = body.next;
      }
      expect(amounts.toSorted()).toEqual([1, 2, 3]);
    }
  });

  it('knows no transaction that was not there yet', async () => {
    const memberId = await club.enrol();
    const { id } = await club.buy(memberId, 7, '2026-03-05T10:00:00Z');
    const path = `/transactions/${id}/explanation`;
    expect((await club.read(memberId, `${path}${at('2026-03-05T10:00:00Z')}`)).body).toMatchObject({
      transaction: { transactionId: id, amount: 7 },
      asOf: '2026-03-05T10:00:00Z',
    });
    expect((await club.read(memberId, `${path}${at('2026-03-05T09:00:00Z')}`)).status).toBe(404);
  });

  it('refuses what is no instant, and what has not come yet', async () => {
    const memberId = await club.enrol();
    await club.buy(memberId, 1, '2026-03-05T10:00:00Z');
    const refused: [string, string][] = [
      ['asOf=2026-03-05', '/asOf'],
      ['asOf=yesterday', '/asOf'],
      ['asOf=2026-03-05T10:00:00', '/asOf'],
      ['asOf=2026-03-05T10:00:00Z&asOf=2026-03-06T10:00:00Z', '/asOf'],
      ['asOf=2026-06-10T13:00:01Z', '/asOf'],
      ['knownAt=', '/knownAt'],
      ['knownAt=2026-02-30T00:00:00Z', '/knownAt'],
      [`knownAt=${Temporal.Now.instant().add({ hours: 1 }).toString()}`, '/knownAt'],
    ];
    for (const path of ['', '/lots', '/transactions', `/transactions/${uuidv7()}/explanation`])
      for (const [query, pointer] of refused)
        expect(await club.read(memberId, `${path}?${query}`)).toMatchObject({
          status: 400,
          body: { errors: [{ in: 'query', pointer }] },
        });
    // A till may be ahead of the clock by an hour.
    expect((await club.read(memberId, at('2026-06-10T13:00:00Z'))).status).toBe(200);
  });
});
