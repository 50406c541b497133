import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '@vafa/testing';
import { uuidv7 } from 'uuidv7';
import type { IncomingPurchase } from '../src/application/intake.js';
import { streamOf } from '../src/domain/account.js';
import { aPurchase, enrolled, startFixture, type Fixture } from './fixture.js';

let points: Fixture;

beforeAll(async () => {
  points = await startFixture();
  points.reader.start();
});
afterAll(() => points.close());

const enrol = () => enrolled(points);

const stored = async (memberId: string) => {
  const streams = await points.store.load([streamOf(memberId)]);
  return streams.get(streamOf(memberId)) ?? [];
};

const outcome = (purchase: IncomingPurchase) => points.register.outcomes([purchase]).then(([found]) => found ?? null);

const settled = (purchase: IncomingPurchase) =>
  eventually(async () => {
    const found = await outcome(purchase);
    expect(found).not.toBeNull();
    return found;
  });

describe('a purchase of a known member', () => {
  it('is claimed, awarded once and explained', async () => {
    const { memberId, reference } = await enrol();
    const purchase = aPurchase({ member: reference, amount: 1_234 });
    await points.intake.take([purchase]);
    expect(await settled(purchase)).toMatchObject({ status: 'taken', memberId, points: 12 });
    expect(await points.queries.balance(memberId)).toEqual({
      balance: 12,
      available: 12,
      pending: 0,
      held: 0,
      debt: 0,
    });
    const [movement] = await points.queries.movements(memberId, 10, null);
    expect(movement).toMatchObject({ amount: 12, occurredAt: '2026-05-01T10:00:00Z', ruleVersion: 1, source: '/till' });
    expect(await points.queries.lots(memberId, 10, null)).toMatchObject([
      { amount: 12, remaining: 12, expiresAt: null },
    ]);
  });

  it('changes nothing when it comes again, by whatever reference, in the same page or later, or after a restart', async () => {
    const { memberId, reference } = await enrol();
    const purchase = aPurchase({ member: reference });
    const byId: IncomingPurchase = { ...purchase, data: { ...purchase.data, member: `member:${memberId}` } };
    await points.intake.take([purchase, purchase, byId]);
    await points.intake.take([byId]);
    await points.restarted().intake.take([purchase]);
    expect(await stored(memberId)).toHaveLength(1);
    expect(await outcome(byId)).toMatchObject({ status: 'taken', points: 10 });
  });

  it('is awarded once when it comes on two partitions or to two processes at the same time', async () => {
    const { memberId, reference } = await enrol();
    const other = points.restarted();
    const purchases = Array.from({ length: 80 }, () => aPurchase({ member: reference }));
    await Promise.all(
      purchases.flatMap((purchase, i) => [
        points.intake.take([purchase]),
        (i % 2 === 0 ? points : other).intake.take([purchase]),
      ]),
    );
    const ids = (await stored(memberId)).map((event) => event.id);
    expect(new Set(ids).size).toBe(80);
    expect(ids).toHaveLength(80);
  });

  it('is a conflict with other content or another member, and both contents are kept', async () => {
    const [one, other] = [await enrol(), await enrol()];
    const purchase = aPurchase({ member: one.reference });
    const changed = aPurchase({ purchaseId: purchase.data.purchaseId, member: one.reference, amount: 99_900 });
    const stolen: IncomingPurchase = { ...purchase, data: { ...purchase.data, member: other.reference } };
    await points.intake.take([purchase, changed, stolen, stolen]);
    expect(await settled(purchase)).toMatchObject({ status: 'taken', points: 10 });
    expect(await outcome(changed)).toMatchObject({ status: 'conflict', points: 0 });
    expect(await outcome(stolen)).toMatchObject({ status: 'conflict', memberId: other.memberId });
    const kept = await points.database.query<{ content: string }>(
      'select content from points.conflicts where natural_id = $1 order by received_at',
      [purchase.data.purchaseId],
    );
    expect(kept).toHaveLength(2);
    expect(await stored(one.memberId)).toHaveLength(1);
    expect(await stored(other.memberId)).toHaveLength(0);
  });

  it('keeps the order within a page for one account', async () => {
    const { memberId, reference } = await enrol();
    const page = Array.from({ length: 50 }, (_, n) => aPurchase({ member: reference, amount: (n + 1) * 100 }));
    await points.intake.take(page);
    const amounts = (await stored(memberId)).map((event) => (JSON.parse(event.data) as { amount: number }).amount);
    expect(amounts).toEqual(page.map((_, n) => n + 1));
  });

  it('is refused from too far ahead, and leaves nothing in the ledger', async () => {
    const { memberId, reference } = await enrol();
    const purchase = aPurchase({ member: reference, occurredAt: '2026-06-01T14:00:01+01:00' });
    const late = aPurchase({ member: reference, occurredAt: '2026-06-01T14:00:00+01:00' });
    await points.intake.take([purchase, late]);
    expect(await outcome(purchase)).toMatchObject({ status: 'refused', reason: 'occurred-in-the-future', points: 0 });
    expect(await settled(late)).toMatchObject({ status: 'taken' });
    expect(await stored(memberId)).toHaveLength(1);
  });
});

describe('a purchase of nobody', () => {
  it('is recorded without points', async () => {
    const purchase = aPurchase();
    await points.intake.take([purchase, purchase]);
    expect(await outcome(purchase)).toMatchObject({ status: 'anonymous', memberId: null, points: 0 });
  });
});

