import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { outgoingEvent } from '@vafa/contracts';
import { createTestDatabase, eventually, startTestService, type TestDatabase, type TestService } from '@vafa/testing';
import { enqueueEvents } from '@vafa/messaging';
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

const WAIT = { prefer: 'wait=30' };

/** Tells of an enrolment as members does, and answers once points knows of it. */
const enrol = async (memberId = uuidv7()): Promise<{ memberId: string; externalId: string }> => {
  const externalId = `ext-${memberId}`;
  const time = Temporal.Now.instant();
  const data = { memberId, externalId, card: null, enrolledAt: '2026-01-01T00:00:00Z', source: null };
  const { bus, database: own } = points.context;
  const enrolled = outgoingEvent({
    type: 'loyalty.member.enrolled',
    id: memberId,
    source: '/test',
    key: memberId,
    time,
    data,
  });
  await own.transaction((work) => enqueueEvents(work, bus, [enrolled]));
  await eventually(async () => expect((await points.call('GET', `/v1/members/${memberId}/points`)).status).toBe(200));
  return { memberId, externalId };
};

const purchase = (member: string | null, changes: object = {}) => ({
  purchaseId: uuidv7(),
  member,
  occurredAt: '2026-05-01T10:00:00Z',
  currency: 'EUR',
  lines: [{ lineId: '1', amount: 1_530, kind: 'goods' }],
  total: 1_530,
  ...changes,
});

const event = (data: object) => ({
  specversion: '1.0',
  id: uuidv7(),
  source: '/till',
  type: 'commerce.purchase.completed',
  data,
});

const post = <Body>(path: string, body: unknown, headers: Record<string, string> = WAIT) =>
  points.call<Body>('POST', path, { body, headers });

type Outcome = { status: string; points: number; memberId: string | null; transactionId: string | null };

describe('a purchase over HTTP', () => {
  it('is taken, and all that is read shows it by the time it is answered', async () => {
    const { memberId, externalId } = await enrol();
    const data = purchase(`external:${externalId}`);
    const taken = await post<Outcome>('/v1/purchases', event(data));
    expect(taken.status).toBe(200);
    expect(taken.body).toMatchObject({ status: 'taken', points: 15, memberId });
    const balance = await points.call('GET', `/v1/members/${memberId}/points`);
    expect(balance.body).toMatchObject({ balance: 15, available: 15, pending: 0, held: 0, debt: 0, expiring: [] });
    const found = await points.call('GET', `/v1/purchases?source=/till&purchaseId=${data.purchaseId}`);
    expect(found.body).toEqual({ ...taken.body, returned: 0, returns: [] });
    const again = await post<Outcome>('/v1/purchases', event(data));
    expect(again.body).toEqual(taken.body);
  });

  it('is a conflict with other content, and says so', async () => {
    const { externalId } = await enrol();
    const data = purchase(`external:${externalId}`);
    await post('/v1/purchases', event(data));
    const changed = await post('/v1/purchases', event({ ...data, channel: 'web' }));
    expect(changed.status).toBe(409);
    expect(changed.body).toMatchObject({
      type: expect.stringContaining('content-conflict'),
      outcome: { status: 'conflict' },
    });
  });

  it('is taken as bare data with an Idempotency-Key, under the client as its source', async () => {
    const { externalId } = await enrol();
    const data = purchase(`external:${externalId}`);
    expect((await post('/v1/purchases', data)).status).toBe(400);
    const taken = await post<Outcome & { source: string }>('/v1/purchases', data, { ...WAIT, 'idempotency-key': 'k1' });
    expect(taken.body).toMatchObject({ status: 'taken', source: expect.any(String) });
  });

  it('is answered with where to look when nobody waits', async () => {
    const data = purchase(null);
    const accepted = await post<{ location: string }>('/v1/purchases', event(data), {});
    expect(accepted.status).toBe(202);
    expect(accepted.headers.get('location')).toBe(accepted.body.location);
    await eventually(async () => {
      const found = await points.call('GET', accepted.body.location);
      expect(found.body).toMatchObject({ status: 'anonymous', points: 0 });
    });
  });

  it('of somebody unknown waits until he enrols', async () => {
    const memberId = uuidv7();
    const data = purchase(`external:ext-${memberId}`);
    expect((await post<Outcome>('/v1/purchases', event(data))).body).toMatchObject({
      status: 'waiting',
      memberId: null,
    });
    await enrol(memberId);
    await eventually(async () => {
      const found = await points.call('GET', `/v1/purchases?source=/till&purchaseId=${data.purchaseId}`);
      expect(found.body).toMatchObject({ status: 'taken', memberId, points: 15 });
    });
  });

  it('of somebody known by phone only is not found, and the anonymous purchase is offered', async () => {
    const answer = await post<{ detail: string }>('/v1/purchases', event(purchase('phone:+989121234567')));
    expect(answer.status).toBe(404);
    expect(answer.body.detail).toContain('anonymous');
  });

  it('that is not valid is refused with a pointer to each fault', async () => {
    const data = purchase(null, { total: 1_531, currency: 'EURO' });
    const refused = await post('/v1/purchases', event(data));
    expect(refused.status).toBe(422);
    expect(refused.headers.get('content-type')).toBe('application/problem+json');
    expect(refused.body).toMatchObject({
      errors: expect.arrayContaining([
        expect.objectContaining({ pointer: '/data/currency' }),
        expect.objectContaining({ pointer: '/data/total' }),
      ]),
    });
  });
});

