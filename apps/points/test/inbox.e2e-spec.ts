import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { outgoingEvent } from '@vafa/contracts';
import { enqueueEvents } from '@vafa/messaging';
import { createTestDatabase, eventually, startTestService, type TestDatabase, type TestService } from '@vafa/testing';
import { uuidv7 } from 'uuidv7';
import type { PointsConfig } from '../src/config.js';
import { pointsService } from '../src/index.js';

let database: TestDatabase;
let points: TestService<PointsConfig>;

beforeAll(async () => {
  database = await createTestDatabase();
  points = await startTestService(pointsService, { url: database.url, adapters: 'postgres' });
});
afterAll(async () => {
  await points.close();
  await database.drop();
});

/** Tells of an enrolment as members does, and answers once points knows of it. */
const enrol = async (): Promise<string> => {
  const memberId = uuidv7();
  const data = { memberId, externalId: memberId, card: null, enrolledAt: '2026-01-01T00:00:00Z', source: null };
  const { bus, database: own } = points.context;
  const parts = { type: 'loyalty.member.enrolled', id: memberId, source: '/test', key: memberId, data } as const;
  const enrolled = outgoingEvent({ ...parts, time: Temporal.Now.instant() });
  await own.transaction((work) => enqueueEvents(work, bus, [enrolled]));
  await eventually(async () => expect((await points.call('GET', `/v1/members/${memberId}/points`)).status).toBe(200));
  return memberId;
};

const purchase = (member: string | null, changes: object = {}) => ({
  purchaseId: uuidv7(),
  member,
  occurredAt: '2026-05-01T10:00:00Z',
  currency: 'EUR',
  lines: [{ lineId: '1', amount: 1_500 }],
  total: 1_500,
  ...changes,
});

const send = (data: object) =>
  points.call('POST', '/v1/purchases', {
    headers: { prefer: 'wait=20' },
    body: { specversion: '1.0', id: uuidv7(), source: '/till', type: 'commerce.purchase.completed', data },
  });

const sendReturn = (data: object) =>
  points.call('POST', '/v1/returns', {
    headers: { prefer: 'wait=20' },
    body: { specversion: '1.0', id: uuidv7(), source: '/till', type: 'commerce.purchase.returned', data },
  });

type View = { id: string; status: string; [name: string]: unknown };
type Page = { items: View[]; next: string | null };

const list = async (query: string): Promise<View[]> =>
  (await points.call<Page>('GET', `/v1/inbox?limit=500&${query}`, { as: 'support' })).body.items;

const itemOf = async (number: string, status: string): Promise<View> => {
  const found = (await list(`status=${status}`)).find((item) => (item['returnId'] ?? item['purchaseId']) === number);
  if (found === undefined) throw new Error('there is no item');
  return found;
};

const act = (item: View, action: string, body: object = {}, as: 'support' | 'admin' = 'support') =>
  points.call<View>('POST', `/v1/inbox/${item.id}/${action}`, { as, body: { reason: 'seen with the shop', ...body } });

