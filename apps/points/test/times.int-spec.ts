import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Database } from '@vafa/persistence';
import { Audit, FixedClock } from '@vafa/service';
import { eventually } from '@vafa/testing';
import fc from 'fast-check';
import { uuidv7 } from 'uuidv7';
import { Periods } from '../src/application/periods.js';
import { Statements, type Statement } from '../src/application/statements.js';
import { pointsAccount, streamOf, type PointsAccount, type PointsCommand } from '../src/domain/account.js';
import { periodNamed, type Period } from '../src/domain/programme-calendar.js';
import { pointsCodec } from '../src/events/points-forms.js';
import { Closings } from '../src/read-models/closings.js';
import { LedgerHistory } from '../src/read-models/history.js';
import { NOW, startFixture, type Fixture } from './fixture.js';

const CALENDAR = { zone: 'UTC', calendar: 'gregorian' } as const;
const OPERATOR = { subject: 'test', role: 'service', clientId: 'test', requestId: null } as const;
const MONTHS = ['2026-01', '2026-02', '2026-03', '2026-04', '2026-05'];
/** After everything that a test records. */
const LATER = '2099-01-01T00:00:00Z';

let points: Fixture;
let history: LedgerHistory;
let periods: Periods;
let statements: Statements;

beforeAll(async () => {
  points = await startFixture();
  points.reader.start();
  const { database, store } = points;
  const closings = new Closings(database);
  history = new LedgerHistory(database);
  const audit = new Audit('points', database);
  periods = new Periods({ store, database, closings, calendar: CALENDAR, clock: new FixedClock(NOW), audit });
  statements = new Statements(history, closings, store, CALENDAR);
});
afterAll(() => points.close());

const period = (name: string): Period => periodNamed(name, CALENDAR) as Period;

const statementOf = async (memberId: string, name: string): Promise<Statement> => {
  const span = period(name);
  const asOf = span.end.subtract({ microseconds: 1 });
  const result = await statements.make({ memberId, period: name, span, asOf, knownAt: LATER, limit: 1_000 });
  if (result.status !== 'made') throw new Error('too long');
  return result.statement;
};

/** What happens to an account: it earns, or points of an earlier award are taken back; `day` is counted from the first of January. */
type Step = { readonly day: number; readonly points: number; readonly back: boolean };
const steps = fc.array(
  fc.record({ day: fc.integer({ min: 0, max: 150 }), points: fc.integer({ min: 0, max: 50 }), back: fc.boolean() }),
  { minLength: 1, maxLength: 14 },
);

/** An account as its rules make it, one append a step, in an order that has nothing to do with when things happened. */
class Account {
  readonly memberId = uuidv7();
  readonly stream = streamOf(this.memberId);
  private state: PointsAccount = pointsAccount.initial(this.stream);
  private revision = -1;
  private awards: { awardId: string; purchaseId: string }[] = [];

  async take({ day, points: amount, back }: Step): Promise<void> {
    const occurredAt = Temporal.Instant.from('2026-01-01T08:00:00Z')
      .add({ hours: 24 * day })
      .toString();
    const transactionId = uuidv7();
    const origin = { transactionId, memberId: this.memberId, source: '/till', occurredAt };
    const award = this.awards.pop();
    const command: PointsCommand =
      back && award !== undefined
        ? {
            type: 'ReverseAwards',
            ...origin,
            returnId: transactionId,
            currency: 'EUR',
            reversals: [{ ...award, source: '/till', programme: 1, components: [componentOf(amount)] }],
            uncovered: 0,
            policy: { otherLots: true, debtMax: 20 },
          }
        : {
            type: 'RewardPurchase',
            ...origin,
            purchaseId: transactionId,
            explanation: { programme: 1, currency: 'EUR', components: [awarded(amount)], declined: [] },
          };
    if (command.type === 'RewardPurchase') this.awards.push({ awardId: transactionId, purchaseId: transactionId });
    const decision = pointsAccount.decide(command, this.state);
    if (!decision.accepted) throw new Error('refused');
    const events = decision.events.map((event, n) => pointsCodec.encode(event, n === 0 ? transactionId : uuidv7()));
    await points.store.append(this.stream, this.revision, events);
    this.revision += events.length;
    this.state = decision.events.reduce((state, event) => pointsAccount.evolve(state, event), this.state);
  }

