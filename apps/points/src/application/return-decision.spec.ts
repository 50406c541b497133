import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { evaluate, pointsOf } from '../domain/earning.js';
import { FIRST_PROGRAMME, type Programme } from '../domain/programme.js';
import type { LineKind } from '../domain/purchase.js';
import { leftOf } from '../domain/returned-goods.js';
import { pointsOfReversal, reversalOf, type StoredAward } from '../domain/reversing.js';
import type { Claim } from './claims.js';
import { decideReturn, goodsOfPurchase, type PurchaseBook, type ReturnDecision } from './return-decision.js';

const MEMBER = 'external:1';
const ACCOUNT = '019a0000-0000-7000-8000-000000000001';
const BOUGHT_AT = '2026-01-05T10:00:00Z';
const POLICY = { otherLots: true, debtMax: 0, windowDays: null, unreferenced: 'latest-first' } as const;

type Line = { readonly amount: number; readonly thousandths: number; readonly kind: LineKind };
type ReturnedLine = { readonly lineId: string; readonly amount?: number; readonly quantity?: string };
type Content =
  | { readonly lines: readonly ReturnedLine[] }
  | { readonly whole: true }
  | { readonly amount: number; readonly currency: string };

/** How a return is drawn; shares are percent of what is left then, and more than 100 is more than there is. */
type Step = {
  readonly way: 'lines' | 'whole' | 'attached' | 'unreferenced';
  readonly purchase: number;
  readonly lines: readonly {
    readonly line: number;
    readonly says: 'amount' | 'quantity' | 'both';
    readonly share: number;
  }[];
  readonly share: number;
};

const kinds: LineKind[] = ['goods', 'goods', 'goods', 'service', 'gift-card', 'fee', 'points-payment'];
const line: fc.Arbitrary<Line> = fc
  .record({
    amount: fc.integer({ min: 0, max: 50_000 }),
    thousandths: fc.oneof(fc.constant(1_000), fc.constant(3_000), fc.integer({ min: 0, max: 4_000 })),
    kind: fc.constantFrom(...kinds),
  })
  .map((one) => ({ ...one, amount: one.kind === 'points-payment' ? -one.amount : one.amount }));
const share = fc.oneof(
  fc.constant(100),
  fc.integer({ min: 0, max: 100 }),
  fc.integer({ min: 0, max: 100 }),
  fc.integer({ min: 101, max: 250 }),
);
const step: fc.Arbitrary<Step> = fc.record({
  way: fc.constantFrom('lines', 'lines', 'lines', 'lines', 'whole', 'attached', 'unreferenced'),
  purchase: fc.nat({ max: 2 }),
  lines: fc.array(
    fc.record({
      line: fc.nat({ max: 4 }),
      says: fc.constantFrom<'amount' | 'quantity' | 'both'>('amount', 'quantity', 'both'),
      share,
    }),
    { minLength: 1, maxLength: 3 },
  ),
  share,
});
const bought = fc.array(fc.array(line, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 3 });

const claimOf = (kind: 'purchase' | 'return', id: string, content: object, changes: Partial<Claim> = {}): Claim => ({
  kind,
  source: '/till',
  naturalId: id,
  claimId: `claim of ${id}`,
  hash: '',
  status: kind === 'purchase' ? 'taken' : 'waiting',
  reason: null,
  reference: MEMBER,
  accountId: kind === 'purchase' ? ACCOUNT : null,
  revision: -1,
  purchaseId: null,
  content: JSON.stringify({ member: null, occurredAt: BOUGHT_AT, ...content }),
  ...changes,
});

/** A purchase with its award, what the parts under test have taken of it, and the same by the model. */
class Bought {
  readonly book: PurchaseBook;
  readonly model: ModelLine[];
  reversed = 0;
  private readonly award: StoredAward;

  constructor(
    readonly id: string,
    lines: readonly Line[],
    private readonly units: number,
  ) {
    const receipt = lines.map(({ amount, kind }, index) => ({ lineId: String(index), amount, kind }));
    const content = {
      purchaseId: id,
      currency: 'EUR',
      lines: receipt.map((one, index) => ({ ...one, quantity: decimal(lines[index]?.thousandths ?? 0) })),
      total: 0,
    };
    const claim = claimOf('purchase', id, content);
    this.book = { claim, goods: goodsOfPurchase(claim), taken: [] };
    this.model = lines.map(({ amount, thousandths, kind }) => ({ money: amount, pieces: thousandths, kind }));
    const rule = { ...FIRST_PROGRAMME.earnRules[0], unitsPerPoint: { default: units } };
    const purchase = { source: '/till', purchaseId: id, occurredAt: BOUGHT_AT, currency: 'EUR', lines: receipt };
    const explanation = evaluate(purchase, { version: 7, earnRules: [rule] } as Programme, 2);
    this.award = { awardId: id, source: '/till', purchaseId: id, explanation };
  }

  /** Takes over what was decided, as whoever decides returns does, and works out what the award loses. */
  take(decision: ReturnDecision): void {
    const rows = decision.rows.filter(({ purchaseId }) => purchaseId === this.id);
    const reversal = reversalOf(this.award, sums(this.book.taken), sums(rows));
    for (const { points } of reversal.components) expect(points).toBeGreaterThanOrEqual(0);
    this.reversed += pointsOfReversal(reversal);
    this.book.taken.push(...rows);
  }

