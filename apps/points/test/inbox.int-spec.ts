import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ReturnData } from '@vafa/contracts';
import type { Actor } from '@vafa/service';
import { eventually } from '@vafa/testing';
import pg from 'pg';
import { uuidv7 } from 'uuidv7';
import type { InboxDecision } from '../src/application/inbox.js';
import type { IncomingPurchase } from '../src/application/intake.js';
import {
  OWN_CLAIMS_PER_DAY_MAX,
  OWN_MISSES_PER_DAY_MAX,
  type PurchaseClaim,
} from '../src/application/purchase-claims.js';
import { streamOf } from '../src/domain/account.js';
import type { InboxAction } from '../src/domain/inbox.js';
import { anActivity, aPurchase, aReturn, enrolled, startFixture, type Fixture } from './fixture.js';

let points: Fixture;

beforeAll(async () => {
  points = await startFixture();
  points.reader.start();
});
afterAll(() => points.close());

const actor = (subject: string, role: Actor['role'] = 'support'): Actor => ({
  subject,
  role,
  clientId: 'console',
  requestId: null,
});
const sara = actor('sara');
const omid = actor('omid');

const decision = (action: InboxAction, changes: Partial<InboxDecision> = {}): InboxDecision => ({
  action,
  reason: 'the customer called',
  actor: sara,
  member: null,
  purchaseId: null,
  ...changes,
});

/** What becomes of a return that is carried over. */
const TAKEN = { status: 'taken', reason: null };
const UNKNOWN_LINE = { status: 'quarantined', reason: 'unknown-line: line 1' };

const stored = async (memberId: string): Promise<number> =>
  (await points.store.load([streamOf(memberId)])).get(streamOf(memberId))?.length ?? 0;

const balance = async (memberId: string): Promise<number> => (await points.queries.balance(memberId)).balance;

/** A purchase whose member is unknown, and its item. */
const waiting = async (amount = 1_000): Promise<{ purchase: IncomingPurchase; itemId: string }> => {
  const purchase = aPurchase({ member: `external:${uuidv7()}`, amount });
  await points.intake.take([purchase]);
  return { purchase, itemId: await itemOf(purchase) };
};

/** The open items of a key, in the order in which they came. */
const itemsOf = async ({ source, naturalId }: { source: string; naturalId: string }): Promise<string[]> => {
  const found = (await points.items.list({ source }, 500, null)).filter((item) => item.naturalId === naturalId);
  return found.map(({ itemId }) => itemId);
};
const itemOf = async (key: { source: string; naturalId: string }): Promise<string> => {
  const [itemId] = await itemsOf(key);
  if (itemId === undefined) throw new Error('there is no item');
  return itemId;
};

/** The first conflict of a key. */
const conflictOf = async ({ naturalId }: { naturalId: string }): Promise<string> => {
  const conflicts = await points.items.list({ status: 'conflict' }, 500, null);
  const itemId = conflicts.find((item) => item.naturalId === naturalId)?.itemId;
  if (itemId === undefined) throw new Error('there is no conflict');
  return itemId;
};

/** Events of the account that are in the read models. */
const folded = async (memberId: string): Promise<number> => {
  const [row] = await points.database.query<{ revision: number }>(
    'select revision from points.accounts where account_id = $1',
    [memberId],
  );
  return (row?.revision ?? -1) + 1;
};

/** Decisions of which something is still to be done. */
const unfinished = async (): Promise<number> => {
  const rows = await points.database.query('select 1 from points.settlements where finished_at is null');
  return rows.length;
};

const auditOf = ({ kind, source, naturalId }: IncomingPurchase) =>
  points.audit
    .list({ subject: `${kind}:${source}/${naturalId}`, limit: 10 })
    .then(({ entries }) => entries.map(({ action, reason, details }) => ({ action, reason, how: details['action'] })));

