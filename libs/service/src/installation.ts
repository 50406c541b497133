import { TOPICS } from '@vafa/contracts';
import {
  MemoryEventStore,
  PostgresEventStore,
  eventStoreMigrations,
  requireHomeInEventStoreDb,
  requireHomeInPostgres,
  type EventStore,
} from '@vafa/event-sourcing';
import {
  KafkaMessageBus,
  MemoryMessageBus,
  PostgresDeadLetters,
  PostgresMessageBus,
  messagingMigrations,
} from '@vafa/messaging';
import type { DeadLetterSettings, MessageBus } from '@vafa/messaging';
import { Database, migrate, SERVICE_SESSIONS, StalledSessions, type MigrationSet } from '@vafa/persistence';
import { Audit } from './audit/audit.js';
import { auditMigrations } from './audit/migrations.js';
import type { TokenVerifier } from './auth/verifier.js';
import type { Clock } from './clock/clock.js';
import { DatabaseClock } from './clock/database-clock.js';
import { DeadLetterPurge } from './dead-letters/dead-letter-purge.js';
import { serviceMigrations } from './clock/migrations.js';
import type { ServiceContext, ServiceDefinition } from './definition.js';
import { StoreActivity, openEventStoreDb, type EventStoreDbChoice } from './event-store-db.js';
import { Health } from './health.js';
import type { HttpConfig } from './http/http-settings.js';
import { BusActivity, openKafkaBus, type KafkaChoice } from './kafka.js';
import type { Logger } from './logger.js';
import { Metrics } from './metrics.js';

type AnyDefinition = Pick<ServiceDefinition<never>, 'migrations'>;

/** Every migration set of an installation with these services, in the order they are run. */
export const migrationSets = (definitions: readonly AnyDefinition[]): MigrationSet[] => {
  const shared = [serviceMigrations, messagingMigrations, auditMigrations];
  const roles = shared.map(({ role }) => role);
  // A service writes to the bus and the audit and reads the clock within its own transactions, and so with its own role.
  const own = definitions.map(({ migrations }) => ({
    ...migrations,
    inherits: [...new Set([...(migrations.inherits ?? []), ...roles])],
  }));
  return [...shared, eventStoreMigrations, ...own];
};

/** Brings the database up to date for these services. One process at a time does it, others wait. */
export const migrateInstallation = (
  url: string,
  definitions: readonly AnyDefinition[],
  logger: Logger,
  options: { analystPassword?: string } = {},
): Promise<void> => migrate(url, migrationSets(definitions), (message) => logger.info(`migrated ${message}`), options);

export type InstallationOptions = {
  /** The database, already migrated. */
  readonly url: string;
  /** Connections that each service keeps at most. */
  readonly poolSize: number;
  readonly production: boolean;
  readonly verifier: TokenVerifier;
  readonly http: HttpConfig;
  /** 32 bytes, the same in every process: see `openDeadLetterKey`. */
  readonly deadLetterKey: Buffer;
  /** How long dead letters are kept, how many may wait, and how often old ones are looked for: as `deadLetterSettings` gives it. */
  readonly deadLetters?: DeadLetterSettings & { readonly purgeIntervalMs?: number };
  readonly logger: Logger;
  /** Store and bus: in PostgreSQL by default, in memory for tests. */
  readonly adapters?: 'postgres' | 'memory';
  /** The brokers that carry the bus in place of PostgreSQL, which then keeps the outbox. */
  readonly kafka?: KafkaChoice | undefined;
  /** The EventStoreDB that keeps the ledger in place of PostgreSQL. */
  readonly eventStoreDb?: EventStoreDbChoice | undefined;
  /** Another clock than the one in the database. */
  readonly clock?: Clock;
  /** Whether metrics tell of the process as well: for the first service of a process only. */
  readonly processMetrics?: boolean;
};

