import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Message } from '@vafa/messaging';
import { createTestDatabase, eventually, startTestService, type TestDatabase, type TestService } from '@vafa/testing';
import { uuidv7 } from 'uuidv7';
import type { PointsConfig } from '../src/config.js';
import { pointsService } from '../src/index.js';

type Letter = { id: string; kind: string; status: string; reason: string; note: string | null; key: string | null };
type Page = { items: Letter[]; next: string | null };
type Opened = Letter & { text: string | null; hex: string | null; bytes: number; headers: Record<string, string> };
type Done = { letters: number; sent: number; more: boolean };

const TOPIC = 'commerce.purchases';

let database: TestDatabase;
let points: TestService<PointsConfig>;

beforeAll(async () => {
  database = await createTestDatabase();
  points = await startTestService(pointsService, { url: database.url });
});
afterAll(async () => {
  await points.close();
  await database.drop();
});

const as = (role: 'admin' | 'auditor' | 'support') => ({ as: { role } }) as const;
const list = async (query = ''): Promise<Page> =>
  (await points.call<Page>('GET', `/v1/dead-letters${query}`, as('auditor'))).body;
const settle = <Body = Done>(path: string, body?: unknown) =>
  points.call<Body>('POST', `/v1/dead-letters${path}`, { ...as('admin'), ...(body !== undefined && { body }) });
const audited = () =>
  points.context.database.query<{ action: string; subject: string; reason: string | null; details: object }>(
    'select action, subject, reason, details from audit.entries order by id',
  );

/** Sends messages that become letters, and waits until they are. */
const sent = async (...values: Buffer[]): Promise<{ key: string; letters: Letter[] }> => {
  const key = uuidv7();
  const messages: Message[] = values.map((value) => ({ topic: TOPIC, key, value, headers: { h: 'v' } }));
  await points.context.bus.publish(messages);
  return eventually(async () => {
    const letters = (await list('?limit=500')).items.filter((letter) => letter.key === key);
    expect(letters).toHaveLength(values.length);
    return { key, letters };
  });
};

describe('dead letters over HTTP', () => {
  it('are listed in pages, by topic, service, kind, reason and time, and shown as text or in hexadecimal digits', async () => {
    const { letters } = await sent(Buffer.from('{"cut":'), Buffer.from([0xff, 0x00]), Buffer.from('[1]'));
    expect(letters.map(({ kind, status }) => [kind, status])).toEqual([
      ['invalid', 'waiting'],
      ['invalid', 'waiting'],
      ['invalid', 'waiting'],
    ]);
    const first = await list('?limit=2');
    const second = await list(`?limit=2&after=${first.next}`);
    expect([...first.items, ...second.items]).toEqual(expect.arrayContaining(letters));
    expect(second.next).toBeNull();
    expect((await list(`?topic=${TOPIC}&service=points&kind=invalid&reason=not-json`)).items).toHaveLength(1);
    expect((await list('?service=nobody')).items).toEqual([]);
    expect((await list('?status=replayed')).items).toEqual([]);
    expect((await list('?since=2999-01-01T00:00:00Z')).items).toEqual([]);
    const shown = await Promise.all(
      letters.map(({ id }) => points.call<Opened>('GET', `/v1/dead-letters/${id}`, as('auditor'))),
    );
    expect(shown.map(({ body: { text, hex } }) => [text, hex]).toSorted()).toEqual(
      [
        ['[1]', null],
        ['{"cut":', null],
        [null, 'ff00'],
      ].toSorted(),
    );
    expect(shown[0]?.body.headers).toEqual({ h: 'v' });
  });

  it('are sent again as often as somebody asks, and recorded in the audit together with it', async () => {
    const { letters } = await sent(Buffer.from('{}'));
    const id = letters[0]?.id ?? '';
    for (let time = 1; time <= 2; time++) {
      const { status, body } = await settle(`/${id}/replay`);
      expect([status, body]).toEqual([200, { letters: 1, sent: 1, more: false }]);
      // Still not valid: it waits again.
      await eventually(async () => {
        const { body: shown } = await points.call<Opened>('GET', `/v1/dead-letters/${id}`, as('admin'));
        expect(shown).toMatchObject({ status: 'waiting', text: '{}', headers: { h: 'v' } });
      });
    }
    const entries = (await audited()).filter(({ subject }) => subject === `dead-letter:${id}`);
    expect(entries).toEqual(
      [1, 2].map(() => ({
        action: 'dead-letters.replayed',
        subject: `dead-letter:${id}`,
        reason: null,
        details: { ids: [id], sent: 1 },
      })),
    );
  });

  it('are discarded with a reason, one or many, and are not sent again then', async () => {
    const { letters } = await sent(Buffer.from('a'), Buffer.from('b'), Buffer.from('c'));
    const [one, ...others] = letters.map(({ id }) => id);
    expect((await settle(`/${one}/discard`, { reason: 'a test of the till' })).body).toMatchObject({ letters: 1 });
    expect((await settle(`/${one}/discard`, { reason: 'once more' })).body).toMatchObject({ letters: 0 });
    expect((await settle(`/${one}/replay`)).body).toEqual({ letters: 0, sent: 0, more: false });
    const chosen = { topic: TOPIC, reason: 'not-json' };
    const many = await settle('/discard', { reason: 'the same test', letters: chosen });
    expect(many.body.letters).toBeGreaterThanOrEqual(2);
    const { items } = await list('?status=discarded&limit=500');
    expect(items.find(({ id }) => id === one)?.note).toBe('a test of the till');
    expect(items.map(({ id }) => id)).toEqual(expect.arrayContaining(others));
    expect((await settle('/replay', { letters: chosen })).body).toEqual({ letters: 0, sent: 0, more: false });
  });

  it('are for those only who may see them, and bad questions get a clear answer', async () => {
    const { letters } = await sent(Buffer.from('{'));
    const path = `/v1/dead-letters/${letters[0]?.id}`;
    expect((await points.call('GET', path, as('support'))).status).toBe(403);
    expect((await points.call('POST', `${path}/replay`, as('auditor'))).status).toBe(403);
    expect((await points.call('GET', '/v1/dead-letters?kind=odd', as('admin'))).status).toBe(400);
    expect((await points.call('GET', '/v1/dead-letters?after=odd', as('admin'))).status).toBe(400);
    expect((await points.call('GET', '/v1/dead-letters/odd', as('admin'))).status).toBe(404);
    expect((await settle(`/${uuidv7()}/discard`, { reason: 'x' })).status).toBe(404);
    for (const [at, body] of [
      ['/discard', { letters: { topic: TOPIC } }],
      ['/discard', { reason: 'x', letters: {} }],
      ['/discard', { reason: 'x', letters: [] }],
      ['/replay', { letters: { status: 'waiting' } }],
      ['/replay', {}],
      [`/${letters[0]?.id}/discard`, { reason: '' }],
    ] as const)
      expect([at, body, (await settle(at, body)).status]).toEqual([at, body, 422]);
  });

  it('stand in the metrics with how many there are and how old they are', async () => {
    await sent(Buffer.from('x'));
    const metrics = await (await fetch(`${points.url}/metrics`)).text();
    expect(metrics).toMatch(
      /vafa_dead_letters_open\{topic="commerce.purchases",kind="invalid",service="points"\} [1-9]/,
    );
    expect(metrics).toMatch(/vafa_dead_letters_oldest_seconds\{topic="commerce.purchases",kind="invalid",/);
    expect(metrics).toMatch(/vafa_consumer_stopped_partitions\{service="points"\} 0/);
  });
});