describe('what waits for a member', () => {
  it('is given to one by hand, and counts for him once', async () => {
    const { memberId, reference } = await enrolled(points);
    const { purchase, itemId } = await waiting();
    const attach = decision('attach', { member: reference });
    const outcome = await points.inbox.settle(itemId, attach);
    expect(outcome).toMatchObject({ accepted: true, settlement: { action: 'attach', target: memberId } });
    expect(await points.restarted().inbox.settle(itemId, attach)).toEqual({
      ...outcome,
      settlement: { ...(outcome as { settlement: object }).settlement, finishedAt: expect.any(String) },
    });
    await eventually(async () => expect(await balance(memberId)).toBe(10));
    expect(await stored(memberId)).toBe(1);
    expect(await points.register.find(purchase)).toMatchObject({ status: 'taken', memberId, points: 10 });
    expect(await auditOf(purchase)).toEqual([
      { action: 'inbox.settled', reason: 'the customer called', how: 'attach' },
    ]);
  });

  it('stays the same purchase under the name that it came with', async () => {
    const { memberId, reference } = await enrolled(points);
    const { purchase, itemId } = await waiting();
    await points.inbox.settle(itemId, decision('attach', { member: reference }));
    await points.intake.take([purchase, { ...purchase, data: { ...purchase.data, member: reference } }]);
    expect(await itemsOf(purchase)).toEqual([]);
    expect(await stored(memberId)).toBe(1);
  });

  it('is not given to somebody unknown, nor to nobody, nor handled in a way that is not possible', async () => {
    const { itemId } = await waiting();
    const rejection = async (changed: InboxDecision) => {
      const outcome = await points.inbox.settle(itemId, changed);
      return outcome.accepted ? null : outcome.rejection.code;
    };
    expect(await rejection(decision('attach', { member: 'external:nobody' }))).toBe('target-unknown');
    expect(await rejection(decision('attach'))).toBe('target-needed');
    expect(await rejection(decision('keep'))).toBe('action-not-possible');
    expect(await points.inbox.settle(uuidv7(), decision('discard'))).toMatchObject({ accepted: false });
    expect((await points.items.find(itemId))?.open).toBe(true);
  });

  it('is discarded for good, and keeps its content and why', async () => {
    const { purchase, itemId } = await waiting();
    expect(await points.inbox.settle(itemId, decision('discard'))).toMatchObject({ accepted: true });
    expect(await points.register.find(purchase)).toMatchObject({ status: 'refused', reason: 'discarded' });
    const view = await points.inboxReader.show(itemId);
    expect(view).toMatchObject({
      item: { open: false },
      settlement: { action: 'discard', actor: { subject: 'sara' } },
    });
    expect(JSON.parse(view?.item.content ?? '')).toMatchObject({ purchaseId: purchase.naturalId, total: 1_000 });
    // The enrolment that would have taken it up finds nothing.
    const memberId = uuidv7();
    await points.references.add([{ reference: purchase.data.member ?? '', memberId }]);
    await points.intake.takeUp([purchase.data.member ?? '']);
    expect(await stored(memberId)).toBe(0);
  });

  it('is settled by one of two people who act at once', async () => {
    const { memberId, reference } = await enrolled(points);
    for (let round = 0; round < 10; round++) {
      const { purchase, itemId } = await waiting(100);
      const outcomes = await Promise.all([
        points.inbox.settle(itemId, decision('attach', { member: reference })),
        points.restarted().inbox.settle(itemId, decision('discard', { actor: omid })),
      ]);
      const won = outcomes.filter((outcome) => outcome.accepted);
      const lost = outcomes.filter((outcome) => !outcome.accepted);
      expect(won).toHaveLength(1);
      expect(lost).toMatchObject([
        { rejection: { code: 'already-settled', settlement: won[0]?.settlement.actor && {} } },
      ]);
      const found = await points.register.find(purchase);
      expect(found?.status).toBe(won[0]?.settlement.action === 'attach' ? 'taken' : 'refused');
      expect(await auditOf(purchase)).toHaveLength(1);
    }
    await eventually(async () => expect(await stored(memberId)).toBe(await balance(memberId)));
  });

  it('is taken once when its member enrols at the moment in which it is given to another', async () => {
    for (let round = 0; round < 10; round++) {
      const other = await enrolled(points);
      const { purchase, itemId } = await waiting(100);
      const memberId = uuidv7();
      const reference = purchase.data.member ?? '';
      const enrols = async (): Promise<void> => {
        await points.references.add([{ reference, memberId }]);
        await points.restarted().intake.takeUp([reference]);
      };
      await Promise.all([enrols(), points.inbox.settle(itemId, decision('attach', { member: other.reference }))]);
      expect((await stored(memberId)) + (await stored(other.memberId))).toBe(1);
    }
  });

  it('an activity, too, is given to a member', async () => {
    const { memberId, reference } = await enrolled(points);
    const activity = anActivity({ member: `external:${uuidv7()}` });
    await points.activities.take([activity]);
    await points.inbox.settle(await itemOf(activity), decision('attach', { member: reference }));
    expect(await points.register.find(activity)).toMatchObject({ status: 'taken', memberId });
  });
});

