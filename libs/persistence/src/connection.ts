import pg from 'pg';

/**
 * A transaction left open by a frozen process is ended by the server after this long: others who have taken over its messages wait for its
 * locks until then. Longer than anything that is done in the middle of one, such as an append that is tried again for 15 s.
 */
const IDLE_IN_TRANSACTION_MS = 20_000;
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
  /** Shows in `pg_stat_activity`. */
  readonly applicationName: string;
};

const NAME = /^[a-z_][a-z0-9_]{0,62}$/;

/** @throws RangeError for a name that would need quoting; schemas and roles come from code, never from input. */
export const assertName = (name: string): string => {
  if (!NAME.test(name)) throw new RangeError(`not a plain PostgreSQL name: ${JSON.stringify(name)}`);
  return name;
};

/** What every connection of Vafa to PostgreSQL is made with. */
export const connectionConfig = (options: ConnectionOptions): pg.ClientConfig => {
  const settings = [
    `idle_in_transaction_session_timeout=${IDLE_IN_TRANSACTION_MS}`,
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

/** Opens one connection outside any pool. */
export const connectClient = async (options: ConnectionOptions): Promise<pg.Client> => {
  const client = new GuardedClient(connectionConfig(options));
  await client.connect();
  return client;
};
