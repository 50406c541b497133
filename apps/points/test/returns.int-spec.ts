import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { PurchaseData, ReturnData } from '@vafa/contracts';
import { eventually } from '@vafa/testing';
import { uuidv7 } from 'uuidv7';
import { streamOf } from '../src/domain/account.js';
import { pointsCodec } from '../src/events/points-forms.js';
import type { PointsEvent } from '../src/events/points-event.js';
import type { IncomingReturn } from '../src/application/returns.js';
import { APPROVED } from '../src/application/return-decision.js';
import { aPurchase, aReturn, enrolled, startFixture, type Fixture } from './fixture.js';

let points: Fixture;

beforeAll(async () => {
  points = await startFixture();
  points.reader.start();
});
afterAll(() => points.close());

const settled = (one: IncomingReturn, from: Fixture = points) =>
  eventually(async () => {
    const [found] = await from.register.outcomes([one]);
    expect(found).toBeTruthy();
    return found;
  });

const events = async (memberId: string, from: Fixture = points): Promise<PointsEvent[]> => {
  const stored = (await from.store.load([streamOf(memberId)])).get(streamOf(memberId)) ?? [];
  return stored.map((one) => pointsCodec.decode(one).event);
};

const balanceIs = (memberId: string, expected: object, from: Fixture = points) =>
  eventually(async () => expect(await from.queries.balance(memberId)).toMatchObject(expected));

const LINES: PurchaseData['lines'] = [
  { lineId: '1', amount: 1_050, kind: 'goods', quantity: '3' },
  { lineId: '2', amount: 949, kind: 'goods', quantity: '1' },
  { lineId: '3', amount: 500, kind: 'gift-card' },
];

const basket = (member: string | null, changes: Partial<PurchaseData> = {}) =>
  aPurchase({ member, lines: LINES, total: 2_499, ...changes });

const back = (purchase: { naturalId: string }, member: string | null, changes: Partial<ReturnData> = {}) =>
  aReturn({ purchaseId: purchase.naturalId, member, ...changes });