describe('a conflict', () => {
  /** A purchase as it stands, and another under its key. */
  const conflict = async (standing: string | null, other: string | null, amount = 2_000) => {
    const purchase = aPurchase({ member: standing });
    const changed = aPurchase({ purchaseId: purchase.naturalId, member: other, amount });
    await points.intake.take([purchase, changed]);
    const itemId = await conflictOf(purchase);
    return { purchase, changed, itemId };
  };

  it('shows both contents and where they differ', async () => {
    const { reference } = await enrolled(points);
    const { itemId } = await conflict(reference, reference);
    const view = await points.inboxReader.show(itemId);
    expect(view?.differences).toEqual([
      { pointer: '/lines/0/amount', standing: 1_000, other: 2_000 },
      { pointer: '/total', standing: 1_000, other: 2_000 },
    ]);
    expect(view).toMatchObject({ actions: ['keep', 'replace'], item: { reason: 'other-content' } });
    const [one, other] = [await enrolled(points), await enrolled(points)];
    const stolen = await conflict(one.reference, other.reference, 1_000);
    expect(await points.inboxReader.show(stolen.itemId)).toMatchObject({
      item: { reason: 'other-member', reference: other.reference },
      standing: { reference: one.reference },
      differences: [],
    });
  });

  it('is closed by keeping what stands; the other content stays to be seen', async () => {
    const { memberId, reference } = await enrolled(points);
    const { purchase, changed, itemId } = await conflict(reference, reference);
    expect(await points.inbox.settle(itemId, decision('keep'))).toMatchObject({ accepted: true });
    await points.intake.take([changed]);
    expect(await itemsOf(purchase)).toEqual([]);
    expect((await points.inboxReader.show(itemId))?.item).toMatchObject({ open: false, hash: changed.hash });
    await eventually(async () => expect(await balance(memberId)).toBe(10));
  });

  it.each([
    ['a purchase of nobody', () => Promise.resolve(null)],
    ['a purchase that waits', () => Promise.resolve(`external:${uuidv7()}`)],
  ])('replaces %s by a purchase of a member, whatever statement the process dies at', async (_what, standing) => {
    for (let statements = 0, done = false; !done; statements++) {
      const { memberId, reference } = await enrolled(points);
      const { purchase, itemId } = await conflict(await standing(), reference);
      const dying = points.mortal(statements);
      const outcome = await dying.inbox.settle(itemId, decision('replace')).catch((error: Error) => error);
      done = !(outcome instanceof Error) && outcome.accepted && outcome.settlement.finishedAt !== null;
      const alive = points.restarted();
      await alive.inbox.finishAll();
      // Before the decision was written there is nothing to go on with: the person decides again.
      expect(await alive.inbox.settle(itemId, decision('replace'))).toMatchObject({ accepted: true });
      expect(alive.errors).toEqual([]);
      expect(await stored(memberId)).toBe(1);
      await eventually(async () => expect(await balance(memberId)).toBe(20));
      expect(await points.register.find(purchase)).toMatchObject({ status: 'refused', reason: 'replaced' });
      const view = await points.inboxReader.show(itemId);
      expect(view?.replacement).toMatchObject({ status: 'taken', memberId, points: 20 });
    }
  });

  it('is settled by one of two people, and the other is told by whom', async () => {
    const { itemId } = await conflict(null, null);
    const outcomes = await Promise.all([
      points.inbox.settle(itemId, decision('keep')),
      points.restarted().inbox.settle(itemId, decision('keep', { actor: omid })),
    ]);
    const lost = outcomes.find((outcome) => !outcome.accepted);
    const won = outcomes.find((outcome) => outcome.accepted);
    expect(lost).toMatchObject({ rejection: { code: 'already-settled', settlement: { action: 'keep' } } });
    expect([sara.subject, omid.subject]).toContain(won?.accepted && won.settlement.actor.subject);
  });
});

