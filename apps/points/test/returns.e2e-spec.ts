import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { messageOf } from '@vafa/contracts';
import { eventually } from '@vafa/testing';
import { uuidv7 } from 'uuidv7';
import { runPoints, type RunningPoints } from './running-points.js';

let club: RunningPoints;

beforeAll(async () => {
  club = await runPoints('2026-06-01T12:00:00Z');
});
afterAll(() => club.close());

const WAIT = { prefer: 'wait=20' };

const envelope = <const Type extends string, Data>(type: Type, data: Data) => ({
  specversion: '1.0' as const,
  id: uuidv7(),
  source: '/till',
  type,
  data,
});

const bought = (memberId: string) => ({
  purchaseId: uuidv7(),
  member: `member:${memberId}`,
  occurredAt: '2026-05-01T10:00:00Z',
  currency: 'EUR',
  lines: [
    { lineId: '1', amount: 1_050, quantity: '3' },
    { lineId: '2', amount: 480 },
  ],
  total: 1_530,
});

const returned = (purchaseId: string, changes: object = { whole: true }) => ({
  returnId: uuidv7(),
  purchaseId,
  member: null,
  occurredAt: '2026-05-04T10:00:00Z',
  ...changes,
});

type Outcome = { status: string; points: number; transactionId: string; returnId: string; reason: string | null };

const give = (data: object) =>
  club.points.call<Outcome>('POST', '/v1/returns', {
    body: envelope('commerce.purchase.returned', data),
    headers: WAIT,
  });

const buy = async (memberId: string) => {
  const data = bought(memberId);
  const body = envelope('commerce.purchase.completed', data);
  const answer = await club.points.call<Outcome>('POST', '/v1/purchases', { body, headers: WAIT });
  expect(answer.body).toMatchObject({ status: 'taken', points: 15 });
  return data;
};

describe('a return over HTTP', () => {
  it('is taken, explained in three languages, and shown with its purchase', async () => {
    const memberId = await club.enrol();
    const { purchaseId } = await buy(memberId);
    const data = returned(purchaseId, { lines: [{ lineId: '1', quantity: '2' }] });
    const taken = await give(data);
    expect(taken.status).toBe(200);
    expect(taken.body).toMatchObject({ status: 'taken', points: -7, returnId: data.returnId, reason: null });
    expect((await give(data)).body).toEqual(taken.body);
    expect((await club.read(memberId, '')).body).toMatchObject({ balance: 8, available: 8, debt: 0 });
    // As it was between the two.
    expect((await club.read(memberId, '?asOf=2026-05-02T00:00:00Z')).body).toMatchObject({ balance: 15 });
    expect((await club.read(memberId, '/lots?asOf=2026-05-02T00:00:00Z')).body).toMatchObject({
      items: [{ amount: 15, remaining: 15 }],
    });
    expect((await club.read(memberId, '/lots')).body).toMatchObject({ items: [{ amount: 15, remaining: 8 }] });
    const path = `/transactions/${taken.body.transactionId}/explanation`;
    const sentence = async (language: string) => {
      const { body } = await club.read<{ sentences: string[] }>(memberId, path, { 'accept-language': language });
      return body.sentences;
    };
    expect(await sentence('en')).toEqual([
      `7 points back for purchase ${purchaseId}: €8.30 of €15.30 are kept, and keep what they earned.`,
    ]);
    expect((await sentence('fa'))[0]).toContain('۷ امتیاز');
    expect((await sentence('ar'))[0]).toContain('٧ نقاط');
    const found = await club.points.call('GET', `/v1/purchases?source=/till&purchaseId=${purchaseId}`);
    expect(found.body).toMatchObject({
      status: 'taken',
      points: 15,
      returned: 700,
      returns: [{ returnId: data.returnId, status: 'taken', amount: 700, points: -7 }],
    });
    const own = await club.points.call<Outcome>('GET', `/v1/returns?source=/till&returnId=${data.returnId}`);
    expect(own.body).toEqual(taken.body);
  });

  it('is refused with what is left, and waits for a purchase that is not there', async () => {
    const { purchaseId } = await buy(await club.enrol());
    const tooMuch = await give(returned(purchaseId, { lines: [{ lineId: '2', amount: 481 }] }));
    expect(tooMuch.body).toMatchObject({ status: 'refused', reason: 'more-than-left: line 2 has 480 left' });
    expect((await give(returned(uuidv7()))).body).toMatchObject({ status: 'waiting', reason: 'unknown-purchase' });
  });

  it('is not valid with a line that says neither money nor how much of it', async () => {
    const answer = await give(returned(uuidv7(), { lines: [{ lineId: '1' }] }));
    expect(answer.status).toBe(422);
  });

  it('comes in many at once', async () => {
    const memberId = await club.enrol();
    const purchases = [await buy(memberId), await buy(memberId)];
    const body = purchases.map(({ purchaseId }) => envelope('commerce.purchase.returned', returned(purchaseId)));
    const answer = await club.points.call<{ results: Outcome[] }>('POST', '/v1/returns/batch', { body, headers: WAIT });
    expect(answer.status).toBe(200);
    expect(answer.body.results.map(({ status, points }) => [status, points])).toEqual([
      ['taken', -15],
      ['taken', -15],
    ]);
  });
});

describe('a return on the bus', () => {
  it('keeps its place among the purchases of its key, and is told of', async () => {
    const memberId = await club.enrol();
    const { bus, database } = club.points.context;
    const member = `member:${memberId}`;
    const purchases = Array.from({ length: 12 }, () => bought(memberId));
    const messages = purchases.flatMap((data) => [
      messageOf(envelope('commerce.purchase.completed', data)),
      messageOf(
        envelope('commerce.purchase.returned', { ...returned(data.purchaseId, { whole: true as const }), member }),
      ),
    ]);
    await bus.publish(messages);
    await eventually(async () => {
      const { body } = await club.read<{ items: { kind: string }[] }>(memberId, '/transactions?limit=50');
      expect(body.items.filter(({ kind }) => kind === 'reversed')).toHaveLength(12);
    });
    expect((await club.read(memberId, '')).body).toMatchObject({ balance: 0, available: 0, debt: 0 });
    const rows = await database.query<{ value: Buffer }>(
      `select value from messaging.log where topic = (select id from messaging.topics where name = 'loyalty.points') and key = $1`,
      [memberId],
    );
    const types = rows.map(({ value }) => (JSON.parse(value.toString('utf8')) as { type: string }).type);
    // None waited: each purchase was there before its return.
    expect(types.filter((type) => type === 'loyalty.return.waiting')).toEqual([]);
    expect(types.filter((type) => type === 'loyalty.return.accepted')).toHaveLength(12);
    expect(types.filter((type) => type === 'loyalty.points.reversed')).toHaveLength(12);
  });
});
