import { StartupError, type Querier } from '@vafa/persistence';
import { randomUUID } from 'node:crypto';
import { NO_STREAM } from './event-store.js';
import type { EventStore } from './event-store.js';

/** Where a ledger can live. */
export type LedgerStore = 'postgres' | 'eventstoredb';

export const STORE_NAMES: Readonly<Record<LedgerStore, string>> = {
  postgres: 'PostgreSQL',
  eventstoredb: 'EventStoreDB',
};

/** The row of `eventstore.home`. There is none as long as the ledger has never been anywhere but in PostgreSQL. */
export type LedgerHome = {
  readonly store: LedgerStore;
  /** What the EventStoreDB of this installation is known by. */
  readonly installation: string;
  /** Set while the ledger is on its way. */
  readonly movingTo: LedgerStore | null;
};

/** The stream by which an EventStoreDB says whose ledger it holds. */
export const INSTALLATION_STREAM = 'vafa-installation';
const CLAIMED = 'InstallationClaimed';

export const readHome = async (database: Querier): Promise<LedgerHome | undefined> => {
  const [row] = await database.query<LedgerHome>(
    'select store, installation, moving_to as "movingTo" from eventstore.home',
  );
  return row;
};

/** @throws StartupError where the ledger does not live in PostgreSQL: another one must not be begun there. */
export const requireHomeInPostgres = async (database: Querier): Promise<void> => {
  const home = await readHome(database);
  refuseMoving(home);
  if (home?.store === 'eventstoredb')
    throw new StartupError(
      'The ledger lives in EventStoreDB: set VAFA_EVENTSTOREDB_URL, or bring it back by "vafa move --to postgres".',
    );
};

/**
 * Looks whether this EventStoreDB holds the ledger of this installation, and makes it so where there is no ledger yet.
 * @throws StartupError where the ledger lives in PostgreSQL, or in another EventStoreDB.
 */
export const requireHomeInEventStoreDb = async (database: Querier, store: EventStore): Promise<void> => {
  const home = await readHome(database);
  refuseMoving(home);
  if (home === undefined) {
    const [row] = await database.query<{ any: boolean }>('select exists (select from eventstore.events) as any');
    if (row?.any === true) throw inPostgres();
    const installation = await claim(store, randomUUID());
    await database.query(
      `insert into eventstore.home (store, installation) values ('eventstoredb', $1) on conflict do nothing`,
      [installation],
    );
    return requireHomeInEventStoreDb(database, store);
  }
  if (home.store === 'postgres') throw inPostgres();
  const found = await installationOf(store);
  if (found === home.installation) return;
  throw new StartupError(
    found === undefined
      ? 'The EventStoreDB of VAFA_EVENTSTOREDB_URL is empty, and the ledger is elsewhere: check the address.'
      : 'The EventStoreDB of VAFA_EVENTSTOREDB_URL holds the ledger of another installation: check the address.',
  );
};

/** The installation whose ledger this EventStoreDB is for: the one given, unless it is taken. @throws StartupError where it holds another's ledger. */
export const claim = async (store: EventStore, installation: string): Promise<string> => {
  const found = await installationOf(store);
  if (found === undefined) {
    const data = JSON.stringify({ installation });
    const event = { id: randomUUID(), type: CLAIMED, data, metadata: '{"schema":1}' };
    await store.append(INSTALLATION_STREAM, NO_STREAM, [event]);
    return claim(store, installation);
  }
  if (found !== installation && (await hasLedger(store)))
    throw new StartupError(
      'The EventStoreDB of VAFA_EVENTSTOREDB_URL holds a ledger already, and not of this installation: give it one of its own.',
    );
  return found;
};

/** Whose ledger an EventStoreDB says that it holds; undefined where it says nothing. */
export const installationOf = async (store: EventStore): Promise<string | undefined> => {
  const [event] = await store.read(INSTALLATION_STREAM, 0, 1);
  return event === undefined ? undefined : (JSON.parse(event.data) as { installation: string }).installation;
};

const hasLedger = async (store: EventStore): Promise<boolean> => {
  const ended = new AbortController();
  const log = store.subscribe({ prefix: 'account-', after: null, pageSize: 1, signal: ended.signal });
  try {
    for await (const { events, caughtUp } of log) if (events.length > 0 || caughtUp) return events.length > 0;
    return false;
  } finally {
    ended.abort();
  }
};

const inPostgres = (): StartupError =>
  new StartupError(
    'The ledger lives in PostgreSQL, and VAFA_EVENTSTOREDB_URL names another store: "vafa move --to eventstoredb" takes it there.',
  );

const refuseMoving = (home: LedgerHome | undefined): void => {
  if (home === undefined || home.movingTo === null) return;
  throw new StartupError(
    `The ledger is on its way to ${STORE_NAMES[home.movingTo]}: "vafa move --to ${home.movingTo}" finishes it, "vafa move --abandon" leaves it where it was.`,
  );
};