describe('a conflict with a purchase in the ledger', () => {
  /** A purchase of 10 points of which 4 came back, and another content under its key of 20. */
  const conflict = async (memberId: string) => {
    const member = `member:${memberId}`;
    const purchase = aPurchase({ member });
    await points.intake.take([purchase, aPurchase({ purchaseId: purchase.naturalId, member, amount: 2_000 })]);
    await points.returns.take([aReturn({ purchaseId: purchase.naturalId, lines: [{ lineId: '1', amount: 400 }] })]);
    return { purchase, itemId: await conflictOf(purchase) };
  };

  it('ends as if only the other content had been bought and come back in part, whatever statement the process dies at', async () => {
    for (let statements = 0, done = false; !done; statements++) {
      const { memberId } = await enrolled(points);
      const { purchase, itemId } = await conflict(memberId);
      const dying = points.mortal(statements);
      const outcome = await dying.inbox.settle(itemId, decision('replace')).catch((error: Error) => error);
      done = !(outcome instanceof Error) && outcome.accepted && outcome.settlement.finishedAt !== null;
      const alive = points.restarted();
      await alive.inbox.finishAll();
      expect(await alive.inbox.settle(itemId, decision('replace'))).toMatchObject({ accepted: true });
      expect(alive.errors).toEqual([]);
      // The purchase, its return, the return of the rest, the other purchase, and the return once more, of that.
      expect(await stored(memberId)).toBe(5);
      await eventually(async () => expect(await balance(memberId)).toBe(16));
      expect(await points.register.find(purchase)).toMatchObject({ status: 'taken', reason: 'replaced' });
    }
  });

  it('has a later return of the purchase be of what replaced it', async () => {
    const { memberId } = await enrolled(points);
    const { purchase, itemId } = await conflict(memberId);
    await points.inbox.settle(itemId, decision('replace'));
    const back = aReturn({ purchaseId: purchase.naturalId, lines: [{ lineId: '1', amount: 500 }] });
    await points.returns.take([back]);
    expect(await points.register.find(back)).toMatchObject({ status: 'taken' });
    await eventually(async () => expect(await balance(memberId)).toBe(11));
  });

  it.each<[string, Partial<ReturnData>, object, number, object]>([
    ['the pieces, where they cost something else', { lines: [{ lineId: '1', quantity: '2' }] }, {}, 10, TAKEN],
    ['the money, where no pieces came back', { lines: [{ lineId: '1', amount: 300 }] }, {}, 17, TAKEN],
    ['all of it', { whole: true }, {}, 0, TAKEN],
    ['nothing of a line that is gone, which a person sees', { whole: true }, { lineId: '2' }, 20, UNKNOWN_LINE],
  ])('carries over what came back: %s', async (_what, back, changes, left, outcome) => {
    const { memberId, reference } = await enrolled(points);
    const line = { lineId: '1', quantity: '4', amount: 1_000, kind: 'goods' } as const;
    const purchase = aPurchase({ member: reference, lines: [line] });
    const { naturalId: purchaseId } = purchase;
    const lines = [{ ...line, amount: 2_000, ...changes }];
    await points.intake.take([purchase, aPurchase({ purchaseId, member: reference, amount: 2_000, lines })]);
    await points.returns.take([aReturn({ purchaseId, ...back })]);
    const itemId = await conflictOf(purchase);
    await points.inbox.settle(itemId, decision('replace'));
    expect(points.errors).toEqual([]);
    await eventually(async () => expect(await balance(memberId)).toBe(left));
    const carried = await points.database.query('select status, reason from points.claims where natural_id like $1', [
      `carried-%;replacement=${itemId}`,
    ]);
    expect(carried).toEqual([outcome]);
  });

  it('is not replaced by what would be refused itself, and stays as it is', async () => {
    const { memberId, reference } = await enrolled(points);
    const purchase = aPurchase({ member: reference, amount: 1_000 });
    const { naturalId: purchaseId } = purchase;
    const occurredAt = '2099-01-01T00:00:00Z';
    await points.intake.take([purchase, aPurchase({ purchaseId, member: reference, amount: 2_000, occurredAt })]);
    const outcome = await points.inbox.settle(await conflictOf(purchase), decision('replace'));
    expect(outcome).toEqual({
      accepted: false,
      rejection: { code: 'replacement-refused', reason: 'occurred-in-the-future', actions: ['keep'] },
    });
    expect(await points.register.find(purchase)).toMatchObject({ status: 'taken', reason: null });
    await eventually(async () => expect(await balance(memberId)).toBe(10));
    expect(await stored(memberId)).toBe(1);
  });

  it('counts one content only where two others replace it, one after the other or at once', async () => {
    for (const atOnce of [false, true, true, true]) {
      const { memberId } = await enrolled(points);
      const { purchase, itemId } = await conflict(memberId);
      const third = aPurchase({ purchaseId: purchase.naturalId, member: `member:${memberId}`, amount: 3_000 });
      await points.intake.take([third]);
      const ids = [itemId, (await itemsOf(purchase)).find((id) => id !== itemId) ?? ''];
      const [one, other] = [points.restarted(), points.restarted()];
      const settle = (inbox: typeof one, id = ''): Promise<unknown> => inbox.inbox.settle(id, decision('replace'));
      if (atOnce) await Promise.all([settle(one, ids[0]), settle(other, ids[1])]);
      else for (const id of ids) await settle(one, id);
      await eventually(async () => {
        await points.inbox.finishAll();
        expect(await unfinished()).toBe(0);
      });
      const events = await stored(memberId);
      await eventually(async () => expect(await folded(memberId)).toBe(events));
      const now = await balance(memberId);
      expect(atOnce ? [16, 26] : [26]).toContain(now);
    }
  });
});