describe('a return', () => {
  it('of lines leaves what the kept goods are worth, whichever comes first', async () => {
    const { memberId, reference } = await enrolled(points);
    const purchase = basket(reference);
    await points.intake.take([purchase]);
    const one = back(purchase, reference, { lines: [{ lineId: '1', amount: 350, quantity: '1' }] });
    const two = back(purchase, reference, { lines: [{ lineId: '2', quantity: '1' }] });
    await points.returns.take([one, two]);
    // 19 for 19.99; 16 for what 16.49 are worth; 7 for the 7.00 that are kept.
    expect(await settled(one)).toMatchObject({ status: 'taken', points: -3, memberId });
    expect(await settled(two)).toMatchObject({ status: 'taken', points: -9 });
    await balanceIs(memberId, { balance: 7, available: 7, debt: 0 });
    expect(await points.queries.lots(memberId, 10, null)).toMatchObject([{ amount: 19, remaining: 7 }]);
    const rest = back(purchase, reference);
    await points.returns.take([rest]);
    expect(await settled(rest)).toMatchObject({ status: 'taken', points: -7 });
    await balanceIs(memberId, { balance: 0 });
    expect(await points.queries.lots(memberId, 10, null)).toEqual([]);
    const drawn = await points.database.query<{ amount: string }>(
      'select amount from points.lot_draws where account_id = $1 order by revision',
      [memberId],
    );
    expect(drawn.map(({ amount }) => Number(amount))).toEqual([3, 9, 7]);
  });

  it('changes nothing when it comes again, or after a restart, and is a conflict with other content', async () => {
    const { memberId, reference } = await enrolled(points);
    const purchase = basket(reference);
    const one = back(purchase, reference, { lines: [{ lineId: '1', amount: 350 }] });
    await points.intake.take([purchase]);
    await points.returns.take([one, one]);
    await points.returns.take([one]);
    await points.restarted().returns.take([one]);
    expect(await events(memberId)).toHaveLength(2);
    const other = back(purchase, reference, { returnId: one.naturalId });
    await points.returns.take([other]);
    expect(await settled(other)).toMatchObject({ status: 'conflict' });
    expect(await events(memberId)).toHaveLength(2);
  });

  it.each<[string, Partial<ReturnData>, string]>([
    ['more money than the line cost', { lines: [{ lineId: '2', amount: 950 }] }, 'more-than-left: line 2 has 949 left'],
    [
      'more goods than were bought',
      { lines: [{ lineId: '1', quantity: '3.5' }] },
      'more-than-left: line 1 has a quantity of 3 left',
    ],
    [
      'the same goods twice',
      {
        lines: [
          { lineId: '2', amount: 500 },
          { lineId: '2', amount: 450 },
        ],
      },
      'more-than-left: line 2 has 449 left',
    ],
    ['a line that was not there', { lines: [{ lineId: '9', amount: 1 }] }, 'unknown-line: line 9'],
  ])('of %s is refused and says so', async (_what, changes, reason) => {
    const { memberId, reference } = await enrolled(points);
    const purchase = basket(reference);
    await points.intake.take([purchase]);
    const one = back(purchase, reference, changes);
    await points.returns.take([one]);
    expect(await settled(one)).toMatchObject({ status: 'refused', reason, points: 0 });
    expect(await events(memberId)).toHaveLength(1);
  });

  it('of everything is taken once: the next finds nothing left', async () => {
    const { reference } = await enrolled(points);
    const purchase = basket(reference);
    await points.intake.take([purchase]);
    const [one, two] = [back(purchase, reference), back(purchase, reference)];
    await points.returns.take([one, two]);
    expect(await settled(one)).toMatchObject({ status: 'taken', points: -19 });
    expect(await settled(two)).toMatchObject({ status: 'refused', reason: 'nothing-left' });
  });

  it('of somebody else is refused; without a member it is the purchase’s member’s', async () => {
    const { memberId, reference } = await enrolled(points);
    const { reference: stranger } = await enrolled(points);
    const purchase = basket(reference);
    await points.intake.take([purchase]);
    const foreign = back(purchase, stranger);
    const bare = back(purchase, null);
    await points.returns.take([foreign, bare]);
    expect(await settled(foreign)).toMatchObject({ status: 'refused', reason: 'other-member' });
    expect(await settled(bare)).toMatchObject({ status: 'taken', memberId, points: -19 });
  });

  it('from the future is refused, and so is one of a refused purchase', async () => {
    const { reference } = await enrolled(points);
    const purchase = basket(reference, { occurredAt: '2027-01-01T00:00:00Z' });
    await points.intake.take([purchase]);
    const early = back(purchase, reference, { occurredAt: '2027-02-01T00:00:00Z' });
    const late = back(purchase, reference);
    await points.returns.take([early, late]);
    expect(await settled(early)).toMatchObject({ status: 'refused', reason: 'occurred-in-the-future' });
    expect(await settled(late)).toMatchObject({
      status: 'refused',
      reason: 'purchase-refused: occurred-in-the-future',
    });
  });
});

