import pg from 'pg';

/** How long a session may keep others waiting, and wait for them. */
export type SessionLimits = {
  /** A transaction in which its process does nothing is ended by the server after this long, and with it its locks. */
  readonly idleInTransactionMs: number;
  /** A statement that waits longer for a lock fails with 55P03, which is a failure of the moment; 0 waits for ever. */
  readonly lockWaitMs: number;
};

/** Of commands, for which nobody waits: a person may be at them, or they wait for one that migrates. */
export const COMMAND_LIMITS: SessionLimits = { idleInTransactionMs: 60_000, lockWaitMs: 0 };
/**
 * Of a connection of a service of its own. Below the 6 s after which the partitions of a process that is frozen or cut off go to others, which must
 * not find its locks there; above what an event loop stands still on a machine that has too much to do.
 */
export const SERVICE_LIMITS: SessionLimits = { idleInTransactionMs: 4_000, lockWaitMs: 0 };
/**
 * Of the connections of a pool. Those of a frozen process that queue for one lock would get it one after the other, and each keep it until it is
 * ended: the wait ends before that, so that only one of them does.
 */
export const POOL_LIMITS: SessionLimits = { ...SERVICE_LIMITS, lockWaitMs: 3_000 };

const CONNECT_TIMEOUT_MS = 15_000;
const KEEPALIVE_DELAY_MS = 10_000;

/**
 * int8 arrives as a number. A value that a number cannot hold exactly fails the query with a RangeError instead of
 * arriving changed: select such a column as text. `sum()` over int8 is numeric and arrives as text, as ever: cast it to bigint.
 */
export const parseInt8 = (text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    throw new RangeError(`bigint ${text} is beyond the safe integers: select it as text`);
  return value;
};

/** Type parsers of one connection, so that nothing global of the driver is changed. */
const types = new pg.TypeOverrides();
types.setTypeParser(pg.types.builtins.INT8, parseInt8);

export type ConnectionOptions = {
  readonly url: string;
  /** Unqualified names resolve here. */
  readonly schema?: string;
  /** The role whose rights the connection has; the login of `url` must be a member of it. */
  readonly role?: string;
  /** Shows in `pg_stat_activity`; see `SERVICE_SESSIONS` for that of a service. */
  readonly applicationName: string;
};

const NAME = /^[a-z_][a-z0-9_]{0,62}$/;

/** @throws RangeError for a name that would need quoting; schemas and roles come from code, never from input. */
export const assertName = (name: string): string => {
  if (!NAME.test(name)) throw new RangeError(`not a plain PostgreSQL name: ${JSON.stringify(name)}`);
  return name;
};

/** What every connection of Vafa to PostgreSQL is made with. */
export const connectionConfig = (options: ConnectionOptions, limits: SessionLimits): pg.ClientConfig => {
  const settings = [
    `idle_in_transaction_session_timeout=${limits.idleInTransactionMs}`,
    `lock_timeout=${limits.lockWaitMs}`,
    'tcp_keepalives_idle=30',
    'tcp_keepalives_interval=10',
    'tcp_keepalives_count=3',
    // Compiling a page's statement costs more than running it.
    'jit=off',
    'TimeZone=UTC',
    ...(options.schema === undefined ? [] : [`search_path=${assertName(options.schema)}`]),
    ...(options.role === undefined ? [] : [`role=${assertName(options.role)}`]),
  ];
  return {
    connectionString: options.url,
    application_name: options.applicationName,
    options: settings.map((setting) => `-c ${setting}`).join(' '),
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_DELAY_MS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    types,
  };
};

/**
 * A connection that breaks while nobody listens (idle, between two owners, while its pool lets go of it) ends without ending the
 * process. Whoever uses it learns of the break by the statement that fails; whoever has to know at once listens to `error` or `end`.
 */
export class GuardedClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on('error', () => undefined);
  }
}

/** Opens one connection outside any pool, with the limits of a command unless told. */
export const connectClient = async (
  options: ConnectionOptions,
  limits: SessionLimits = COMMAND_LIMITS,
): Promise<pg.Client> => {
  const client = new GuardedClient(connectionConfig(options, limits));
  await client.connect();
  return client;
};
