import { Module, type DynamicModule, type Provider } from '@nestjs/common';
import { DeciderRunner, StateCache } from '@vafa/event-sourcing';
import { DeadLetterDesk, DeadLettersController, type ServiceContext } from '@vafa/service';
import { ActivityIntake } from './application/activities.js';
import { Awards } from './application/awards.js';
import { Claiming } from './application/claiming.js';
import { Claims } from './application/claims.js';
import { Door } from './application/door.js';
import { Inbox, type InboxParts } from './application/inbox.js';
import { InboxItems } from './application/inbox-items.js';
import { InboxReader } from './application/inbox-reader.js';
import { PurchaseIntake } from './application/intake.js';
import { LatestPurchases } from './application/latest-purchases.js';
import { Outcomes } from './application/outcomes.js';
import { Periods } from './application/periods.js';
import { PurchaseClaims } from './application/purchase-claims.js';
import { Statements } from './application/statements.js';
import { References } from './application/references.js';
import { Register } from './application/register.js';
import { ReturnSettling, type SettlingParts } from './application/return-settling.js';
import { Replacement, type ReplacementParts } from './application/replacement.js';
import { ReturnedLines } from './application/returned-lines.js';
import { ReturnIntake } from './application/returns.js';
import { Settlements } from './application/settlements.js';
import type { PointsConfig } from './config.js';
import { pointsAccount, type PointsAccount } from './domain/account.js';
import { FIRST_PROGRAMME } from './domain/programme.js';
import type { ReturnPolicy } from './domain/return-policy.js';
import { pointsCodec } from './events/points-forms.js';
import { ActivitiesController } from './http/activities.controller.js';
import { InboxController } from './http/inbox.controller.js';
import { PointsController } from './http/points.controller.js';
import { PeriodsController } from './http/periods.controller.js';
import { PurchaseClaimsController } from './http/purchase-claims.controller.js';
import { StatementController } from './http/statement.controller.js';
import { PurchasesController } from './http/purchases.controller.js';
import { ReadModelsController } from './http/read-models.controller.js';
import { ReturnsController } from './http/returns.controller.js';
import { ActivitiesHandler } from './messaging/activities.handler.js';
import { MembersHandler } from './messaging/members.handler.js';
import { PurchasesHandler } from './messaging/purchases.handler.js';
import { ReturnsHandler } from './messaging/returns.handler.js';
import { ledgerReaders } from './ledger-readers.js';
import { observeInbox } from './inbox-metrics.js';
import { InboxWorker } from './inbox-worker.js';
import { LedgerWorker } from './ledger-worker.js';
import { CLOCK, PROGRAMME, PROGRAMME_CALENDAR } from './points.tokens.js';
import { AccountSnapshots } from './read-models/accounts.js';
import { Closings } from './read-models/closings.js';
import { LedgerHistory } from './read-models/history.js';
import { PurchaseReturns } from './read-models/purchase-returns.js';
import { LedgerQueries } from './read-models/queries.js';

@Module({})
class PointsModule {}