describe('an event that is larger than a topic takes', () => {
  const large = () => {
    const categories = Array.from({ length: 10 }, (_, index) => `${index}`.padEnd(60, 'x'));
    const lines = Array.from({ length: 500 }, (_, index) => ({ lineId: `${index}`, amount: 1, categories }));
    return event(purchase(null, { lines, total: 500 }));
  };
  const told = (pointer: string) => ({
    status: 422,
    body: { errors: [{ pointer, detail: expect.stringContaining('at most 262144 are taken') }] },
  });

  it('is told by its place in the batch, of which nothing is taken', async () => {
    const small = purchase(null);
    expect(await post('/v1/purchases/batch', [event(small), large()])).toMatchObject(told('/1'));
    const found = await points.call('GET', `/v1/purchases?source=/till&purchaseId=${small.purchaseId}`);
    expect(found.status).toBe(404);
  });
});

describe('what staff hand in', () => {
  it('stands in the audit; what a program hands in does not', async () => {
    const [one, two, three] = [event(purchase(null)), event(purchase(null)), event(purchase(null))];
    const hand = (as: 'cashier' | 'admin' | 'service', path: string, body: unknown) =>
      points.call('POST', path, { as, body, headers: WAIT });
    expect(await hand('cashier', '/v1/purchases', one)).toMatchObject({ status: 200, body: { status: 'anonymous' } });
    expect(await hand('admin', '/v1/purchases/batch', [two, three])).toMatchObject({ status: 200 });
    await hand('service', '/v1/purchases', event(purchase(null)));
    const key = ({ data }: typeof one): string => `purchase:/till/${(data as { purchaseId: string }).purchaseId}`;
    const { entries } = await points.context.audit.list({ action: 'inputs.submitted', limit: 10 });
    expect(entries).toMatchObject([
      { actor: { role: 'admin' }, subject: 'inputs', details: { count: 2, first: key(two), last: key(three) } },
      { actor: { role: 'cashier' }, subject: key(one), details: {} },
    ]);
  });
});

describe('an activity over HTTP', () => {
  const activity = (member: string, changes: object = {}) => ({
    activityId: uuidv7(),
    activity: 'review.written',
    member,
    occurredAt: '2026-05-01T10:00:00Z',
    ...changes,
  });
  const asEvent = (data: object) => ({ ...event(data), type: 'commerce.activity.performed' });

  it('is taken without points, read, and the same again', async () => {
    const { memberId, externalId } = await enrol();
    const data = activity(`external:${externalId}`);
    const taken = await post('/v1/activities', asEvent(data));
    expect(taken.status).toBe(200);
    const expected = { activityId: data.activityId, memberId, status: 'taken', points: 0, transactionId: null };
    expect(taken.body).toMatchObject({ ...expected, reason: 'activity-not-in-programme' });
    const found = await points.call('GET', `/v1/activities?source=/till&activityId=${data.activityId}`);
    expect(found.body).toEqual(taken.body);
    expect((await post('/v1/activities', asEvent(data))).body).toEqual(taken.body);
    const changed = await post('/v1/activities', asEvent({ ...data, activity: 'newsletter.subscribed' }));
    expect(changed.status).toBe(409);
  });

  it('waits for somebody unknown until he enrols, also in a batch', async () => {
    const memberId = uuidv7();
    const { externalId } = await enrol();
    const waiting = activity(`external:ext-${memberId}`);
    const batch = [asEvent(waiting), asEvent(activity(`external:${externalId}`))];
    const answer = await post<{ results: Outcome[] }>('/v1/activities/batch', batch);
    expect(answer.body.results.map(({ status }) => status)).toEqual(['waiting', 'taken']);
    await enrol(memberId);
    await eventually(async () => {
      const found = await points.call('GET', `/v1/activities?source=/till&activityId=${waiting.activityId}`);
      expect(found.body).toMatchObject({ status: 'taken', memberId });
    });
  });

  it('needs a member, and its own type', async () => {
    const refused = await post('/v1/activities', asEvent({ ...activity('x'), member: null }));
    expect(refused.body).toMatchObject({ errors: [{ pointer: '/data/member' }] });
    expect((await post('/v1/activities', event(purchase(null)))).body).toMatchObject({
      errors: [{ pointer: '/type' }],
    });
  });
});

