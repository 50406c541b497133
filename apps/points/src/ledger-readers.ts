import { LogReader, ReaderWatch, Rebuild, type ReaderWatchOptions, type StateCache } from '@vafa/event-sourcing';
import type { ServiceContext } from '@vafa/service';
import type { PointsConfig } from './config.js';
import { ACCOUNT_STREAMS, type PointsAccount } from './domain/account.js';
import type { PointsEvent } from './events/points-event.js';
import { pointsCodec } from './events/points-forms.js';
import { AccountSnapshots } from './read-models/accounts.js';
import { LedgerProjection } from './read-models/ledger.projection.js';
import { LEDGER_TABLES } from './read-models/tables.js';

type ReaderParts = {
  readonly context: ServiceContext<PointsConfig>;
  readonly snapshots: AccountSnapshots;
  readonly states: StateCache<PointsAccount>;
};

export type LedgerReaders = {
  readonly reader: LogReader<PointsEvent>;
  readonly rebuild: Rebuild<PointsEvent>;
  readonly watch: ReaderWatch;
};

/** What follows the ledger: the reader of the tables in use, what builds them anew, and what measures how far they are behind. */
export const ledgerReaders = ({ context, snapshots, states }: ReaderParts): LedgerReaders => {
  const { database, bus, eventStore, logger, metrics, health } = context;
  const pages = metrics.histogram({ name: 'vafa_reader_page_seconds', help: 'Time from a page read to its commit' });
  const lag = metrics.gauge({ name: 'vafa_reader_lag_seconds', help: 'Age of the last event applied, when it was' });
  const events = metrics.counter({ name: 'vafa_reader_events_total', help: 'Events folded into the read models' });
  const ledger = {
    name: 'points',
    store: eventStore,
    prefix: ACCOUNT_STREAMS,
    codec: pointsCodec,
    database,
    checkpoints: 'points.checkpoints',
  };
  const reader = new LogReader<PointsEvent>({
    ...ledger,
    projections: [new LedgerProjection(bus, snapshots)],
    onPage: (page) => {
      pages.observe(page.seconds);
      lag.set(page.lagSeconds);
      events.inc(page.events);
    },
    onError: (error) => logger.warn({ err: error }, 'the reader goes on after a break'),
    onStopped: (error) => logger.error({ err: error }, 'the reader has stopped for good'),
  });
  const rebuild = new Rebuild<PointsEvent>({
    ...ledger,
    rebuilds: 'points.rebuilds',
    twins: LEDGER_TABLES,
    projections: () => {
      const { beside } = LEDGER_TABLES;
      return [new LedgerProjection(null, new AccountSnapshots(eventStore, pointsCodec, beside), beside)];
    },
    onError: (err) => logger.error({ err }, 'a rebuild of the read models failed'),
  });
  const watch = watchReader({ context, ledger, states });
  // A reader that is behind is no reason to take the service out of traffic: what it would be sent waits nowhere better. One that has
  // stopped for good will not serve what comes from now on, and says so.
  health.add('reader', async () => {
    if (reader.failure !== undefined) throw reader.failure;
    const { eventsBehind, lastEventAgeSeconds } = await watch.look();
    return { eventsBehind, lastEventAgeSeconds: Math.round(lastEventAgeSeconds) };
  });
  return { reader, rebuild, watch };
};

type Ledger = Pick<ReaderWatchOptions, 'name' | 'store' | 'prefix' | 'database' | 'checkpoints'>;

/** Measures how far the read models are behind, and drops what commands keep in memory once a rebuild has put others in place. */
const watchReader = (options: {
  readonly context: ServiceContext<PointsConfig>;
  readonly ledger: Ledger;
  readonly states: StateCache<PointsAccount>;
}): ReaderWatch => {
  const { metrics, logger } = options.context;
  const behind = metrics.gauge({
    name: 'vafa_reader_behind_events',
    help: 'Events of the ledger that are not in the read models yet; 5,000 stands for that many or more',
  });
  const age = metrics.gauge({
    name: 'vafa_reader_last_event_age_seconds',
    help: 'Time since the last event in the read models was recorded; says something only while some are behind',
  });
  let known: number | undefined;
  return new ReaderWatch({
    ...options.ledger,
    lags: 'points.reader_lag',
    onLag: ({ eventsBehind, lastEventAgeSeconds, generation }) => {
      behind.set(eventsBehind);
      age.set(lastEventAgeSeconds);
      if (known !== undefined && generation !== known) options.states.clear();
      known = generation;
    },
    onError: (err) => logger.warn({ err }, 'the lag of the reader could not be measured'),
  });
};