  /** Every event with its two times, and the account after it as the rules say: the log, and nothing of the tables. */
  async log(): Promise<{ effectiveAt: string; recordedAt: string; state: PointsAccount }[]> {
    const stored = (await points.store.load([this.stream])).get(this.stream) ?? [];
    let state = pointsAccount.initial(this.stream);
    return stored.map((event) => {
      const { event: decoded, recordedAt } = pointsCodec.decode(event);
      state = pointsAccount.evolve(state, decoded);
      return { effectiveAt: decoded.data.effectiveAt, recordedAt, state };
    });
  }

  read(): Promise<void> {
    return eventually(async () => {
      expect(await points.queries.movements(this.memberId, 100, null)).toHaveLength(this.revision + 1);
    });
  }
}

const awarded = (amount: number) => ({ ...componentOf(amount), base: amount * 100, lines: ['1'] });
const componentOf = (amount: number) => ({
  rule: 'base',
  version: 1,
  rate: [1, 100] as const,
  rounding: 'floor' as const,
  keptBefore: amount * 100,
  keptAfter: 0,
  points: amount,
});

const instantOf = (text: string): Temporal.Instant => Temporal.Instant.from(text);
const isUpTo = (instant: string, limit: string): boolean =>
  Temporal.Instant.compare(instantOf(instant), instantOf(limit)) <= 0;

describe('closing a period while points are earned', () => {
  it('knows a beginning of the log, and nothing recorded later ever gets below', async () => {
    const name = '2025-12';
    const accounts = Array.from({ length: 8 }, () => new Account());
    let isOver = false;
    const flow = accounts.map(async (account) => {
      for (let n = 0; n < 20 || (!isOver && n < 2_000); n++) await account.take({ day: 0, points: 1, back: false });
    });
    const [first, again] = await Promise.all([
      periods.close(period(name), OPERATOR),
      periods.close(period(name), OPERATOR),
    ]);
    expect(again).toEqual(first);
    // Closed just now, and not with a later month before.
    expect(first).toMatchObject({ status: 'closed', closing: { period: name } });
    const known = first.status === 'closed' ? first.closing.knownAt : '';
    const sums = () =>
      Promise.all(
        accounts.map(async ({ memberId }) =>
          history.balance(await history.stateAt(memberId, { asOf: LATER, knownAt: known })),
        ),
      );
    const seen = await sums();
    isOver = true;
    await Promise.all(flow);
    const logs = await Promise.all(accounts.map((account) => account.log()));
    expect(await sums()).toEqual(seen);
    expect(seen.map(({ balance }) => balance)).toEqual(
      logs.map((log) => log.filter(({ recordedAt }) => isUpTo(recordedAt, known)).length),
    );
  });
});

describe('the ledger as of then, by what was known then', () => {
  it('is the fold of the events that counted and were known, for any history', async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 0, max: 160 }), fc.nat(), async (taken, day, nth) => {
        const account = new Account();
        for (const step of taken) await account.take(step);
        await account.read();
        const log = await account.log();
        const asOf = instantOf('2026-01-01T08:00:00Z')
          .add({ hours: 24 * day })
          .toString();
        for (const knownAt of [log[nth % log.length]?.recordedAt ?? LATER, LATER, '2020-01-01T00:00:00Z']) {
          const counted = log.filter((event) => isUpTo(event.effectiveAt, asOf) && isUpTo(event.recordedAt, knownAt));
          const { available, debt, lots } = counted.at(-1)?.state ?? pointsAccount.initial(account.stream);
          const past = await history.stateAt(account.memberId, { asOf, knownAt });
          expect(await history.balance(past)).toEqual({
            balance: available - debt,
            available,
            pending: 0,
            held: 0,
            debt,
          });
          const left = (await history.lots(past, 100, null)).map(({ lotId, remaining }) => [lotId, remaining]);
          expect(left.toSorted()).toEqual(lots.map(({ lotId, remaining }) => [lotId, remaining]).toSorted());
        }
      }),
      { numRuns: 25 },
    );
  });
});

