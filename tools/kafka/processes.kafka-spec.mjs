import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { pointsFor } from '../checker/model.mjs';
import { KafkaClient } from '../load/kafka-client.mjs';
import { Services } from '../load/services.mjs';

// Members and two replicas of points as processes of their own, on a real Kafka, and a publisher that knows nothing of them but the topics.
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CDNOW = join(process.env.VAFA_DATA_SETS ?? join(ROOT, '..', 'shared', 'data'), 'cdnow.csv.gz');
const CDNOW_MEMBERS = 23_544;
const CDNOW_POINTS = 2_453_159;
const PURCHASES = 'commerce.purchases';
const PUBLISH_MAX = 500;
const ENROL_MAX = 1_000;
const PATIENCE_MS = 120_000;
const MINUTES_MS = 60_000;
/** Seventy thousand purchases take their time, and looking at all of them each time takes it from them. */
const SHOP = { patienceMs: 8 * MINUTES_MS, pollMs: 3_000 };

const brokers = (process.env.VAFA_TEST_KAFKA_BROKERS ?? '').split(',').filter((one) => one !== '');
const hasData = existsSync(CDNOW);
if (!hasData)
  process.stderr.write(`The purchases of a real shop do not go through Kafka here, as ${CDNOW} is not there.\n`);

/** Tries until it holds: what is under way arrives when it arrives. */
async function eventually(assertion, { patienceMs = PATIENCE_MS, pollMs = 250 } = {}) {
  for (const until = performance.now() + patienceMs; ;) {
    try {
      return await assertion();
    } catch (error) {
      if (performance.now() > until) throw error;
      await sleep(pollMs);
    }
  }
}

const envelope = (type, data, source = '/till') => ({ specversion: '1.0', id: randomUUID(), source, type, data });

const purchaseOf = (member, amount, purchaseId = randomUUID()) =>
  envelope('commerce.purchase.completed', {
    purchaseId,
    member,
    occurredAt: '2026-05-01T10:00:00Z',
    currency: 'EUR',
    lines: [{ lineId: '1', amount: amount * 100 }],
    total: amount * 100,
  });

const messageOf = (event, key = event.data.member) => ({ key, value: Buffer.from(JSON.stringify(event)) });

const prefix = `test-${randomBytes(6).toString('hex')}.`;
let services;
let kafka;
let database;

