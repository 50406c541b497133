import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { membersService } from '@vafa/members';
import { pointsService } from '@vafa/points';
import { startTestService, withTestDatabase } from '@vafa/testing';
import pg from 'pg';
import { InputLog } from '../load/input-log.mjs';
import { settled } from '../load/settled.mjs';
import { publish } from '../load/topic-writer.mjs';
import { check } from './check.mjs';
import { PLANTED_FAULTS } from './planted-faults.mjs';

const database = withTestDatabase();
const log = new InputLog();
let admin;

const connect = async (url) => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
};

const named = (name) => {
  const url = new URL(database.url);
  url.pathname = `/${name}`;
  return url.href;
};

const purchase = (purchaseId, member, amount, more = {}) => ({
  specversion: '1.0',
  id: `message-${purchaseId}`,
  source: '/till',
  type: 'commerce.purchase.completed',
  time: '2026-05-01T10:00:00Z',
  data: {
    purchaseId,
    member,
    occurredAt: '2026-05-01T10:00:00Z',
    currency: 'EUR',
    lines: [{ lineId: '1', amount }],
    total: amount,
    ...more,
  },
});

const PURCHASES = [
  purchase('first', 'external:ada', 1_050),
  purchase('second', 'external:ada', 2_999, { occurredAt: '2026-05-02T10:00:00.5+03:30' }),
  purchase('late', 'external:ada', 700, { occurredAt: '2025-01-01T00:00:00Z' }),
  purchase('second', 'external:ada', 2_999, { occurredAt: '2026-05-02T10:00:00.5+03:30' }),
  purchase('first', 'external:ada', 9_999),
  purchase('card', 'external:bob', 5_000, { lines: [{ lineId: '1', amount: 5_000, kind: 'gift-card' }] }),
  purchase('yen', 'external:bob', 120, { currency: 'JPY' }),
  purchase('dinar', 'external:bob', 12_345, { currency: 'KWD' }),
  purchase('free', 'external:bob', 0),
  purchase('early', 'external:cem', 400),
  purchase('nobody', null, 1_500),
  purchase('never', 'external:dan', 1_500),
  purchase('tomorrow', 'external:ada', 100, { occurredAt: '2999-01-01T00:00:00Z' }),
];

const returned = (returnId, purchaseId, member, goods) => ({
  ...purchase(returnId, member, 0),
  type: 'commerce.purchase.returned',
  data: { returnId, purchaseId, member, occurredAt: '2026-05-05T10:00:00Z', ...goods },
});

const PART = { lines: [{ lineId: '1', amount: 350 }] };

const RETURNS = [
  returned('r-part', 'first', 'external:ada', PART),
  returned('r-part', 'first', 'external:ada', PART),
  returned('r-too-much', 'first', null, { lines: [{ lineId: '1', amount: 701 }] }),
  returned('r-whole', 'second', 'external:ada', { whole: true }),
  returned('r-again', 'second', 'external:ada', { whole: true }),
  returned('r-nobody', 'nobody', null, PART),
  returned('r-early', 'late-one', 'external:bob', PART),
  returned('r-never', 'not-there', 'external:bob', { whole: true }),
  returned('r-lost', undefined, 'external:bob', { amount: 100, currency: 'EUR' }),
  purchase('late-one', 'external:bob', 900),
  purchase('pieces', 'external:bob', 1_000, { lines: [{ lineId: '1', amount: 1_000, quantity: '3' }] }),
  returned('r-piece', 'pieces', 'external:bob', { lines: [{ lineId: '1', quantity: '1' }] }),
  returned('r-half', 'pieces', 'external:bob', { lines: [{ lineId: '1', amount: 100, quantity: '0.5' }] }),
  returned('r-cheaper', 'pieces', 'external:bob', { lines: [{ lineId: '1', quantity: '1' }] }),
  returned('r-too-many', 'pieces', 'external:bob', { lines: [{ lineId: '1', quantity: '0.500001' }] }),
];

/** Enrols one after another and notes it as one who keeps a log. */
const enrol = async (members, ...externalIds) => {
  for (const externalId of externalIds) {
    const n = log.sent({ op: 'member', door: 'http', externalId });
    const { status, body } = await members.call('POST', '/v1/members', { body: { externalId } });
    expect(status).toBe(201);
    log.acknowledged(n, { memberId: body.memberId });
  }
};

/** Publishes as a producer does and notes it as one who keeps a log. */
const send = async (client, event) => {
  const n = log.sent({ op: 'purchase', door: 'bus', event });
  await publish(client, 'commerce.purchases', [{ key: event.data.member, value: Buffer.from(JSON.stringify(event)) }]);
  log.acknowledged(n);
};

/** The services themselves take them in: what is checked is what they write. */
const fill = async () => {
  const service = await startTestService(pointsService, { url: database.url, adapters: 'postgres' });
  const members = await startTestService(membersService, { url: database.url, beside: service });
  const client = await connect(database.url);
  await enrol(members, 'ada', 'bob');
  await settled(client);
  for (const event of PURCHASES) await send(client, event);
  for (const event of RETURNS) {
    // Without a member it has no key, and so no order with those before it: it would now and then come first.
    if (event.data.member === null) await settled(client);
    await send(client, event);
  }
  const [place] = await publish(client, 'commerce.purchases', [
    { key: 'external:ada', value: Buffer.from('{"half":') },
  ]);
  log.sent({ op: 'malformed', door: 'bus', ...place });
  await settled(client);
  await enrol(members, 'cem');
  await settled(client);
  await members.close();
  await service.close();
  await client.end();
};

beforeAll(async () => {
  await fill();
  admin = await connect(named('postgres'));
});

afterAll(() => admin.end());

describe('the checker', () => {
  it('finds nothing in what the service wrote, and counts it', async () => {
    const { violations, counts } = await check({ url: database.url, inputs: log.inputs });
    expect(violations).toEqual([]);
    expect(counts).toMatchObject({
      members: 3,
      claims: 13,
      taken: 10,
      waiting: 1,
      anonymous: 1,
      refused: 1,
      conflicts: 1,
    });
    expect(counts.returns).toEqual({ taken: 6, refused: 3, anonymous: 1, waiting: 1, quarantined: 1 });
    // 7 of 10, nothing of 29, and 7 for Ada; 120 yen, 12 dinars, 5 of 9, and 1 of 10 for Bob, who kept half a piece of
    // three for 1.89; 4 for Cem, who enrolled afterwards.
    expect(counts).toMatchObject({ accounts: 3, events: 16, points: '156' });
  });

  it.each(PLANTED_FAULTS)('notices that $name', async ({ sql, finds }) => {
    const name = `${new URL(database.url).pathname.slice(1)}_fault`;
    await admin.query(`create database ${name} template ${new URL(database.url).pathname.slice(1)}`);
    try {
      const client = await connect(named(name));
      const { rowCount } = await client.query(sql);
      await client.end();
      // A view that is made another touches no row.
      expect(rowCount ?? 1).toBeGreaterThan(0);
      const { violations } = await check({ url: named(name), inputs: log.inputs });
      expect(violations.map(({ code }) => code)).toContain(finds);
    } finally {
      await admin.query(`drop database ${name} with (force)`);
    }
  });
});