describe('a batch', () => {
  it('is answered in the order sent', async () => {
    const { externalId } = await enrol();
    const known = purchase(`external:${externalId}`);
    const batch = [event(known), event(purchase(null)), event(known), event({ ...known, channel: 'web' })];
    const answer = await post<{ results: Outcome[] }>('/v1/purchases/batch', batch);
    expect(answer.status).toBe(200);
    expect(answer.body.results.map(({ status }) => status)).toEqual(['taken', 'anonymous', 'taken', 'conflict']);
  });

  it('with a fault in it takes nothing', async () => {
    const good = purchase(null);
    const answer = await post('/v1/purchases/batch', [event(good), event(purchase(null, { total: 1 }))]);
    expect(answer.status).toBe(422);
    expect(answer.body).toMatchObject({ errors: [{ pointer: '/1/data/total' }] });
    const found = await points.call('GET', `/v1/purchases?source=/till&purchaseId=${good.purchaseId}`);
    expect(found.status).toBe(404);
  });
});

describe('what is read', () => {
  it('explains a movement in the reader’s language', async () => {
    const { memberId, externalId } = await enrol();
    const taken = await post<Outcome>('/v1/purchases', event(purchase(`external:${externalId}`)));
    const path = `/v1/members/external:${externalId}/points/transactions/${taken.body.transactionId}/explanation`;
    const english = await points.call<{ sentences: string[] }>('GET', path);
    expect(english.body.sentences).toEqual(['15 points for €15.30: 1 for each full €1.00, rounded down.']);
    const persian = await points.call<{ sentences: string[] }>('GET', path, { headers: { 'accept-language': 'fa' } });
    expect(persian.body.sentences[0]).toContain('۱۵ امتیاز');
    const other = await enrol();
    const foreign = await points.call('GET', path.replace(externalId, other.externalId));
    expect(foreign.status).toBe(404);
    expect(memberId).not.toBe(other.memberId);
  });

  it('is paged by cursor', async () => {
    const { memberId, externalId } = await enrol();
    const batch = Array.from({ length: 5 }, (_, n) =>
      event(purchase(`external:${externalId}`, { occurredAt: `2026-05-0${n + 1}T00:00:00Z` })),
    );
    await post('/v1/purchases/batch', batch);
    for (const list of ['transactions', 'lots']) {
      const seen: string[] = [];
      let next: string | null = '';
      while (next !== null) {
        const after: string = next === '' ? '' : `&after=${next}`;
        const page = await points.call<{ items: { transactionId?: string; lotId?: string }[]; next: string | null }>(
          'GET',
          `/v1/members/${memberId}/points/${list}?limit=2${after}`,
        );
        seen.push(...page.body.items.map((item) => item.transactionId ?? item.lotId ?? ''));
        next = page.body.next;
      }
      expect(new Set(seen).size).toBe(5);
      expect(seen).toHaveLength(5);
    }
    const broken = await points.call('GET', `/v1/members/${memberId}/points/lots?after=xyz`);
    expect(broken.status).toBe(400);
  });

  it('is a member’s own only', async () => {
    const [one, other] = [await enrol(), await enrol()];
    const as = { role: 'member', memberId: one.memberId } as const;
    await eventually(async () =>
      expect((await points.call('GET', `/v1/members/${one.memberId}/points`, { as })).status).toBe(200),
    );
    for (const ref of [other.memberId, uuidv7(), 'external:nobody'])
      expect((await points.call('GET', `/v1/members/${ref}/points`, { as })).status).toBe(403);
    expect((await points.call('POST', '/v1/purchases', { as, body: event(purchase(null)) })).status).toBe(403);
    expect((await points.call('GET', `/v1/members/${one.memberId}/points`, { as: null })).status).toBe(401);
  });

  it('previews without writing', async () => {
    const data = purchase(null);
    const preview = await post('/v1/purchases/preview', data, {});
    expect(preview.body).toMatchObject({ points: 15, explanation: { programme: 1 } });
    expect((await points.call('GET', `/v1/purchases?source=/till&purchaseId=${data.purchaseId}`)).status).toBe(404);
  });
});