describe('a return before its purchase', () => {
  it('waits, and is taken when the purchase is', async () => {
    const { memberId, reference } = await enrolled(points);
    const purchase = basket(reference);
    const one = back(purchase, reference, { lines: [{ lineId: '1', amount: 1_050 }] });
    await points.returns.take([one]);
    expect(await settled(one)).toMatchObject({ status: 'waiting', reason: 'unknown-purchase' });
    await points.intake.take([purchase]);
    await eventually(async () =>
      expect(await settled(one)).toMatchObject({ status: 'taken', points: -10, reason: null }),
    );
    await balanceIs(memberId, { balance: 9 });
  });

  it('is taken by one of them, whichever comes first, when both come at once', async () => {
    const other = points.restarted();
    for (let round = 0; round < 15; round++) {
      const { memberId, reference } = await enrolled(points);
      const purchase = basket(reference);
      const one = back(purchase, round % 2 === 0 ? reference : null);
      await Promise.all([other.returns.take([one]), points.intake.take([purchase])]);
      const seen = await events(memberId);
      expect(seen.map(({ type }) => type)).toEqual(['PointsEarned', 'PointsReversed']);
      await eventually(async () => expect(await settled(one)).toMatchObject({ status: 'taken' }));
    }
  });

  it('waits with a purchase that waits for its member, and follows it', async () => {
    const memberId = uuidv7();
    const reference = `external:later-${memberId}`;
    const purchase = basket(reference);
    const named = back(purchase, reference, { lines: [{ lineId: '1', amount: 350 }] });
    const bare = back(purchase, null, { lines: [{ lineId: '1', amount: 350 }] });
    await points.intake.take([purchase]);
    await points.returns.take([named, bare]);
    expect(await settled(named)).toMatchObject({ status: 'waiting', reason: 'purchase-waiting' });
    await points.references.add([{ reference, memberId }]);
    await points.intake.takeUp([reference]);
    await eventually(async () => expect(await settled(bare)).toMatchObject({ status: 'taken', memberId }));
    expect(await events(memberId)).toHaveLength(3);
    await balanceIs(memberId, { balance: 12 });
  });

  it('waits for its own member, and is compared with the purchase’s then', async () => {
    const { memberId, reference } = await enrolled(points);
    const purchase = basket(reference);
    const alias = `external:alias-${memberId}`;
    const one = back(purchase, alias);
    await points.intake.take([purchase]);
    await points.returns.take([one]);
    expect(await settled(one)).toMatchObject({ status: 'waiting', reason: 'unknown-member' });
    await points.references.add([{ reference: alias, memberId }]);
    await points.returns.takeUp([alias]);
    await eventually(async () => expect(await settled(one)).toMatchObject({ status: 'taken', points: -19 }));
  });
});

describe('a return of an anonymous purchase', () => {
  it('is recorded, and what was kept counts when somebody claims the purchase', async () => {
    const { memberId } = await enrolled(points);
    const purchase = basket(null);
    const one = back(purchase, null, { lines: [{ lineId: '1', amount: 1_050 }] });
    await points.intake.take([purchase]);
    await points.returns.take([one]);
    expect(await settled(one)).toMatchObject({ status: 'anonymous', points: 0 });
    const [claim] = (await points.claims.find([purchase])).values();
    if (claim === undefined) throw new Error('the purchase has no claim');
    await points.database.query(`update points.claims set status = 'taking', account_id = $1 where claim_id = $2`, [
      memberId,
      claim.claimId,
    ]);
    // As somebody who goes on with purchases under way.
    await points.intake.take([purchase]);
    await points.returns.follow([purchase]);
    await balanceIs(memberId, { balance: 9 });
    expect(await settled(one)).toMatchObject({ status: 'taken', memberId, points: -10 });
  });
});

describe('returns of one purchase in two processes at once', () => {
  it('end where only the kept goods had been bought, and never take more than there was', async () => {
    const other = points.restarted();
    const { memberId, reference } = await enrolled(points);
    const purchase = aPurchase({
      member: reference,
      lines: Array.from({ length: 8 }, (_, i) => ({ lineId: String(i), amount: 999 + i, kind: 'goods' as const })),
      total: 8 * 999 + 28,
    });
    await points.intake.take([purchase]);
    // Each line's money comes back three times over: some of it has to be refused.
    const returns = Array.from({ length: 48 }, (_, i) =>
      back(purchase, reference, { lines: [{ lineId: String((i * 5) % 8), amount: 1 + ((i * 131) % 500) }] }),
    );
    await Promise.all(
      returns.flatMap((one, i) => [
        (i % 2 === 0 ? points : other).returns.take([one]),
        (i % 3 === 0 ? points : other).returns.take([one]),
      ]),
    );
    const outcomes = await Promise.all(returns.map((one) => settled(one)));
    const taken = returns.filter((_, i) => outcomes[i]?.status === 'taken');
    const given = taken.reduce((sum, { data }) => sum + (data.lines?.[0]?.amount ?? 0), 0);
    expect(outcomes.every((one) => one?.status === 'taken' || one?.reason?.startsWith('more-than-left'))).toBe(true);
    const seen = await events(memberId);
    expect(seen).toHaveLength(1 + taken.length);
    await balanceIs(memberId, { balance: Math.floor((purchase.data.total - given) / 100), debt: 0 });
  });
});

