import { hashOfContent, TOPICS, type ActivityData, type PurchaseData, type ReturnData } from '@vafa/contracts';
import { DeciderRunner, LogReader, PostgresEventStore, StateCache } from '@vafa/event-sourcing';
import { PostgresMessageBus } from '@vafa/messaging';
import { Database } from '@vafa/persistence';
import { Audit, FixedClock, migrateInstallation, silentLogger } from '@vafa/service';
import { createTestDatabase } from '@vafa/testing';
import { uuidv7 } from 'uuidv7';
import { ActivityIntake, type IncomingActivity } from '../src/application/activities.js';
import { Awards } from '../src/application/awards.js';
import { Claiming } from '../src/application/claiming.js';
import { Claims } from '../src/application/claims.js';
import { Inbox } from '../src/application/inbox.js';
import { InboxItems } from '../src/application/inbox-items.js';
import { InboxReader } from '../src/application/inbox-reader.js';
import { PurchaseIntake, type IncomingPurchase } from '../src/application/intake.js';
import { LatestPurchases } from '../src/application/latest-purchases.js';
import { Outcomes } from '../src/application/outcomes.js';
import { PurchaseClaims } from '../src/application/purchase-claims.js';
import { References } from '../src/application/references.js';
import { Register } from '../src/application/register.js';
import { ReturnSettling } from '../src/application/return-settling.js';
import { Replacement } from '../src/application/replacement.js';
import { ReturnedLines } from '../src/application/returned-lines.js';
import { ReturnIntake, type IncomingReturn } from '../src/application/returns.js';
import { Settlements } from '../src/application/settlements.js';
import {
  ACCOUNT_STREAMS,
  pointsAccount,
  type PointsAccount,
  type PointsCommand,
  type PointsRejection,
} from '../src/domain/account.js';
import { FIRST_PROGRAMME } from '../src/domain/programme.js';
import type { ReturnPolicy } from '../src/domain/return-policy.js';
import type { PointsEvent } from '../src/events/points-event.js';
import { pointsCodec } from '../src/events/points-forms.js';
import { pointsService } from '../src/index.js';
import { AccountSnapshots } from '../src/read-models/accounts.js';
import { LedgerProjection } from '../src/read-models/ledger.projection.js';
import { LedgerQueries } from '../src/read-models/queries.js';

export const NOW = '2026-06-01T12:00:00Z';

export type Fixture = Awaited<ReturnType<typeof startFixture>>;

/** Points on a real database, without HTTP and transport: its parts as the module wires them, the reader started when a test says so. */
export const startFixture = async (policy: Partial<ReturnPolicy> = {}) => {
  const { url, drop } = await createTestDatabase();
  await migrateInstallation(url, [pointsService], silentLogger());
  const database = await Database.connect({
    url,
    schema: 'points',
    role: pointsService.migrations.role,
    poolSize: 6,
    applicationName: 'points-test',
  });
  const bus = new PostgresMessageBus(database);
  await bus.ensureTopics(Object.values(TOPICS));
  const parts = partsOn(database, bus, { ...POLICY, ...policy });
  return {
    url,
    database,
    bus,
    ...parts,
    /** The same service again, as after a crash: nothing in memory, the same database. */
    restarted: () => partsOn(database, bus, { ...POLICY, ...policy }),
    /** The same, and dead at the statement after the `statements` next ones: a transaction counts when it begins and when it is committed. */
    mortal: (statements: number) => partsOn(mortal(database, statements), bus, { ...POLICY, ...policy }),
    /** The same, killed whenever returns are about to reach the ledger. */
    killedAtLedger: () => partsOn(database, bus, { ...POLICY, ...policy }, true),
    async close() {
      await parts.reader.close();
      await parts.store.close();
      await bus.close();
      await database.close();
      await drop();
    },
  };
};

/** A database that answers so many statements and none afterwards, like that of a process that dies. */
const mortal = (database: Database, statements: number): Database => {
  let left = statements;
  const tick = (): void => {
    left -= 1;
    if (left < 0) throw new Error('the process is dead');
  };
  const dying = Object.create(database) as Database;
  dying.query = (...given) => {
    tick();
    return database.query(...given) as Promise<never>;
  };
  dying.transaction = async (work) => {
    tick();
    const result = await database.transaction(work);
    tick();
    return result;
  };
  return dying;
};

class KilledAccounts extends DeciderRunner<PointsCommand, PointsAccount, PointsEvent, PointsRejection> {
  override run(): Promise<never> {
    return Promise.reject(new Error('killed'));
  }
}

const POLICY: ReturnPolicy = { otherLots: true, debtMax: 1_000_000, windowDays: null, unreferenced: 'quarantine' };