// The store commits in groups on one connection and reads on others; the bus publishes on one and keeps a few for its consumers.
const STORE_POOL_SIZE = 4;
const BUS_POOL_SIZE = 4;
const CLOCK_POOL_SIZE = 1;

/** What the services of one process share: bus, event store, clock. Opened before them, closed after them. */
export class Installation {
  private processMetrics: boolean;
  private purging: DeadLetterPurge | undefined;
  private readonly stalled: StalledSessions;
  private readonly activity: BusActivity;
  private readonly storeActivity: StoreActivity;
  /** Rejects when a shared part cannot go on for good: the process has to end. */
  readonly lost: Promise<never>;
  readonly bus: MessageBus;
  readonly eventStore: EventStore;

  private constructor(
    private readonly options: InstallationOptions,
    private readonly pools: Pools,
    { bus, eventStore, activity, storeActivity, lost }: Adapters,
    readonly clock: Clock,
  ) {
    this.processMetrics = options.processMetrics ?? true;
    this.bus = bus;
    this.eventStore = eventStore;
    this.activity = activity;
    this.storeActivity = storeActivity;
    this.lost = lost;
    const { url, logger } = options;
    this.stalled = new StalledSessions({
      url,
      onEnded: (session) =>
        logger.warn(session, 'a database session stood still in the middle of a statement and was ended'),
      onError: (err) => logger.warn({ err }, 'sessions that stand still cannot be looked for'),
    });
  }

  /** Connects everything that is shared. @throws where a part cannot be had; nothing is left open then. */
  static async open(options: InstallationOptions): Promise<Installation> {
    const pools = new Pools(options.url, options.logger);
    let adapters: Adapters | undefined;
    try {
      adapters = await openAdapters(options, pools);
      const partitions = options.kafka?.partitions;
      const topics = Object.values(TOPICS);
      await adapters.bus.ensureTopics(
        topics.map((topic) => ({ ...topic, partitions: partitions ?? topic.partitions })),
      );
      const clock = options.clock ?? (await openClock(options, pools));
      return new Installation(options, pools, adapters, clock);
    } catch (error) {
      if (adapters !== undefined) {
        const { bus, eventStore } = adapters;
        await closing('bus', () => bus.close(), options.logger);
        await closing('event store', () => eventStore.close(), options.logger);
      }
      await pools.close();
      throw error;
    }
  }

  /** What `startService` needs for one service: a pool of its own with its own role, and what is shared. */
  async contextFor<Config>(
    definition: ServiceDefinition<Config>,
    config: Config,
    logger: Logger = this.options.logger.child({ service: definition.name }),
  ): Promise<ServiceContext<Config>> {
    const { name, migrations, entities } = definition;
    const database = await this.pools.open(name, migrations, this.options.poolSize, entities);
    const onError = (err: unknown, metric: string): void => logger.warn({ err, metric }, 'a figure could not be had');
    const metrics = new Metrics(name, { process: this.processMetrics, onError });
    this.processMetrics = false;
    const health = new Health(logger);
    if (this.bus instanceof KafkaMessageBus) this.activity.expose(metrics, health, this.bus);
    this.storeActivity.expose(metrics, this.eventStore);
    const { bus, eventStore, clock } = this;
    const { verifier, http, deadLetterKey } = this.options;
    const deadLetters = new PostgresDeadLetters(database, bus, deadLetterKey, this.options.deadLetters);
    // Once a process: the letters of all services lie together.
    this.purging ??= new DeadLetterPurge(deadLetters, this.options.logger, this.options.deadLetters?.purgeIntervalMs);
    const audit = new Audit(name, database);
    return { config, database, audit, bus, deadLetters, eventStore, clock, logger, metrics, health, verifier, http };
  }

  /** Closes bus and store, then the clock, the databases last. To be called once the services are closed. */
  async close(): Promise<void> {
    const { logger } = this.options;
    await this.purging?.close();
    await closing('bus', () => this.bus.close(), logger);
    await closing('event store', () => this.eventStore.close(), logger);
    if (this.clock instanceof DatabaseClock) this.clock.close();
    this.options.verifier.close();
    await this.stalled.close();
    await this.pools.close();
  }
}