describe('a crash between the reservation and the ledger', () => {
  it('is made good by the repeat, with the amount that was reserved', async () => {
    const { memberId, reference } = await enrolled(points);
    const purchase = basket(reference);
    const [one, two] = [
      back(purchase, reference, { lines: [{ lineId: '1', amount: 350 }] }),
      back(purchase, reference, { lines: [{ lineId: '1', amount: 600 }] }),
    ];
    await points.intake.take([purchase]);
    await expect(points.killedAtLedger().returns.take([one])).rejects.toThrow('killed');
    await points.returns.take([two]);
    await points.returns.take([one]);
    await points.returns.take([one]);
    expect(await settled(one)).toMatchObject({ status: 'taken', points: -3 });
    expect(await settled(two)).toMatchObject({ status: 'taken', points: -6 });
    expect(await events(memberId)).toHaveLength(3);
    await balanceIs(memberId, { balance: 10 });
  });

  it('is made good where a purchase was taking up what waited for it', async () => {
    const { memberId, reference } = await enrolled(points);
    const purchase = basket(reference);
    const one = back(purchase, null);
    await points.returns.take([one]);
    await expect(points.killedAtLedger().intake.take([purchase])).rejects.toThrow();
    await points.intake.take([purchase]);
    expect(await events(memberId)).toHaveLength(2);
    await eventually(async () => expect(await settled(one)).toMatchObject({ status: 'taken' }));
  });
});

describe('a process that dies between any two statements', () => {
  it('leaves what the next one makes good: once, and of the right amount', async () => {
    let survived = false;
    for (let statements = 0; !survived; statements++) {
      const { memberId, reference } = await enrolled(points);
      const purchase = basket(reference);
      const early = back(purchase, null, { lines: [{ lineId: '1', amount: 350 }] });
      const late = back(purchase, reference, { lines: [{ lineId: '1', amount: 600 }] });
      await points.returns.take([early]);
      const dying = points.mortal(statements);
      survived = await dying.intake
        .take([purchase])
        .then(() => dying.returns.take([late]))
        .then(
          () => true,
          () => false,
        );
      // The bus brings again what was not done.
      const next = points.restarted();
      await next.intake.take([purchase]);
      await next.returns.take([late]);
      await next.returns.take([early, late]);
      const seen = await events(memberId);
      expect({ statements, types: seen.map(({ type }) => type) }).toEqual({
        statements,
        types: ['PointsEarned', 'PointsReversed', 'PointsReversed'],
      });
      const taken = seen.reduce((sum, event) => sum + (event.type === 'PointsReversed' ? event.data.amount : 0), 0);
      expect(taken).toBe(9);
      expect(statements).toBeLessThan(100);
    }
  });
});