const call = async (process, method, path, { role = 'service', body } = {}) => {
  const answer = await fetch(new URL(path, services.get(process).url), {
    method,
    headers: {
      authorization: `Bearer ${await services.token(role)}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: await answer.json() };
};

const enrol = async () => {
  const externalId = randomUUID();
  const { status, body } = await call('members', 'POST', '/v1/members', { body: { externalId } });
  expect(status).toBe(201);
  const member = `external:${externalId}`;
  // Points hears of it over the bus: what comes before that waits.
  await eventually(() => balance('points-1', member));
  return { member, memberId: body.memberId };
};

/** What became of things, as any listener reads it: each event once, by its id. */
const told = async (ofWhat) => {
  const events = (await kafka.read('loyalty.points')).map(({ value }) => JSON.parse(value.toString()));
  return [...new Map(events.map((event) => [event.id, event])).values()].filter(ofWhat);
};
const ofPurchase =
  (...ids) =>
  ({ data }) =>
    ids.includes(data.purchaseId);

const balance = async (process, member) => {
  const { status, body } = await call(process, 'GET', `/v1/members/${member}/points`);
  expect(status).toBe(200);
  return body.balance;
};

const verified = async () => {
  const { code, output } = await services.vafa('verify');
  expect([code, output]).toEqual([0, expect.stringContaining('The read models say the same.')]);
};

async function firstStory() {
  const { member, memberId } = await enrol();
  const later = randomUUID();
  const bought = purchaseOf(member, 15);
  const early = purchaseOf(`external:${later}`, 7);
  // Twice, as careless publishers do.
  await kafka.publish(
    PURCHASES,
    [bought, early, bought].map((event) => messageOf(event)),
  );
  await eventually(async () => {
    const [accepted, earned] = await told(ofPurchase(bought.data.purchaseId));
    expect([accepted?.type, accepted?.data.points]).toEqual(['loyalty.purchase.accepted', 15]);
    expect([earned?.type, earned?.data.balance]).toEqual(['loyalty.points.earned', 15]);
    expect((await told(ofPurchase(early.data.purchaseId)))[0]?.type).toBe('loyalty.purchase.waiting');
  });
  const { status } = await call('members', 'POST', '/v1/members', { body: { externalId: later } });
  expect(status).toBe(201);
  const returned = envelope('commerce.purchase.returned', {
    returnId: randomUUID(),
    purchaseId: bought.data.purchaseId,
    member: null,
    occurredAt: '2026-05-04T10:00:00Z',
    whole: true,
  });
  await kafka.publish(PURCHASES, [messageOf(returned, member)]);
  await eventually(async () => {
    const types = (await told(ofPurchase(early.data.purchaseId))).map(({ type }) => type);
    // The first of them under the reference, for want of a member: order holds within a key.
    expect(types.toSorted()).toEqual([
      'loyalty.points.earned',
      'loyalty.purchase.accepted',
      'loyalty.purchase.waiting',
    ]);
    const reversals = await told(({ data }) => data.returnId === returned.data.returnId);
    expect(reversals.map(({ type }) => type)).toEqual(['loyalty.return.accepted', 'loyalty.points.reversed']);
    for (const replica of ['points-1', 'points-2']) {
      expect(await balance(replica, memberId)).toBe(0);
      expect(await balance(replica, `external:${later}`)).toBe(7);
    }
  });
  await verified();
}

async function letterReplayed() {
  const { member } = await enrol();
  const [failing, behind] = [purchaseOf(member, 3), purchaseOf(member, 4)];
  await database.query(
    `create function points.refuse() returns trigger language plpgsql as $$ begin
     if new.natural_id = '${failing.data.purchaseId}' then raise exception 'refused by a test'; end if; return new; end $$`,
  );
  await database.query(
    'create trigger refuse before insert on points.claims for each row execute function points.refuse()',
  );
  await kafka.publish(
    PURCHASES,
    [failing, behind].map((event) => messageOf(event)),
  );
  const letters = () =>
    call('points-1', 'GET', '/v1/dead-letters?status=waiting&limit=500', { role: 'auditor' }).then(({ body }) =>
      body.items.filter(({ key }) => key === member),
    );
  await eventually(async () =>
    expect((await letters()).map(({ kind }) => kind).toSorted()).toEqual(['behind', 'failed']),
  );
  await database.query('drop trigger refuse on points.claims');
  await database.query('drop function points.refuse()');
  const { id } = (await letters()).find(({ kind }) => kind === 'failed');
  const replayed = await call('points-2', 'POST', `/v1/dead-letters/${id}/replay`, { role: 'admin' });
  expect([replayed.status, replayed.body.sent]).toEqual([200, 2]);
  await eventually(async () => {
    const earned = await told(ofPurchase(failing.data.purchaseId, behind.data.purchaseId));
    const ids = earned
      .filter(({ type }) => type === 'loyalty.points.earned')
      .map(({ data }) => [data.purchaseId, data.balance]);
    expect(ids).toEqual([
      [failing.data.purchaseId, 3],
      [behind.data.purchaseId, 7],
    ]);
    expect(await letters()).toEqual([]);
  });
}

/** Every lease of the installation, a reader's or the relay's, and the connection that has it. */
const leases = async () => {
  const { rows } = await database.query(
    `select classid || ':' || objid as lease, l.pid from pg_locks l join pg_stat_activity a using (pid)
     where locktype = 'advisory' and mode = 'ExclusiveLock' and granted and application_name <> 'vafa-harness' and a.state = 'idle'`,
  );
  return new Map(rows.map(({ lease, pid }) => [lease, pid]));
};

async function leadership() {
  const { member, memberId } = await enrol();
  const before = await eventually(async () => {
    const held = await leases();
    expect(held.size).toBeGreaterThan(0);
    return held;
  });
  const changed = new Set();
  for (const [index, name] of ['points-1', 'points-2'].entries()) {
    const process = services.get(name);
    await process.signal('SIGKILL');
    const bought = purchaseOf(member, 5);
    await kafka.publish(PURCHASES, [messageOf(bought)]);
    // By the other replica alone.
    await eventually(async () => {
      const types = (await told(ofPurchase(bought.data.purchaseId))).map(({ type }) => type);
      expect(types).toEqual(['loyalty.purchase.accepted', 'loyalty.points.earned']);
    });
    await eventually(async () => {
      const held = await leases();
      for (const [lease, pid] of before) {
        expect(held.has(lease)).toBe(true);
        if (held.get(lease) !== pid) changed.add(lease);
      }
    });
    await process.start();
    expect(await balance(name, memberId)).toBe(5 * (index + 1));
  }
  expect(changed.size).toBeGreaterThan(0);
  await verified();
}

async function realShop() {
  const receipts = gunzipSync(readFileSync(CDNOW)).toString().trim().split('\n').slice(1);
  const expected = new Map();
  const messages = receipts.map((receipt, index) => {
    const [customer, date, , amount] = receipt.split(',');
    const cents = Number(amount.replace('.', ''));
    const data = {
      purchaseId: String(index + 1),
      member: `external:${customer}`,
      occurredAt: `${date}T12:00:00-05:00`,
      currency: 'USD',
      lines: [{ lineId: '1', amount: cents }],
      total: cents,
    };
    expected.set(customer, (expected.get(customer) ?? 0n) + pointsFor(data));
    return messageOf(envelope('commerce.purchase.completed', data, '/cdnow'));
  });
  const customers = [...expected.keys()];
  expect(customers).toHaveLength(CDNOW_MEMBERS);
  expect([...expected.values()].reduce((sum, points) => sum + points)).toBe(BigInt(CDNOW_POINTS));

  for (let at = 0; at < messages.length; at += PUBLISH_MAX)
    await kafka.publish(PURCHASES, messages.slice(at, at + PUBLISH_MAX));
  // Half of them are there when their members enrol, and wait for them.
  for (let at = 0; at < customers.length; at += ENROL_MAX) {
    const members = customers.slice(at, at + ENROL_MAX).map((externalId) => ({ externalId }));
    expect((await call('members', 'POST', '/v1/members/batch', { body: { members } })).status).toBe(200);
  }
  await eventually(async () => {
    const { rows: sums } = await database.query(
      'select coalesce(sum(earned_total), 0)::int as points from points.accounts',
    );
    expect(sums[0].points).toBeGreaterThanOrEqual(CDNOW_POINTS);
    const { rows } = await database.query(
      `select substr(r.reference, 10) as customer, a.earned_total::text as points from points.accounts a
       join points.account_references r using (member_id) where r.reference ~ '^external:[0-9]{5}$'`,
    );
    const found = new Map(rows.map(({ customer, points }) => [customer, BigInt(points)]));
    const wrong = customers.filter((customer) => (found.get(customer) ?? 0n) !== expected.get(customer));
    expect([found.size, wrong.slice(0, 3)]).toEqual([CDNOW_MEMBERS, []]);
  }, SHOP);
  await verified();
}

(brokers.length === 0 ? describe.skip : describe)('services as processes of their own, on Kafka', () => {
  beforeAll(async () => {
    // Builds what is stale, and one at a time: others may be running what is built already.
    execFileSync(process.execPath, ['tools/vafa.mjs', '--help'], { cwd: ROOT, stdio: 'ignore' });
    services = new Services({ brokers, prefix });
    kafka = new KafkaClient({ brokers, prefix });
    await services.start({ points: 2 });
    database = await services.connect();
  }, 5 * MINUTES_MS);

  afterAll(async () => {
    await database?.end();
    await services?.dispose();
    // What stays behind is under names of its own, on a broker for tests.
    await kafka
      ?.deleteTopics()
      .catch((error) => process.stderr.write(`Topics of a test were left: ${String(error)}\n`));
    await kafka?.close();
  }, 5 * MINUTES_MS);

  it('a purchase, a return, and one of somebody who enrols later', firstStory, 5 * MINUTES_MS);

  it('a purchase that could not be taken, sent again with what waited behind it', letterReplayed, 5 * MINUTES_MS);

  it('work of which there is one runs once, and is taken over when its process is killed', leadership, 5 * MINUTES_MS);

  (hasData ? it : it.skip)(
    'the purchases of a real shop give every member what the receipts say',
    realShop,
    10 * MINUTES_MS,
  );
});