/** The database pools of one process, a part each. */
class Pools {
  private readonly opened: Database[] = [];

  constructor(
    private readonly url: string,
    private readonly logger: Logger,
  ) {}

  async open(
    name: string,
    { schema, role }: MigrationSet,
    poolSize: number,
    entities: readonly (new () => object)[] = [],
  ): Promise<Database> {
    const database = await Database.connect({
      url: this.url,
      schema,
      role,
      poolSize,
      entities,
      applicationName: `${SERVICE_SESSIONS}${name}`,
      onError: (err) => this.logger.warn({ err, part: name }, 'a database connection failed'),
    });
    this.opened.push(database);
    return database;
  }

  async close(): Promise<void> {
    for (const database of this.opened.splice(0)) await closing('database', () => database.close(), this.logger);
  }
}

// One part that does not close must not keep the others open.
const closing = async (part: string, close: () => Promise<void>, logger: Logger): Promise<void> => {
  try {
    await close();
  } catch (err) {
    logger.error({ err, part }, 'a part did not close cleanly');
  }
};

type Adapters = {
  readonly bus: MessageBus;
  readonly eventStore: EventStore;
  readonly activity: BusActivity;
  readonly storeActivity: StoreActivity;
  readonly lost: Promise<never>;
};

const KEPT_OLD =
  'messages older than the retention of their topic are kept, since these groups have not taken them yet; a group that is gone for good has to be removed';

const openAdapters = async (options: InstallationOptions, pools: Pools): Promise<Adapters> => {
  const { adapters = 'postgres', kafka, logger } = options;
  const onError = (err: unknown): void => logger.warn({ err, part: 'bus' }, 'a failure that nobody waited for');
  const activity = new BusActivity();
  const { promise: lost, reject: onFatal } = Promise.withResolvers<never>();
  // Whoever runs the process waits for it; where nobody does, the log and readiness say it.
  lost.catch((err: unknown) => logger.fatal({ err, part: 'bus' }, 'the bus cannot go on'));
  const storeActivity = new StoreActivity();
  const shared = { activity, storeActivity, lost };
  if (adapters === 'memory')
    return { bus: new MemoryMessageBus({ onError }), eventStore: new MemoryEventStore(), ...shared };
  const database = await pools.open('bus', messagingMigrations, BUS_POOL_SIZE);
  const bus =
    kafka === undefined
      ? new PostgresMessageBus(database, { onError, onKept: (kept) => logger.warn({ ...kept, part: 'bus' }, KEPT_OLD) })
      : openKafkaBus({ choice: kafka, database, logger, activity, onError, onFatal });
  try {
    return { bus, eventStore: await openStore(options, pools, storeActivity), ...shared };
  } catch (error) {
    await closing('bus', () => bus.close(), logger);
    throw error;
  }
};

/** The ledger, in the one store that it lives in. @throws StartupError where it lives in another than the one configured. */
const openStore = async (
  { eventStoreDb, logger }: InstallationOptions,
  pools: Pools,
  activity: StoreActivity,
): Promise<EventStore> => {
  const poolSize = eventStoreDb === undefined ? STORE_POOL_SIZE : 1;
  const database = await pools.open('store', eventStoreMigrations, poolSize);
  if (eventStoreDb === undefined) {
    await requireHomeInPostgres(database);
    return new PostgresEventStore(database);
  }
  const store = await openEventStoreDb(eventStoreDb, activity, logger);
  try {
    await requireHomeInEventStoreDb(database, store);
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
};

const openClock = async ({ production, logger }: InstallationOptions, pools: Pools): Promise<Clock> => {
  const database = await pools.open('clock', serviceMigrations, CLOCK_POOL_SIZE);
  return DatabaseClock.open({ database, production, logger });
};
