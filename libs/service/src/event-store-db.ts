import { EventStoreDbEventStore, connectionStringFault, type AppendDone, type EventStore } from '@vafa/event-sourcing';
import { StartupError } from '@vafa/persistence';
import type { Counter, Histogram } from 'prom-client';
import { ConfigError, defineConfig, setting, text, type ConfigOf } from './config.js';
import type { Logger } from './logger.js';
import type { Metrics } from './metrics.js';

const NAME = 'VAFA_EVENTSTOREDB_URL';

/** How EventStoreDB is reached; without it the ledger is in PostgreSQL. */
export const eventStoreDbConfig = defineConfig({
  url: setting(NAME, text(), {
    default: null,
    secret: true,
    description:
      'EventStoreDB, as esdb://user:password@host:2113?tls=true, or esdb+discover:// for a cluster; without it the ledger is in PostgreSQL',
  }),
});

/** The EventStoreDB that keeps the ledger in place of PostgreSQL. */
export type EventStoreDbChoice = { readonly url: string };

/** Undefined where the ledger is in PostgreSQL. @throws ConfigError that says what is wrong, without showing the password. */
export const chooseEventStoreDb = ({ url }: ConfigOf<typeof eventStoreDbConfig>): EventStoreDbChoice | undefined => {
  if (url === null) return undefined;
  const fault = connectionStringFault(url);
  if (fault === undefined) return { url };
  const detail = `${NAME} is not a connection string of EventStoreDB: ${fault}`;
  throw new ConfigError([{ name: NAME, detail }]);
};

/** What the store does by itself, for the metrics of whichever service of the process comes first. */
export class StoreActivity {
  private seconds: Histogram<'outcome'> | undefined;
  private retries: Counter | undefined;

  done({ outcome, seconds }: AppendDone): void {
    this.seconds?.observe({ outcome }, seconds);
  }

  retried(): void {
    this.retries?.inc();
  }

  /** Shows the figures; only where the ledger is in EventStoreDB, and only of the first service. */
  expose(metrics: Metrics, store: EventStore): void {
    if (this.seconds !== undefined || !(store instanceof EventStoreDbEventStore)) return;
    this.seconds = metrics.histogram({
      name: 'vafa_eventstoredb_append_seconds',
      help: 'Time from an append asked for to its outcome, attempts and waiting included',
      labels: ['outcome'],
    });
    this.retries = metrics.counter({
      name: 'vafa_eventstoredb_retries_total',
      help: 'Calls tried again, and subscriptions taken up again that were too slow',
    });
    metrics.gauge({
      name: 'vafa_eventstoredb_appends_pending',
      help: 'Appends asked for that have no outcome yet',
      collect: (gauge) => gauge.set(store.appendsPending),
    });
  }
}

/** @throws StartupError with the sentence of what is wrong. */
export const openEventStoreDb = async (
  { url }: EventStoreDbChoice,
  activity: StoreActivity,
  logger: Logger,
): Promise<EventStoreDbEventStore> => {
  try {
    return await EventStoreDbEventStore.connect({
      url,
      onAppend: (done) => activity.done(done),
      onRetry: (err) => {
        activity.retried();
        logger.debug({ err, part: 'event store' }, 'a call is tried again');
      },
    });
  } catch (cause) {
    throw new StartupError(`${cause instanceof Error ? cause.message : String(cause)}.`, { cause });
  }
};
