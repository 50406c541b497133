import {
  EventStoreDbEventStore,
  PostgresEventStore,
  eventStoreMigrations,
  installationOf,
  readHome,
  type EventStore,
  type LedgerHome,
  type LedgerStore,
} from '@vafa/event-sourcing';
import { Database, StartupError } from '@vafa/persistence';
import type { Environment } from './config.js';
import { StoreActivity, chooseEventStoreDb, eventStoreDbConfig, openEventStoreDb } from './event-store-db.js';
import { silentLogger } from './logger.js';

/** A ledger as a command reads it: none of its services need to run. */
export type OpenLedger = {
  readonly kind: LedgerStore;
  readonly home: LedgerHome | undefined;
  readonly store: EventStore;
  close(): Promise<void>;
};

export type OpenLedgerOptions = {
  readonly databaseUrl: string;
  readonly env: Environment;
  /** Another store than the one that the ledger lives in: where it is to be taken. */
  readonly kind?: LedgerStore;
};

const POOL_SIZE = 2;

/** Opens the store that the ledger lives in. @throws StartupError or ConfigError with the sentence of what is wrong. */
export const openLedger = async ({ databaseUrl, env, kind: wanted }: OpenLedgerOptions): Promise<OpenLedger> => {
  const { schema, role } = eventStoreMigrations;
  const access = { url: databaseUrl, schema, role, poolSize: POOL_SIZE, applicationName: 'vafa-cli' };
  const database = await Database.connect({ ...access, onError: () => undefined });
  try {
    const home = await readHome(database);
    const kind = wanted ?? home?.store ?? 'postgres';
    const store = kind === 'postgres' ? new PostgresEventStore(database) : await openRemote(env);
    const close = async (): Promise<void> => {
      await store.close();
      await database.close();
    };
    if (kind === 'eventstoredb' && home?.store === kind && (await installationOf(store)) !== home.installation) {
      await store.close();
      throw new StartupError(
        'The EventStoreDB of VAFA_EVENTSTOREDB_URL does not hold the ledger of this installation: check the address.',
      );
    }
    return { kind, home, store, close };
  } catch (error) {
    await database.close();
    throw error;
  }
};

const openRemote = async (env: Environment): Promise<EventStoreDbEventStore> => {
  const choice = chooseEventStoreDb(eventStoreDbConfig(env));
  if (choice === undefined)
    throw new StartupError('The ledger is in EventStoreDB: set VAFA_EVENTSTOREDB_URL as for the services.');
  return openEventStoreDb(choice, new StoreActivity(), silentLogger());
};