describe('a purchase whose member is unknown', () => {
  it('waits, and is taken up in the order of the purchases when the member enrols', async () => {
    const memberId = uuidv7();
    const reference = `external:${memberId}`;
    const second = aPurchase({ member: reference, amount: 200, occurredAt: '2026-03-01T00:00:00Z' });
    const first = aPurchase({ member: reference, amount: 100, occurredAt: '2026-02-01T00:00:00Z' });
    await points.intake.take([second, first]);
    expect(await outcome(second)).toMatchObject({ status: 'waiting', memberId: null, reason: 'unknown-member' });
    await points.references.add([{ reference, memberId }]);
    await points.intake.takeUp([reference]);
    await points.intake.takeUp([reference]);
    const amounts = (await stored(memberId)).map((event) => (JSON.parse(event.data) as { amount: number }).amount);
    expect(amounts).toEqual([1, 2]);
    expect(await settled(first)).toMatchObject({ status: 'taken', points: 1, reason: null });
  });

  it('is the same purchase when it comes again under another name of the member, who has enrolled since', async () => {
    const memberId = uuidv7();
    const reference = `external:${memberId}`;
    const waiting = aPurchase({ member: reference });
    const refused = aPurchase({ member: reference, occurredAt: '2026-06-02T12:00:00Z' });
    await points.intake.take([waiting, refused]);
    await points.references.add([
      { reference, memberId },
      { reference: `member:${memberId}`, memberId },
    ]);
    const again = [waiting, refused].map((one) => ({ ...one, data: { ...one.data, member: `member:${memberId}` } }));
    await points.intake.take(again);
    expect(await settled(again[0] as IncomingPurchase)).toMatchObject({ status: 'taken', points: 10 });
    expect(await outcome(again[1] as IncomingPurchase)).toMatchObject({ status: 'refused' });
    expect(await stored(memberId)).toHaveLength(1);
  });

  it('is taken once when the enrolment comes while it is being parked, whoever comes first', async () => {
    for (let round = 0; round < 20; round++) {
      const memberId = uuidv7();
      const reference = `external:${memberId}`;
      const page = [aPurchase({ member: reference, amount: 100 }), aPurchase({ member: reference, amount: 300 })];
      const enrolled = async (): Promise<void> => {
        await points.references.add([{ reference, memberId }]);
        await points.intake.takeUp([reference]);
      };
      await Promise.all([points.intake.take(page), enrolled(), points.restarted().intake.take(page)]);
      const ids = (await stored(memberId)).map((event) => event.id);
      expect(new Set(ids).size).toBe(2);
      expect(ids).toHaveLength(2);
    }
  });
});

describe('a crash', () => {
  /** What is left when the process dies right after the claims of a page were committed. */
  const diesAfterClaiming = async (page: readonly IncomingPurchase[]): Promise<void> => {
    const { intake, store } = points.restarted();
    store.append = () => Promise.reject(new Error('the process is dead'));
    await expect(intake.take(page)).rejects.toThrow();
  };

  it('between the claim and the ledger is settled by the same page coming again', async () => {
    const { memberId, reference } = await enrol();
    const page = [aPurchase({ member: reference, amount: 100 }), aPurchase({ member: reference, amount: 200 })];
    await diesAfterClaiming(page);
    expect(await stored(memberId)).toHaveLength(0);
    await Promise.all([points.restarted().intake.take(page), points.restarted().intake.take(page)]);
    expect(await stored(memberId)).toHaveLength(2);
    expect(await settled(page[1] as IncomingPurchase)).toMatchObject({ status: 'taken', points: 2 });
  });

  it('leaves the order as it was, also where the page comes again with others in between', async () => {
    const { memberId, reference } = await enrol();
    const page = Array.from({ length: 6 }, (_, n) => aPurchase({ member: reference, amount: (n + 1) * 100 }));
    await diesAfterClaiming(page.filter((_, n) => n % 2 === 0));
    await points.restarted().intake.take(page);
    const amounts = (await stored(memberId)).map((event) => (JSON.parse(event.data) as { amount: number }).amount);
    expect(amounts).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('while a waiting purchase is taken up is settled by the enrolment coming again', async () => {
    const memberId = uuidv7();
    const reference = `external:${memberId}`;
    const purchase = aPurchase({ member: reference });
    await points.intake.take([purchase]);
    await points.references.add([{ reference, memberId }]);
    const dying = points.restarted();
    dying.claims.finishTaking = () => Promise.reject(new Error('the process is dead'));
    await expect(dying.intake.takeUp([reference])).rejects.toThrow('the process is dead');
    await points.restarted().intake.takeUp([reference]);
    expect(await stored(memberId)).toHaveLength(1);
    expect(await settled(purchase)).toMatchObject({ status: 'taken', points: 10 });
  });
});

describe('the read models', () => {
  it('fold an account with many lots from a snapshot that lags', async () => {
    const { memberId, reference } = await enrol();
    for (let page = 0; page < 12; page++)
      await points.intake.take(Array.from({ length: 10 }, () => aPurchase({ member: reference, amount: 100 })));
    await eventually(async () => expect((await points.queries.balance(memberId)).available).toBe(120));
    const restarted = points.restarted();
    await restarted.intake.take([aPurchase({ member: reference, amount: 100 })]);
    expect(restarted.states.get(streamOf(memberId))).toMatchObject({ revision: 120, state: { available: 121 } });
    expect(restarted.states.get(streamOf(memberId))?.state.lots).toHaveLength(121);
  });
});