describe('a return in the inbox', () => {
  it('that waits for a purchase nobody knows is given to the one it is of', async () => {
    for (let statements = 0, done = false; !done; statements++) {
      const { memberId, reference } = await enrolled(points);
      const purchase = aPurchase({ member: reference });
      const back = aReturn({
        purchaseId: uuidv7(),
        member: 'external:somebody',
        lines: [{ lineId: '1', amount: 300 }],
      });
      await points.intake.take([purchase]);
      await points.returns.take([back]);
      const itemId = await itemOf(back);
      const attach = decision('attach', { purchaseId: purchase.naturalId });
      const dying = points.mortal(statements);
      const outcome = await dying.inbox.settle(itemId, attach).catch((error: Error) => error);
      done = !(outcome instanceof Error) && outcome.accepted && outcome.settlement.finishedAt !== null;
      const alive = points.restarted();
      await alive.inbox.finishAll();
      expect(await alive.inbox.settle(itemId, attach)).toMatchObject({ accepted: true });
      expect(await points.register.find(back)).toMatchObject({ status: 'taken', memberId });
      await eventually(async () => expect(await balance(memberId)).toBe(7));
    }
  });

  it('that names no purchase is given to one, or goes back over the latest, or is given up', async () => {
    const { memberId, reference } = await enrolled(points);
    const purchase = aPurchase({ member: reference });
    await points.intake.take([purchase]);
    const lost = Array.from({ length: 3 }, () => aReturn({ member: reference, amount: 200, currency: 'EUR' }));
    await points.returns.take(lost);
    const [one = '', two = '', three = ''] = await Promise.all(lost.map(itemOf));
    expect((await points.inboxReader.show(one))?.actions).toEqual(['attach', 'approve', 'discard']);
    const nothing = decision('attach', { purchaseId: uuidv7() });
    expect(await points.inbox.settle(one, nothing)).toMatchObject({
      rejection: { code: 'target-unknown', field: 'purchaseId' },
    });
    const attach = decision('attach', { purchaseId: purchase.naturalId });
    expect(await points.inbox.settle(one, attach)).toMatchObject({ accepted: true });
    expect(await points.inbox.settle(two, decision('approve'))).toMatchObject({ accepted: true });
    expect(await points.inbox.settle(three, decision('discard'))).toMatchObject({ accepted: true });
    const statuses = await Promise.all(lost.map((back) => points.register.find(back).then((found) => found?.status)));
    expect(statuses).toEqual(['taken', 'taken', 'refused']);
    await eventually(async () => expect(await balance(memberId)).toBe(6));
  });

  it('that came too late is taken once somebody approves it, by one of two who decide', async () => {
    const strict = await startFixture({ windowDays: 5 });
    try {
      const { memberId, reference } = await enrolled(strict);
      const purchase = aPurchase({ member: reference });
      const back = aReturn({ purchaseId: purchase.naturalId });
      await strict.intake.take([purchase]);
      await strict.returns.take([back]);
      const [item] = await strict.items.list({ status: 'quarantined' }, 10, null);
      expect(item).toMatchObject({ reason: 'approval-needed', naturalId: back.naturalId });
      const outcomes = await Promise.all([
        strict.inbox.settle(item?.itemId ?? '', decision('approve')),
        strict.restarted().inbox.settle(item?.itemId ?? '', decision('discard', { actor: omid })),
      ]);
      expect(outcomes.filter(({ accepted }) => accepted)).toHaveLength(1);
      const approved = outcomes[0].accepted;
      const [claim] = (await strict.claims.find([back])).values();
      expect(claim?.status).toBe(approved ? 'taken' : 'refused');
      const events = (await strict.store.load([streamOf(memberId)])).get(streamOf(memberId));
      expect(events).toHaveLength(approved ? 2 : 1);
    } finally {
      await strict.close();
    }
  });

  it('learns that its purchase was given up', async () => {
    const { purchase, itemId } = await waiting();
    const back = aReturn({ purchaseId: purchase.naturalId });
    await points.returns.take([back]);
    await points.inbox.settle(itemId, decision('discard'));
    expect(await points.register.find(back)).toMatchObject({
      status: 'refused',
      reason: expect.stringContaining('discarded'),
    });
  });
});