const partsOn = (database: Database, bus: PostgresMessageBus, policy: ReturnPolicy, killedAtLedger = false) => {
  const store = new PostgresEventStore(database);
  const snapshots = new AccountSnapshots(store, pointsCodec);
  const states = new StateCache<PointsAccount>(1_000);
  const accounts = new DeciderRunner({
    store,
    decider: pointsAccount,
    codec: pointsCodec,
    cache: states,
    snapshots: (streamIds) => snapshots.states(streamIds, database),
  });
  const references = new References(database);
  const claims = new Claims(database);
  const register = new Register(claims, references);
  const outcomes = new Outcomes((awaited) => register.outcomes(awaited));
  const clock = new FixedClock(NOW);
  const claiming = new Claiming({ database, bus, claims, references, outcomes, clock });
  const programme = FIRST_PROGRAMME;
  const awards = new Awards({ claiming, claims, accounts, states, programme });
  const lines = new ReturnedLines();
  const latest = new LatestPurchases(database, store, pointsCodec);
  const settling = new ReturnSettling({
    database,
    claiming,
    claims,
    references,
    lines,
    latest,
    awards,
    accounts: killedAtLedger
      ? new KilledAccounts({
          store,
          decider: pointsAccount,
          codec: pointsCodec,
          cache: states,
          snapshots: () => Promise.resolve(new Map()),
        })
      : accounts,
    outcomes,
    policy,
  });
  const returns = new ReturnIntake({ claiming, claims, references, settling, outcomes, policy });
  const reader = new LogReader<PointsEvent>({
    name: 'points',
    store,
    prefix: ACCOUNT_STREAMS,
    codec: pointsCodec,
    database,
    checkpoints: 'points.checkpoints',
    projections: [new LedgerProjection(bus, snapshots)],
  });
  const activities = new ActivityIntake({ database, claiming, claims, references });
  const intake = new PurchaseIntake({ claiming, claims, references, accounts, awards, returns, outcomes });
  const items = new InboxItems(database);
  const settlements = new Settlements(database);
  const audit = new Audit('points', database);
  const errors: unknown[] = [];
  const inbox = new Inbox({
    ...{
      database,
      audit,
      clock,
      claims,
      claiming,
      references,
      purchases: intake,
      returns,
      items,
      settlements,
      replacement: new Replacement({
        ...{ database, claims, claiming, purchases: intake, returns, activities, items, lines, settlements },
      }),
    },
    onError: (error) => errors.push(error),
  });
  return {
    inbox,
    items,
    audit,
    inboxReader: new InboxReader({ items, claims, register, settlements }),
    purchaseClaims: new PurchaseClaims({ database, clock, claims, purchases: intake, inbox, settlements }),
    /** What the inbox could not finish at once. */
    errors,
    store,
    states,
    references,
    claims,
    register,
    outcomes,
    reader,
    queries: new LedgerQueries(database),
    activities,
    returns,
    accounts,
    intake,
  };
};

/** A return of the whole of a purchase, unless told. */
export const aReturn = (changes: Partial<ReturnData> = {}): IncomingReturn => {
  const goods = changes.lines === undefined && changes.amount === undefined ? { whole: true as const } : {};
  const data: ReturnData = {
    returnId: uuidv7(),
    member: null,
    occurredAt: '2026-05-10T10:00:00Z',
    ...goods,
    ...changes,
  };
  return { kind: 'return', source: '/till', naturalId: data.returnId, data, hash: hashOfContent(data) };
};

/** A purchase of one line; `amount` in cents. */
export const aPurchase = (changes: Partial<PurchaseData> & { amount?: number } = {}): IncomingPurchase => {
  const { amount = 1_000, ...rest } = changes;
  const data: PurchaseData = {
    purchaseId: uuidv7(),
    member: null,
    occurredAt: '2026-05-01T10:00:00Z',
    currency: 'EUR',
    lines: [{ lineId: '1', amount, kind: 'goods' }],
    total: amount,
    ...rest,
  };
  return { kind: 'purchase', source: '/till', naturalId: data.purchaseId, data, hash: hashOfContent(data) };
};

export const anActivity = (changes: Partial<ActivityData> = {}): IncomingActivity => {
  const data: ActivityData = {
    activityId: uuidv7(),
    activity: 'review.written',
    member: null,
    occurredAt: '2026-05-01T10:00:00Z',
    ...changes,
  };
  return { kind: 'activity', source: '/shop', naturalId: data.activityId, data, hash: hashOfContent(data) };
};

/** Somebody who has enrolled, as points knows it. */
export const enrolled = async (
  points: Pick<Fixture, 'references'>,
): Promise<{ memberId: string; reference: string }> => {
  const memberId = uuidv7();
  const reference = `external:${memberId}`;
  await points.references.add([
    { reference, memberId },
    { reference: `member:${memberId}`, memberId },
  ]);
  return { memberId, reference };
};
