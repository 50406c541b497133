import { Module, type DynamicModule } from '@nestjs/common';
import { DeciderRunner, LogReader, StateCache } from '@vafa/event-sourcing';
import type { ServiceContext } from '@vafa/service';
import { ActivityIntake } from './application/activities.js';
import { Claiming } from './application/claiming.js';
import { Claims } from './application/claims.js';
import { Door } from './application/door.js';
import { PurchaseIntake } from './application/intake.js';
import { Outcomes } from './application/outcomes.js';
import { References } from './application/references.js';
import { Register } from './application/register.js';
import type { PointsConfig } from './config.js';
import { ACCOUNT_STREAMS, pointsAccount, type PointsAccount } from './domain/account.js';
import { FIRST_PROGRAMME } from './domain/programme.js';
import type { PointsEvent } from './events/points-event.js';
import { pointsCodec } from './events/points-forms.js';
import { ActivitiesController } from './http/activities.controller.js';
import { PointsController } from './http/points.controller.js';
import { PurchasesController } from './http/purchases.controller.js';
import { ActivitiesHandler } from './messaging/activities.handler.js';
import { MembersHandler } from './messaging/members.handler.js';
import { PurchasesHandler } from './messaging/purchases.handler.js';
import { LedgerWorker } from './ledger-worker.js';
import { CLOCK, PROGRAMME } from './points.tokens.js';
import { AccountSnapshots } from './read-models/accounts.js';
import { LedgerProjection } from './read-models/ledger.projection.js';
import { LedgerHistory } from './read-models/history.js';
import { LedgerQueries } from './read-models/queries.js';

@Module({})
class PointsModule {}

/** All wiring of the service. */
export const pointsModule = (context: ServiceContext<PointsConfig>): DynamicModule => {
  const { config, database, audit, bus, eventStore, clock } = context;
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
  const intake = new PurchaseIntake({
    claiming,
    claims,
    references,
    accounts,
    states,
    outcomes,
    clock,
    programme,
  });
  const reader = ledgerReader(context, new LedgerProjection(bus, snapshots));
  return {
    module: PointsModule,
    controllers: [
      PointsController,
      PurchasesController,
      ActivitiesController,
      PurchasesHandler,
      ActivitiesHandler,
      MembersHandler,
    ],
    providers: [
      { provide: PurchaseIntake, useValue: intake },
      { provide: ActivityIntake, useValue: new ActivityIntake({ database, claiming, claims, references, clock }) },
      { provide: Door, useValue: new Door({ database, audit, bus, references, outcomes }) },
      { provide: Register, useValue: register },
      { provide: References, useValue: references },
      { provide: LedgerQueries, useValue: new LedgerQueries(database) },
      { provide: LedgerHistory, useValue: new LedgerHistory(database) },
      { provide: LedgerWorker, useValue: new LedgerWorker(reader, outcomes) },
      { provide: CLOCK, useValue: clock },
      { provide: PROGRAMME, useValue: programme },
    ],
  };
};

/** The reader of the ledger, with its metrics and its part in the health of the service. */
const ledgerReader = (context: ServiceContext<PointsConfig>, ledger: LedgerProjection): LogReader<PointsEvent> => {
  const { database, eventStore, logger, metrics, health } = context;
  const pages = metrics.histogram({ name: 'vafa_reader_page_seconds', help: 'Time from a page read to its commit' });
  const lag = metrics.gauge({ name: 'vafa_reader_lag_seconds', help: 'Age of the last event applied, when it was' });
  const events = metrics.counter({ name: 'vafa_reader_events_total', help: 'Events folded into the read models' });
  const reader = new LogReader<PointsEvent>({
    name: 'points',
    store: eventStore,
    prefix: ACCOUNT_STREAMS,
    codec: pointsCodec,
    database,
    checkpoints: 'points.checkpoints',
    projections: [ledger],
    onPage: (page) => {
      pages.observe(page.seconds);
      lag.set(page.lagSeconds);
      events.inc(page.events);
    },
    onError: (error) => logger.warn({ err: error }, 'the reader goes on after a break'),
    onStopped: (error) => logger.error({ err: error }, 'the reader has stopped for good'),
  });
  health.add('reader', () => {
    if (reader.failure !== undefined) throw reader.failure;
    return Promise.resolve();
  });
  return reader;
};