describe('the list', () => {
  it('is in the order of arrival, filtered, and paged without a gap', async () => {
    const source = `/till-${uuidv7()}`;
    const page = Array.from({ length: 5 }, () => ({ ...aPurchase({ member: `external:${uuidv7()}` }), source }));
    await points.intake.take(page);
    const first = page[0] as IncomingPurchase;
    const changed = aPurchase({ purchaseId: first.naturalId, amount: 1 });
    await points.intake.take([{ ...changed, source }]);
    const seen: string[] = [];
    for (let after: string | null = null; ;) {
      const items = await points.items.list({ source }, 2, after);
      seen.push(...items.map(({ naturalId, status }) => `${status} ${naturalId}`));
      after = items.at(-1)?.itemId ?? null;
      if (after === null) break;
    }
    expect(seen).toEqual([...page.map(({ naturalId }) => `waiting ${naturalId}`), `conflict ${first.naturalId}`]);
    const count = (filter: object) => points.items.list({ source, ...filter }, 10, null).then((items) => items.length);
    expect(await count({ status: 'conflict' })).toBe(1);
    expect(await count({ reason: 'unknown-member' })).toBe(5);
    expect(await count({ reason: 'other-content' })).toBe(1);
    expect(await count({ kind: 'activity' })).toBe(0);
    const counts = await points.items.counts();
    const waitingNow = counts.find(({ status }) => status === 'waiting');
    expect(waitingNow?.count).toBeGreaterThanOrEqual(5);
    expect(waitingNow?.oldest).toMatch(/^2026-06-01T/);
  });
});