describe('a return whose points are spent', () => {
  it('makes a debt, which the next purchase pays; beyond the limit it is written off', async () => {
    const tight = await startFixture({ debtMax: 6, otherLots: false });
    try {
      tight.reader.start();
      const { memberId, reference } = await enrolled(tight);
      const purchase = basket(reference);
      await tight.intake.take([purchase]);
      // Nothing spends points yet: a return of something unknown does as well.
      const spent = {
        type: 'ReverseAwards' as const,
        ...{
          transactionId: uuidv7(),
          memberId,
          source: '/till',
          returnId: 'spent',
          occurredAt: '2026-05-02T10:00:00Z',
        },
        ...{ currency: 'EUR', uncovered: 0, policy: { otherLots: true, debtMax: 0 } },
        reversals: [
          {
            ...{ awardId: uuidv7(), source: '/till', purchaseId: 'unknown', programme: 1 },
            components: [
              {
                ...{ rule: 'base', version: 1, rate: [1, 100] as const, rounding: 'floor' as const },
                ...{ keptBefore: 1_000, keptAfter: 0, points: 10 },
              },
            ],
          },
        ],
      };
      await tight.accounts.run([{ streamId: streamOf(memberId), id: spent.transactionId, command: spent }], {
        timeoutMs: 60_000,
      });
      const one = back(purchase, reference);
      await tight.returns.take([one]);
      expect(await settled(one, tight)).toMatchObject({ status: 'taken', points: -15 });
      await balanceIs(memberId, { balance: -6, available: 0, debt: 6 }, tight);
      const kinds = (await tight.queries.movements(memberId, 10, null)).map(({ kind, amount, writtenOff }) => [
        kind,
        amount,
        writtenOff,
      ]);
      expect(kinds).toEqual([
        ['written-off', 0, 4],
        ['reversed', -15, 0],
        ['reversed', -10, 0],
        ['earned', 19, 0],
      ]);
      await tight.intake.take([aPurchase({ member: reference, amount: 1_000 })]);
      await balanceIs(memberId, { balance: 4, available: 4, debt: 0 }, tight);
      expect(await tight.queries.lots(memberId, 10, null)).toMatchObject([{ amount: 10, remaining: 4 }]);
    } finally {
      await tight.close();
    }
  });
});

describe('a return after its window', () => {
  it('needs approval, and is taken once it is approved', async () => {
    const windowed = await startFixture({ windowDays: 14 });
    try {
      windowed.reader.start();
      const { memberId, reference } = await enrolled(windowed);
      const purchase = basket(reference, { occurredAt: '2026-05-01T10:00:00Z' });
      await windowed.intake.take([purchase]);
      const inTime = back(purchase, reference, {
        occurredAt: '2026-05-15T10:00:00Z',
        lines: [{ lineId: '1', amount: 350 }],
      });
      const late = back(purchase, reference, { occurredAt: '2026-05-15T10:00:01Z' });
      await windowed.returns.take([inTime, late]);
      expect(await settled(inTime, windowed)).toMatchObject({ status: 'taken', points: -3 });
      expect(await settled(late, windowed)).toMatchObject({ status: 'quarantined', reason: 'approval-needed' });
      const [claim] = (await windowed.claims.find([late])).values();
      if (claim === undefined) throw new Error('the return has no claim');
      await windowed.database.query(`update points.claims set status = 'waiting', reason = $2 where claim_id = $1`, [
        claim.claimId,
        APPROVED,
      ]);
      await windowed.returns.resume([claim]);
      await eventually(async () =>
        expect(await settled(late, windowed)).toMatchObject({ status: 'taken', points: -16 }),
      );
      await balanceIs(memberId, { balance: 0 }, windowed);
    } finally {
      await windowed.close();
    }
  });
});