describe('a read of the past', () => {
  it('looks up what it needs by account, however much every other account has', async () => {
    const { database } = points;
    const account = new Account();
    for (let n = 0; n < 12; n++) await account.take({ day: n, points: 5, back: n % 3 === 2 });
    await account.read();
    // What the returns of others leave, without their purchases.
    await database.query(
      `insert into points.lot_draws (account_id, revision, lot_id, amount, transaction_id)
       select gen_random_uuid(), 1, gen_random_uuid(), 1, gen_random_uuid() from generate_series(1, 20000)`,
    );
    await database.query('analyze points.lot_draws, points.transactions, points.lots');
    const asked: { sql: string; parameters: readonly unknown[] }[] = [];
    const listening = Object.assign(Object.create(database) as Database, {
      query: <Row>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> => {
        asked.push({ sql, parameters });
        return database.query<Row>(sql, parameters);
      },
    });
    const past = new LedgerHistory(listening);
    const [from, to] = await Promise.all(
      ['2026-01-03T00:00:00Z', LATER].map((asOf) => past.stateAt(account.memberId, { asOf, knownAt: LATER })),
    );
    if (from === undefined || to === undefined) throw new Error('no states');
    await Promise.all([
      past.balance(to),
      past.expiring(to),
      past.lots(to, 50, null),
      past.debtsPaid(from, to),
      past.between(from, to, 50),
      past.lapsingUntil(to, [LATER]),
    ]);
    expect(asked).toHaveLength(8);
    for (const { sql, parameters } of asked) {
      const plan = await database.query<{ 'QUERY PLAN': string }>(`explain ${sql}`, parameters);
      const scans = plan.map((line) => line['QUERY PLAN']).filter((line) => line.includes('Seq Scan on lot_draws'));
      expect({ sql, scans }).toEqual({ sql, scans: [] });
    }
  });
});

describe('statements of periods', () => {
  it('never change once closed, follow one another, and add up to the balance, for any history', async () => {
    // What is closed is closed for every account: each month is closed once, in the middle of the histories of several.
    const histories = fc.sample(steps, { numRuns: 6, seed: 5 });
    const accounts = histories.map(() => new Account());
    const frozen: { memberId: string; name: string; statement: Statement }[] = [];
    for (const [index, name] of MONTHS.entries()) {
      for (const [nr, account] of accounts.entries()) {
        const own = histories[nr] ?? [];
        for (const step of own.filter((_, n) => n % MONTHS.length === index)) await account.take(step);
      }
      expect(await periods.close(period(name), OPERATOR)).toMatchObject({ status: 'closed' });
      for (const { memberId } of accounts)
        frozen.push({ memberId, name, statement: await statementOf(memberId, name) });
    }
    for (const account of accounts) {
      await account.take({ day: 3, points: 9, back: false });
      await account.read();
    }
    for (const { memberId, name, statement } of frozen) {
      expect(statement.closed).toBe(true);
      expect(await statementOf(memberId, name)).toEqual(statement);
      const { asOf, knownAt } = statement;
      const then = await history.balance(await history.stateAt(memberId, { asOf, knownAt }));
      expect(then.balance).toBe(statement.closing);
    }
    for (const { memberId } of accounts) {
      let balance = 0;
      for (const name of [...MONTHS, '2026-06']) {
        const { opening, movements, closing } = await statementOf(memberId, name);
        expect(opening).toBe(balance);
        balance = movements.reduce((sum, { amount }) => sum + amount, opening);
        expect(closing).toBe(balance);
      }
      expect((await points.queries.balance(memberId)).balance).toBe(balance);
    }
  });
});