describe('the inbox over HTTP', () => {
  it('gives a waiting purchase to a member, tells whoever comes later, and shows who, when and why', async () => {
    const memberId = await enrol();
    const data = purchase(`external:${uuidv7()}`);
    await send(data);
    const item = await itemOf(data.purchaseId, 'waiting');
    expect(item).toMatchObject({ kind: 'purchase', source: '/till', reason: 'unknown-member', member: data.member });
    const attached = await act(item, 'attach', { member: `external:${memberId}` });
    expect(attached).toMatchObject({
      status: 200,
      body: {
        status: 'settled',
        actions: [],
        settlement: {
          action: 'attach',
          target: memberId,
          reason: 'seen with the shop',
          finishedAt: expect.any(String),
        },
      },
    });
    // The points are in the ledger; the read models show them a moment later.
    const shown = await eventually(async () => {
      const { body } = await points.call<View>('GET', `/v1/inbox/${item.id}`, { as: 'support' });
      expect(body).toMatchObject({ status: 'settled', outcome: { status: 'taken', memberId, points: 15 } });
      return body;
    });
    expect((await act(item, 'attach', { member: `member:${memberId}` })).body).toEqual(shown);
    expect(await act(item, 'discard', {}, 'admin')).toMatchObject({
      status: 409,
      body: { type: '/problems/already-settled', settlement: { action: 'attach' } },
    });
    expect(await list('kind=purchase&reason=unknown-member')).not.toContainEqual(item);
  });

  it('shows both contents of a conflict and lets what stands stay', async () => {
    const memberId = await enrol();
    const data = purchase(`member:${memberId}`);
    await send(data);
    await send({ ...data, lines: [{ lineId: '1', amount: 900 }], total: 900 });
    const item = await itemOf(data.purchaseId, 'conflict');
    const shown = await points.call<View>('GET', `/v1/inbox/${item.id}`, { as: 'auditor' });
    expect(shown.body).toMatchObject({
      reason: 'other-content',
      content: { total: 900 },
      standing: { member: data.member, content: { total: 1_500 } },
      differences: [
        { pointer: '/lines/0/amount', standing: 1_500, other: 900 },
        { pointer: '/total', standing: 1_500, other: 900 },
      ],
    });
    expect(await act(item, 'keep')).toMatchObject({ status: 200, body: { status: 'settled', replacement: null } });
  });

  it('has another content count instead, with what came back, which is read like any other purchase', async () => {
    const memberId = await enrol();
    const data = purchase(`member:${memberId}`);
    await send(data);
    const { purchaseId, member, occurredAt } = data;
    await sendReturn({ returnId: uuidv7(), purchaseId, member, occurredAt, lines: [{ lineId: '1', amount: 500 }] });
    await send({ ...data, lines: [{ lineId: '1', amount: 900 }], total: 900 });
    const item = await itemOf(purchaseId, 'conflict');
    const { body } = await act(item, 'replace');
    const replacement = body['replacement'] as { purchaseId: string };
    const read = (id: string) =>
      points.call('GET', `/v1/purchases?source=/till&purchaseId=${encodeURIComponent(id)}`, { as: 'support' });
    await eventually(async () =>
      expect(await read(replacement.purchaseId)).toMatchObject({
        status: 200,
        body: { status: 'taken', points: 9, returned: 500, returns: [{ status: 'taken', amount: 500, points: -5 }] },
      }),
    );
    expect(await read(purchaseId)).toMatchObject({ status: 200, body: { reason: 'replaced', returned: 1_500 } });
  });

  it('says what to do instead where a return should be replaced', async () => {
    const memberId = await enrol();
    const data = purchase(`member:${memberId}`);
    await send(data);
    const { purchaseId, member, occurredAt } = data;
    const returned = { returnId: uuidv7(), purchaseId, member, occurredAt };
    await sendReturn({ ...returned, lines: [{ lineId: '1', amount: 500 }] });
    await sendReturn({ ...returned, whole: true });
    const item = await itemOf(returned.returnId, 'conflict');
    expect(await act(item, 'replace')).toMatchObject({
      status: 409,
      body: { actions: ['keep'], detail: expect.stringContaining('as a return with an id of its own') },
    });
    expect(await act(item, 'keep')).toMatchObject({ status: 200, body: { outcome: { status: 'taken', points: -5 } } });
    const rest = await sendReturn({ ...returned, returnId: uuidv7(), whole: true });
    expect(rest).toMatchObject({ status: 200, body: { status: 'taken', points: -10 } });
  });

  it('takes no decision without a reason, of no sense, or from whoever may only look', async () => {
    const data = purchase(`external:${uuidv7()}`);
    await send(data);
    const item = await itemOf(data.purchaseId, 'waiting');
    expect(await act(item, 'discard', { reason: '' })).toMatchObject({
      status: 422,
      body: { errors: expect.arrayContaining([expect.objectContaining({ pointer: '/reason' })]) },
    });
    for (const none of [{}, { member: null }])
      expect(await act(item, 'attach', none)).toMatchObject({
        status: 422,
        body: { errors: [{ pointer: '/member' }] },
      });
    expect(await act(item, 'attach', { member: 'external:nobody' })).toMatchObject({ status: 422 });
    expect(await act(item, 'keep')).toMatchObject({ status: 409, body: { actions: ['attach', 'discard'] } });
    expect(await act({ ...item, id: uuidv7() }, 'discard')).toMatchObject({ status: 404 });
    expect(await act({ ...item, id: 'x' }, 'discard')).toMatchObject({ status: 404 });
    const body = { reason: 'me' };
    for (const as of ['auditor', 'cashier', 'service'] as const)
      expect((await points.call('POST', `/v1/inbox/${item.id}/discard`, { as, body })).status).toBe(403);
    expect(await act(item, 'discard')).toMatchObject({ status: 200, body: { outcome: { reason: 'discarded' } } });
  });

  it('is paged, and counted in the metrics', async () => {
    for (let n = 0; n < 3; n++) await send(purchase(`external:${uuidv7()}`));
    const first = await points.call<Page>('GET', '/v1/inbox?limit=2', { as: 'support' });
    expect(first.body.items).toHaveLength(2);
    const second = await points.call<Page>('GET', `/v1/inbox?limit=2&after=${first.body.next}`, { as: 'support' });
    expect(first.body.items).not.toContainEqual(second.body.items[0]);
    expect((await points.call('GET', '/v1/inbox?after=x', { as: 'support' })).status).toBe(400);
    expect((await points.call('GET', '/v1/inbox?status=taken', { as: 'support' })).status).toBe(400);
    const metrics = await points.call<string>('GET', '/metrics', { as: null });
    expect(Number(/vafa_inbox_items\{[^}]*status="waiting"[^}]*\} (\d+)/.exec(metrics.body)?.[1])).toBeGreaterThan(2);
    expect(metrics.body).toMatch(/vafa_inbox_oldest_age_seconds\{[^}]*status="waiting"[^}]*\} \d/);
  });
});