describe('a return that names no purchase', () => {
  it('is for a person to decide on, unless the policy says otherwise', async () => {
    const { memberId, reference } = await enrolled(points);
    const purchase = basket(reference);
    await points.intake.take([purchase]);
    const one = aReturn({ member: reference, amount: 700, currency: 'EUR' });
    await points.returns.take([one]);
    expect(await settled(one)).toMatchObject({ status: 'quarantined', reason: 'no-purchase-named' });
    // As a person attaches it to the purchase.
    await points.database.query(
      `update points.claims set status = 'waiting', reason = $3, purchase_id = $2 where natural_id = $1 and kind = 'return'`,
      [one.naturalId, purchase.naturalId, APPROVED],
    );
    const [claim] = (await points.claims.find([one])).values();
    await points.returns.resume(claim === undefined ? [] : [claim]);
    await eventually(async () => expect(await settled(one)).toMatchObject({ status: 'taken', points: -7 }));
    await balanceIs(memberId, { balance: 12 });
  });

  it('needs approval where only purchases beyond the window would cover it, and goes back over them then', async () => {
    const lenient = await startFixture({ unreferenced: 'latest-first', windowDays: 30 });
    try {
      lenient.reader.start();
      const { memberId, reference } = await enrolled(lenient);
      const late = aPurchase({ member: reference, occurredAt: '2026-01-01T10:00:00Z', amount: 1_000 });
      const recent = aPurchase({ member: reference, occurredAt: '2026-05-01T10:00:00Z', amount: 300 });
      await lenient.intake.take([late, recent]);
      const of = (amount: number) =>
        aReturn({ member: reference, amount, currency: 'EUR', occurredAt: '2026-05-05T10:00:00Z' });
      const [covered, beyond] = [of(200), of(500)];
      await lenient.returns.take([covered, beyond]);
      expect(await settled(covered, lenient)).toMatchObject({ status: 'taken', points: -2 });
      expect(await lenient.register.find(beyond)).toMatchObject({ status: 'quarantined', reason: 'approval-needed' });
      await lenient.database.query(
        `update points.claims set status = 'waiting', reason = $2 where natural_id = $1 and kind = 'return'`,
        [beyond.naturalId, APPROVED],
      );
      await lenient.returns.resume([...(await lenient.claims.find([beyond])).values()]);
      // The 100 that are left of the recent one, 400 of the other.
      expect(await settled(beyond, lenient)).toMatchObject({ status: 'taken', points: -5, reason: null });
      await balanceIs(memberId, { balance: 6 }, lenient);
    } finally {
      await lenient.close();
    }
  });

  it('goes back over the latest purchases before it, each up to what is left, also before the read models show them', async () => {
    const lenient = await startFixture({ unreferenced: 'latest-first' });
    try {
      const { memberId, reference } = await enrolled(lenient);
      const day = (d: number, amount: number, changes: Partial<PurchaseData> = {}) =>
        aPurchase({ member: reference, occurredAt: `2026-05-0${d}T10:00:00Z`, amount, ...changes });
      const [first, second, third, dollars] = [
        day(1, 1_000),
        day(2, 550),
        day(3, 250),
        day(2, 9_900, { currency: 'USD' }),
      ];
      const tooNew = day(9, 5_000);
      await lenient.intake.take([third, first, tooNew, second, dollars]);
      const partly = back(second, reference, { lines: [{ lineId: '1', amount: 50 }] });
      await lenient.returns.take([partly]);
      const one = aReturn({ member: reference, amount: 800, currency: 'EUR', occurredAt: '2026-05-05T10:00:00Z' });
      const two = aReturn({ member: reference, amount: 1_200, currency: 'EUR', occurredAt: '2026-05-05T10:00:00Z' });
      // The reader has not run at all: everything has to come from the streams. The second process has nothing in memory.
      await lenient
        .killedAtLedger()
        .returns.take([one])
        .catch(() => undefined);
      await lenient.returns.take([one, two]);
      lenient.reader.start();
      // 250 of the third, 500 of the second, 50 of the first.
      expect(await settled(one, lenient)).toMatchObject({ status: 'taken', points: -8, reason: null });
      // The 950 that are left of the first: 250 have no purchase.
      expect(await settled(two, lenient)).toMatchObject({ status: 'taken', points: -9, reason: 'uncovered: 250 EUR' });
      // With the read models: nothing of all that is left.
      const three = aReturn({ member: reference, amount: 100, currency: 'EUR', occurredAt: '2026-05-05T10:00:00Z' });
      await lenient.returns.take([three]);
      expect(await settled(three, lenient)).toMatchObject({ status: 'taken', points: 0, reason: 'uncovered: 100 EUR' });
      await balanceIs(memberId, { balance: 50 + 99 }, lenient);
      expect(await events(memberId, lenient)).toHaveLength(9);
    } finally {
      await lenient.close();
    }
  });
});