  check(): void {
    const left = leftOf(this.book.goods, this.book.taken);
    expect(left.map(({ amount, quantity }) => [amount, quantity])).toEqual(
      this.model.map(({ money, pieces }) => [money, BigInt(pieces) * 1_000n]),
    );
    // The rule said once more, without its parts: the money of what was kept, by the units that a point takes.
    const kept = this.model.filter(({ kind }) => kind === 'goods' || kind === 'service' || kind === 'shipping');
    const money = kept.reduce((sum, one) => sum + one.money, 0);
    expect(pointsOf(this.award.explanation) - this.reversed).toBe(Math.floor(money / (100 * this.units)));
    for (const one of this.model) {
      expect(one.pieces).toBeGreaterThanOrEqual(0);
      if (one.kind !== 'points-payment') expect(one.money).toBeGreaterThanOrEqual(0);
    }
  }
}

const decimal = (thousandths: number): string => String(thousandths / 1_000);
const sums = (rows: ReturnDecision['rows']): Map<string, number> => {
  const amounts = new Map<string, number>();
  for (const { lineId, amount } of rows) amounts.set(lineId, (amounts.get(lineId) ?? 0) + amount);
  return amounts;
};

/** What is kept of a line: minor units, thousandths of a piece. */
type ModelLine = { money: number; pieces: number; readonly kind: LineKind };

/** What a shop assistant would do with the receipt in hand; false where there is not so much, and then nothing is done. */
const giveBack = (receipt: ModelLine[], content: Content): boolean => {
  if ('whole' in content) {
    if (receipt.every(({ money, pieces }) => money === 0 && pieces === 0)) return false;
    for (const one of receipt) Object.assign(one, { money: 0, pieces: 0 });
    return true;
  }
  if ('amount' in content) {
    if (content.amount > paidInMoney(receipt)) return false;
    let open = content.amount;
    for (const one of receipt.filter(({ money }) => money > 0)) {
      const part = Math.min(open, one.money);
      one.money -= part;
      open -= part;
    }
    return true;
  }
  const after = receipt.map((one) => ({ ...one }));
  for (const { lineId, amount, quantity } of content.lines) {
    const one = after[Number(lineId)];
    if (one === undefined) return false;
    const pieces = Math.round(Number(quantity ?? 0) * 1_000);
    const money = amount ?? (one.pieces === 0 ? 0 : Math.trunc((one.money * pieces) / one.pieces));
    if (pieces > one.pieces || money > one.money) return false;
    one.pieces -= pieces;
    one.money -= money;
  }
  receipt.forEach((one, index) => Object.assign(one, after[index]));
  return true;
};

const paidInMoney = (receipt: readonly ModelLine[]): number =>
  Math.max(
    0,
    receipt.reduce((sum, { money }) => sum + money, 0),
  );

const percentOf = (left: number, percent: number): number => Math.max(0, Math.floor((left * percent) / 100));

const contentOf = ({ way, lines, share: percent }: Step, receipt: readonly ModelLine[]): Content => {
  if (way === 'whole') return { whole: true };
  if (way !== 'lines') return { amount: percentOf(paidInMoney(receipt), percent), currency: 'EUR' };
  return {
    // A return names a line once.
    lines: [...new Map(lines.map((one) => [one.line, one])).values()].map(({ line: index, says, share: part }) => {
      const { money, pieces } = receipt[index] ?? { money: 1, pieces: 1 };
      return {
        lineId: String(index),
        ...(says !== 'quantity' && { amount: percentOf(money, part) }),
        ...(says !== 'amount' && { quantity: decimal(percentOf(pieces, part)) }),
      };
    }),
  };
};

describe('returns, in any sequence', () => {
  it('end where only the kept goods had been bought, and never take more than is left', () => {
    const seen = { taken: 0, refused: 0, uncovered: 0 };
    fc.assert(
      fc.property(
        bought,
        fc.integer({ min: 1, max: 5 }),
        fc.array(step, { maxLength: 12 }),
        (receipts, units, steps) => {
          const purchases = receipts.map((lines, index) => new Bought(`p${index}`, lines, units));
          for (const [nr, one] of steps.entries()) {
            const named = purchases[one.purchase % purchases.length] as Bought;
            const latest = purchases.map(({ book }) => book);
            const receipt = one.way === 'unreferenced' ? purchases.flatMap(({ model }) => model) : named.model;
            const content = contentOf(one, receipt);
            const purchaseId = one.way === 'unreferenced' ? null : named.id;
            const decision = decideReturn(claimOf('return', `r${nr}`, content, { purchaseId }), {
              policy: POLICY,
              members: new Map([[MEMBER, ACCOUNT]]),
              purchase: purchaseId === null ? undefined : named.book,
              latest: purchaseId === null ? latest : [],
            });
            for (const purchase of purchases) purchase.take(decision);
            if (purchaseId === null) {
              const uncovered = overAll(purchases, 'amount' in content ? content.amount : 0);
              expect(decision.claim).toMatchObject({
                status: 'taking',
                reason: uncovered === 0 ? null : `uncovered: ${uncovered} EUR`,
              });
              if (uncovered > 0) seen.uncovered += 1;
            } else {
              const given = giveBack(named.model, content);
              expect(decision.claim.status).toBe(given ? 'taking' : 'refused');
              seen[given ? 'taken' : 'refused'] += 1;
            }
            for (const purchase of purchases) purchase.check();
          }
        },
      ),
      { numRuns: 150 },
    );
    // The drawn histories met all of it, or nothing was shown.
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0);
  });
});

/** Money over all receipts, each up to what was paid for it. Answers with what none of them covers. */
const overAll = (purchases: readonly Bought[], amount: number): number => {
  let open = amount;
  for (const { model } of purchases) {
    const part = Math.min(open, paidInMoney(model));
    giveBack(model, { amount: part, currency: 'EUR' });
    open -= part;
  }
  return open;
};