describe('a purchase of nobody', () => {
  const claim = (
    purchase: IncomingPurchase,
    memberId: string,
    changes: Partial<PurchaseClaim> = {},
  ): PurchaseClaim => ({
    memberId,
    source: purchase.source,
    purchaseId: purchase.naturalId,
    receipt: { total: purchase.data.total, currency: 'EUR', date: '2026-05-01' },
    actor: actor(memberId, 'member'),
    reason: 'claimed with the receipt',
    ...changes,
  });
  const anonymous = async (changes: Parameters<typeof aPurchase>[0] = {}): Promise<IncomingPurchase> => {
    const purchase = aPurchase(changes);
    await points.intake.take([purchase]);
    return purchase;
  };

  it('is claimed with its receipt, once, and its repeats stay repeats', async () => {
    const { memberId } = await enrolled(points);
    const purchase = await anonymous();
    expect(await points.purchaseClaims.claim(claim(purchase, memberId))).toBeNull();
    expect(await points.purchaseClaims.claim(claim(purchase, memberId))).toBeNull();
    await points.intake.take([purchase, { ...purchase, data: { ...purchase.data, member: `member:${memberId}` } }]);
    await eventually(async () => expect(await balance(memberId)).toBe(10));
    expect(await stored(memberId)).toBe(1);
    expect(await itemsOf(purchase)).toEqual([]);
  });

  it('brings its member the points of what was kept of it, before and after', async () => {
    const { memberId } = await enrolled(points);
    const purchase = await anonymous();
    const back = (amount: number) => aReturn({ purchaseId: purchase.naturalId, lines: [{ lineId: '1', amount }] });
    await points.returns.take([back(300)]);
    expect(await points.purchaseClaims.claim(claim(purchase, memberId))).toBeNull();
    await eventually(async () => expect(await balance(memberId)).toBe(7));
    await points.returns.take([back(200)]);
    await eventually(async () => expect(await balance(memberId)).toBe(5));
  });

  it('keeps what came back of it, whoever is named there and whoever claims it', async () => {
    const { memberId } = await enrolled(points);
    const { reference: other } = await enrolled(points);
    for (const member of [other, `external:${uuidv7()}`]) {
      const purchase = await anonymous();
      const back = aReturn({ purchaseId: purchase.naturalId, member, lines: [{ lineId: '1', amount: 400 }] });
      await points.returns.take([back]);
      expect(await points.purchaseClaims.claim(claim(purchase, memberId))).toBeNull();
      expect(await points.register.find(back)).toMatchObject({
        memberId,
        status: expect.stringMatching(/taken|waiting/),
      });
      await eventually(async () =>
        expect(await points.register.find(back)).toMatchObject({ status: 'taken', points: -4 }),
      );
    }
    await eventually(async () => expect(await balance(memberId)).toBe(12));
  });

  it('is not given to whoever has no receipt of it, or one of another', async () => {
    const { memberId } = await enrolled(points);
    const purchase = await anonymous();
    const refused = { code: 'unknown-purchase' };
    const wrong = { total: 999, currency: 'EUR', date: '2026-05-01' };
    expect(await points.purchaseClaims.claim(claim(purchase, memberId, { receipt: wrong }))).toEqual(refused);
    const late = { total: 1_000, currency: 'EUR', date: '2026-05-03' };
    expect(await points.purchaseClaims.claim(claim(purchase, memberId, { receipt: late }))).toEqual(refused);
    expect(await points.purchaseClaims.claim(claim(aPurchase(), memberId))).toEqual(refused);
    expect(await stored(memberId)).toBe(0);
  });

  it('goes to the first of many who claim it at once', async () => {
    const members = await Promise.all(Array.from({ length: 6 }, () => enrolled(points)));
    const purchase = await anonymous();
    const results = await Promise.all(
      members.map(({ memberId }) => points.restarted().purchaseClaims.claim(claim(purchase, memberId))),
    );
    expect(results.filter((result) => result === null)).toHaveLength(1);
    expect(results.filter((result) => result?.code === 'already-claimed')).toHaveLength(5);
    const events = await Promise.all(members.map(({ memberId }) => stored(memberId)));
    expect(events.reduce((sum, count) => sum + count, 0)).toBe(1);
  });

  it('reaches the ledger whatever statement the process dies at', async () => {
    for (let statements = 0, done = false; !done; statements++) {
      const { memberId } = await enrolled(points);
      const purchase = await anonymous();
      const dying = points.mortal(statements);
      const result = await dying.purchaseClaims.claim(claim(purchase, memberId)).catch((error: Error) => error);
      done = result === null && dying.errors.length === 0;
      const alive = points.restarted();
      await alive.inbox.finishAll();
      expect(await alive.purchaseClaims.claim(claim(purchase, memberId))).toBeNull();
      expect(await stored(memberId)).toBe(1);
      await eventually(async () => expect(await balance(memberId)).toBe(10));
    }
  });

  it('is not found by trying: a member has so many misses a day, and nothing is told beyond them', async () => {
    const { memberId } = await enrolled(points);
    const [theirs, taken] = [await anonymous(), await anonymous()];
    expect(await points.purchaseClaims.claim(claim(taken, memberId))).toBeNull();
    const guesses = await Promise.all(
      Array.from({ length: OWN_MISSES_PER_DAY_MAX + 6 }, (_, n) => {
        const receipt = { total: 100 + n, currency: 'EUR', date: '2026-05-01' };
        return points.purchaseClaims.claim(claim(n % 2 === 0 ? theirs : aPurchase(), memberId, { receipt }));
      }),
    );
    const tooMany = { code: 'too-many-claims', limit: OWN_CLAIMS_PER_DAY_MAX };
    expect(guesses.filter((result) => result?.code === 'unknown-purchase')).toHaveLength(OWN_MISSES_PER_DAY_MAX);
    expect(guesses.filter((result) => result?.code === 'too-many-claims')).toHaveLength(6);
    // Not the right one either, or the answer would say which it is; what is the member's already stays so.
    expect(await points.purchaseClaims.claim(claim(theirs, memberId))).toEqual(tooMany);
    expect(await points.purchaseClaims.claim(claim(taken, memberId))).toBeNull();
    const other = await enrolled(points);
    expect(await points.purchaseClaims.claim(claim(theirs, other.memberId))).toBeNull();
    expect(await points.purchaseClaims.claim(claim(theirs, memberId))).toEqual(tooMany);
    // A day later it is tried anew.
    await points.database.query(
      `update points.missed_claims set missed_at = missed_at - interval '24 hours' where member_id = $1`,
      [memberId],
    );
    expect(await points.purchaseClaims.claim(claim(theirs, memberId))).toEqual({ code: 'already-claimed' });
  });

  it('that can be neither claimed nor found claimed is told as a fault, and not tried for ever', async () => {
    const { memberId } = await enrolled(points);
    const purchase = await anonymous();
    const admin = new pg.Client({ connectionString: points.url });
    await admin.connect();
    await admin.query(
      `create function points.keep_as_it_is() returns trigger language plpgsql as 'begin return null; end';
       create trigger stuck before update on points.claims for each row
         when (old.natural_id = '${purchase.naturalId}') execute function points.keep_as_it_is()`,
    );
    await expect(points.purchaseClaims.claim(claim(purchase, memberId))).rejects.toThrow('was lost 3 times');
    await admin.query('drop trigger stuck on points.claims');
    await admin.end();
    expect(await points.purchaseClaims.claim(claim(purchase, memberId))).toBeNull();
  });

  it('is a member’s own to claim within limits, and anybody’s for staff, who stand in the audit', async () => {
    const { memberId } = await enrolled(points);
    const old = await anonymous({ occurredAt: '2026-01-01T10:00:00Z' });
    const receipt = { total: 1_000, currency: 'EUR', date: '2026-01-01' };
    expect(await points.purchaseClaims.claim(claim(old, memberId, { receipt }))).toMatchObject({
      code: 'purchase-too-old',
    });
    const purchases = await Promise.all(Array.from({ length: OWN_CLAIMS_PER_DAY_MAX + 3 }, () => anonymous()));
    const results = await Promise.all(
      purchases.map((purchase) => points.purchaseClaims.claim(claim(purchase, memberId))),
    );
    expect(results.filter((result) => result === null)).toHaveLength(OWN_CLAIMS_PER_DAY_MAX);
    expect(results.filter((result) => result?.code === 'too-many-claims')).toHaveLength(3);
    const byStaff = claim(old, memberId, { actor: sara, receipt: null, reason: 'brought the receipt' });
    expect(await points.purchaseClaims.claim(byStaff)).toBeNull();
    expect(await auditOf(old)).toEqual([{ action: 'inbox.settled', reason: 'brought the receipt', how: 'claim' }]);
    expect(await auditOf(purchases[0] as IncomingPurchase)).toEqual([]);
  });
});