/** All wiring of the service. */
export const pointsModule = (context: ServiceContext<PointsConfig>): DynamicModule => {
  const { config, database, audit, bus, deadLetters, eventStore, clock } = context;
  const references = new References(database);
  const claims = new Claims(database);
  const register = new Register(claims, references);
  const outcomes = new Outcomes((awaited) => register.outcomes(awaited));
  const claiming = new Claiming({ database, bus, claims, references, outcomes, clock });
  const snapshots = new AccountSnapshots(eventStore, pointsCodec);
  const states = new StateCache<PointsAccount>(config.cachedAccounts);
  const accounts = new DeciderRunner({
    store: eventStore,
    decider: pointsAccount,
    codec: pointsCodec,
    cache: states,
    snapshots: (streamIds) => snapshots.states(streamIds, database),
  });
  const programme = FIRST_PROGRAMME;
  const closings = new Closings(database);
  const history = new LedgerHistory(database);
  const calendar = { zone: config.zone, calendar: config.calendar };
  const awards = new Awards({ claiming, claims, accounts, states, programme });
  const intakes = { claiming, claims, references, lines: new ReturnedLines() };
  const returns = returnIntake(context, { ...intakes, awards, accounts, outcomes });
  const intake = new PurchaseIntake({ claiming, claims, references, accounts, awards, returns, outcomes });
  const activities = new ActivityIntake({ database, claiming, claims, references });
  const worker = new LedgerWorker({ ...ledgerReaders({ context, snapshots, states }), outcomes, audit, database });
  return {
    module: PointsModule,
    controllers: [
      ReadModelsController,
      PointsController,
      PeriodsController,
      StatementController,
      PurchasesController,
      ReturnsController,
      ActivitiesController,
      DeadLettersController,
      InboxController,
      PurchaseClaimsController,
      PurchasesHandler,
      ReturnsHandler,
      ActivitiesHandler,
      MembersHandler,
    ],
    providers: [
      { provide: PurchaseIntake, useValue: intake },
      { provide: ReturnIntake, useValue: returns },
      { provide: ActivityIntake, useValue: activities },
      ...inboxProviders(context, { ...intakes, register, purchases: intake, returns, activities }),
      { provide: Door, useValue: new Door({ database, audit, bus, references, outcomes }) },
      { provide: Register, useValue: register },
      { provide: References, useValue: references },
      { provide: PurchaseReturns, useValue: new PurchaseReturns(database) },
      { provide: LedgerQueries, useValue: new LedgerQueries(database) },
      { provide: Closings, useValue: closings },
      { provide: Periods, useValue: new Periods({ store: eventStore, database, closings, calendar, clock, audit }) },
      { provide: PROGRAMME_CALENDAR, useValue: calendar },
      { provide: LedgerHistory, useValue: history },
      { provide: Statements, useValue: new Statements(history, closings, eventStore, calendar) },
      { provide: LedgerWorker, useValue: worker },
      { provide: DeadLetterDesk, useValue: new DeadLetterDesk(deadLetters, audit) },
      { provide: CLOCK, useValue: clock },
      { provide: PROGRAMME, useValue: programme },
    ],
  };
};

/** What people settle by hand. */
const inboxProviders = (
  { database, audit, clock, logger, metrics }: ServiceContext<PointsConfig>,
  parts: Pick<InboxParts, 'claims' | 'claiming' | 'references' | 'purchases' | 'returns'> &
    Pick<ReplacementParts, 'activities' | 'lines'> & { register: Register },
): Provider[] => {
  const { claims, purchases, register } = parts;
  const items = new InboxItems(database);
  const settlements = new Settlements(database);
  const onError = (error: unknown): void => logger.warn({ err: error }, 'what follows from a decision is tried again');
  const replacement = new Replacement({ ...parts, database, items, settlements });
  const inbox = new Inbox({ ...parts, replacement, database, audit, clock, items, settlements, onError });
  observeInbox(metrics, items, clock);
  return [
    { provide: Inbox, useValue: inbox },
    { provide: InboxReader, useValue: new InboxReader({ items, claims, register, settlements }) },
    { provide: InboxWorker, useValue: new InboxWorker(inbox, onError) },
    {
      provide: PurchaseClaims,
      useValue: new PurchaseClaims({ database, clock, claims, purchases, inbox, settlements }),
    },
  ];
};

/** What takes returns in, with the club's policy. */
const returnIntake = (
  { config, database, eventStore }: ServiceContext<PointsConfig>,
  parts: Pick<SettlingParts, 'claiming' | 'claims' | 'references' | 'awards' | 'accounts' | 'outcomes' | 'lines'>,
): ReturnIntake => {
  const policy: ReturnPolicy = {
    windowDays: config.returnWindowDays,
    debtMax: config.returnDebtMax,
    otherLots: config.returnOtherLots,
    unreferenced: config.unreferencedReturns,
  };
  const latest = new LatestPurchases(database, eventStore, pointsCodec);
  const settling = new ReturnSettling({ ...parts, database, latest, policy });
  return new ReturnIntake({ ...parts, settling, policy });
};