describe('a purchase of nobody over HTTP', () => {
  const claim = (memberId: string, body: object, as: Parameters<typeof points.call>[2] = {}) =>
    points.call('POST', `/v1/members/${memberId}/purchases/claims`, { ...as, body: { source: '/till', ...body } });
  const day = Temporal.Now.plainDateISO('UTC').subtract({ days: 3 }).toString();

  it('is claimed by the member who has its receipt, and by nobody else', async () => {
    const [memberId, other] = [await enrol(), await enrol()];
    const data = purchase(null, { occurredAt: `${day}T10:00:00Z` });
    await send(data);
    const { purchaseId } = data;
    const receipt = { total: 1_500, currency: 'EUR', date: day };
    const as = { as: { role: 'member', memberId } } as const;
    expect(await claim(memberId, { purchaseId }, as)).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/receipt' }] },
    });
    const wrong = { ...receipt, total: 1_501 };
    expect(await claim(memberId, { purchaseId, receipt: wrong }, as)).toMatchObject({ status: 404 });
    const broken = { ...receipt, date: '2026-02-30' };
    expect(await claim(memberId, { purchaseId, receipt: broken }, as)).toMatchObject({ status: 422 });
    expect((await claim(other, { purchaseId, receipt }, as)).status).toBe(403);
    const claimed = await claim(memberId, { purchaseId, receipt }, as);
    const expected = { purchaseId, status: 'taken', memberId };
    expect(claimed).toMatchObject({ status: 200, body: expected });
    // The same again, and with its points once the read models show them.
    await eventually(async () =>
      expect(await claim(memberId, { purchaseId, receipt }, as)).toMatchObject({
        status: 200,
        body: { ...expected, points: 15 },
      }),
    );
    expect(await claim(other, { purchaseId, receipt }, { as: { role: 'member', memberId: other } })).toMatchObject({
      status: 409,
      body: { type: '/problems/already-claimed' },
    });
  });

  it('is given to any member by staff, who say why', async () => {
    const memberId = await enrol();
    const data = purchase(null);
    await send(data);
    const { purchaseId } = data;
    for (const reason of [{}, { reason: null }])
      expect((await claim(memberId, { purchaseId, ...reason }, { as: 'support' })).status).toBe(422);
    // Who may not settle the inbox has to have seen the receipt.
    for (const as of ['cashier', 'service'] as const)
      expect(await claim(memberId, { purchaseId, reason: 'says so' }, { as })).toMatchObject({
        status: 422,
        body: { errors: [{ pointer: '/receipt' }] },
      });
    const claimed = await claim(memberId, { purchaseId, reason: 'brought the receipt' }, { as: 'support' });
    expect(claimed).toMatchObject({ status: 200, body: { status: 'taken', memberId } });
    const another = purchase(null, { occurredAt: `${day}T10:00:00Z` });
    await send(another);
    const receipt = { total: 1_500, currency: 'EUR', date: day };
    const shown = { purchaseId: another.purchaseId, receipt };
    expect((await claim(memberId, shown, { as: 'cashier' })).status).toBe(422);
    expect((await claim(memberId, { ...shown, reason: 'has it here' }, { as: 'cashier' })).status).toBe(200);
    await eventually(async () =>
      expect(await points.call('GET', `/v1/purchases?source=/till&purchaseId=${purchaseId}`)).toMatchObject({
        body: { status: 'taken', memberId, points: 15 },
      }),
    );
  });
});
