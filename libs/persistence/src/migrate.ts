import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import pg from 'pg';
import type { MigrationInterface } from 'typeorm';
import { DataSource } from 'typeorm';
import { refuseHalfRestored } from './archive/restore-mark.js';
import { assertName, COMMAND_LIMITS, connectClient, connectionConfig } from './connection.js';

/** What one service or library needs in the database. */
export type MigrationSet = {
  /** Its schema, created where missing; owned by the login that migrates. */
  readonly schema: string;
  /** The role that works in it: no login, rights on this schema only, granted to the login that migrates. */
  readonly role: string;
  /** Class names end with a timestamp in milliseconds, as TypeORM wants it; forward only. */
  readonly migrations: readonly (new () => MigrationInterface)[];
  /** `append-only`: the role may select and insert and nothing else. `read-write` unless told. */
  readonly rights?: 'read-write' | 'append-only';
  /** Roles of other sets, earlier in the list, whose rights this one has as well (to write to the bus in its own transaction, say). */
  readonly inherits?: readonly string[];
};

export type MigrateOptions = {
  /** Gives the role `analyst` a login with this password. Without it the role exists and cannot log in. */
  readonly analystPassword?: string;
  /** The caller is the one who puts a backup into the database; for everybody else one that is only half there is refused. */
  readonly restoring?: boolean;
};

export const ANALYST_ROLE = 'analyst';
export const ANALYTICS_SCHEMA = 'analytics';

/** What an analyst may ask of the server that the club runs on. A session may lower the times for itself, or ask for more. */
const ANALYST_CONNECTIONS_MAX = 20;
const ANALYST_STATEMENT_MS_MAX = 15 * 60_000;
const ANALYST_IDLE_MS_MAX = 15 * 60_000;

const MIGRATIONS_TABLE = 'migrations';
const LOCK = 'select pg_advisory_lock(hashtext($1), 1)';
const LOCK_NAME = 'vafa.migrate';
/** Roles belong to the whole server: a migration of another of its databases may be at the same role, and one of the two fails. */
const ROLE_ATTEMPTS_MAX = 10;
const ROLE_BACKOFF_MS = 50;

/**
 * Brings the database up to date: the schema `analytics` and the role `analyst`, then each set in the order given. One process at a time
 * does so (a session lock); another waits and finds nothing left to do. Each migration is a transaction of its own.
 * @throws the first failure, with the migrations before it done.
 */
export const migrate = async (
  url: string,
  sets: readonly MigrationSet[],
  log: (message: string) => void,
  options: MigrateOptions = {},
): Promise<void> => {
  const client = await connectClient({ url, applicationName: 'vafa-migrate' });
  try {
    await client.query(LOCK, [LOCK_NAME]);
    if (options.restoring !== true) await refuseHalfRestored(client);
    await withRoleRetry(() => ensureAnalytics(client, options.analystPassword));
    for (const set of sets) {
      await withRoleRetry(() => ensureSchema(client, set));
      const pending = await pendingMigrations(client, set);
      if (pending.length > 0) await runMigrations(url, set, log);
      await ensureRights(client, set);
    }
    await withRoleRetry(() => confineAnalyst(client));
  } finally {
    await client.end();
  }
};

const ensureRole = (role: string): string => `
  do $$ begin
    if not exists (select from pg_roles where rolname = '${assertName(role)}') then
      create role ${role} nologin;
    end if;
    if not pg_has_role(current_user, '${role}', 'member') then
      grant ${role} to current_user;
    end if;
  end $$;`;

const ensureAnalytics = async (client: pg.Client, password: string | undefined): Promise<void> => {
  await client.query(`${ensureRole(ANALYST_ROLE)}
    create schema if not exists ${ANALYTICS_SCHEMA};
    grant usage on schema ${ANALYTICS_SCHEMA} to ${ANALYST_ROLE};
    grant select on all tables in schema ${ANALYTICS_SCHEMA} to ${ANALYST_ROLE};
    alter default privileges in schema ${ANALYTICS_SCHEMA} grant select on tables to ${ANALYST_ROLE};`);
  if (password === undefined) return;
  await client.query(`alter role ${ANALYST_ROLE} login password ${pg.escapeLiteral(scramVerifier(password))};
    alter role ${ANALYST_ROLE} connection limit ${ANALYST_CONNECTIONS_MAX};
    alter role ${ANALYST_ROLE} set default_transaction_read_only = on;
    alter role ${ANALYST_ROLE} set statement_timeout = '${ANALYST_STATEMENT_MS_MAX}ms';
    alter role ${ANALYST_ROLE} set idle_in_transaction_session_timeout = '${ANALYST_IDLE_MS_MAX}ms';
    alter role ${ANALYST_ROLE} set search_path = ${ANALYTICS_SCHEMA};`);
};

/**
 * Takes from everybody what PostgreSQL gives to everybody and an analyst could get in the way with: temporary tables, large objects, and advisory
 * locks, by which readers and consumers know who leads. The roles of the services keep the locks. A login that is no superuser cannot
 * do so on a server of somebody else's; nothing is lost then but this.
 */
const confineAnalyst = async (client: pg.Client): Promise<void> => {
  await client.query(`
    do $$ declare target record; services text; begin
      execute format('revoke temporary on database %I from public', current_database());
      select string_agg(distinct acl.grantee::regrole::text, ', ') into services
        from pg_namespace n, aclexplode(n.nspacl) acl
        where acl.grantee <> 0 and acl.grantee <> n.nspowner and acl.grantee <> '${ANALYST_ROLE}'::regrole and n.nspname !~ '^pg_|^public$';
      for target in
        select p.oid::regprocedure::text as name, p.proname ~ 'advisory' as is_lock, acl.grantee = 0 or p.proacl is null as is_public
        from pg_proc p left join aclexplode(p.proacl) acl on acl.grantee = 0
        where p.pronamespace = 'pg_catalog'::regnamespace
          and (p.proname ~ '^pg_(try_)?advisory_' or p.proname ~ '^lo_' or p.proname in ('loread', 'lowrite'))
      loop
        if target.is_lock and services is not null then
          execute format('grant execute on function %s to %s', target.name, services);
        end if;
        if target.is_public then execute format('revoke execute on function %s from public', target.name); end if;
      end loop;
    exception when insufficient_privilege then null;
    end $$`);
};

const ensureSchema = async (client: pg.Client, set: MigrationSet): Promise<void> => {
  const inherited = (set.inherits ?? []).map(
    (role) => `
    do $$ begin
      if not pg_has_role('${set.role}', '${assertName(role)}', 'member') then grant ${role} to ${set.role}; end if;
    end $$;`,
  );
  await client.query(`${ensureRole(set.role)}${inherited.join('')}
    create schema if not exists ${assertName(set.schema)};`);
};

/** Granted again after every run, so that tables of a new migration are covered. */
const ensureRights = async (client: pg.Client, set: MigrationSet): Promise<void> => {
  const rights = set.rights === 'append-only' ? 'select, insert' : 'select, insert, update, delete, truncate';
  await client.query(`
    grant usage on schema ${set.schema} to ${set.role};
    grant ${rights} on all tables in schema ${set.schema} to ${set.role};
    grant usage, select on all sequences in schema ${set.schema} to ${set.role};`);
  if (set.migrations.length > 0) {
    await client.query(`revoke all on ${set.schema}.${MIGRATIONS_TABLE} from ${set.role}`);
  }
};

/** Looks by itself, so that a start with nothing to do does not pay for a data source a set. */
const pendingMigrations = async (client: pg.Client, set: MigrationSet): Promise<string[]> => {
  const names = set.migrations.map((migration) => migration.name);
  const table = `${set.schema}.${MIGRATIONS_TABLE}`;
  const { rows: found } = await client.query<{ exists: boolean }>('select to_regclass($1) is not null as exists', [
    table,
  ]);
  if (found[0]?.exists !== true) return names;
  const { rows } = await client.query<{ name: string }>(`select name from ${table}`);
  const done = new Set(rows.map((row) => row.name));
  return names.filter((name) => !done.has(name));
};

const runMigrations = async (url: string, set: MigrationSet, log: (message: string) => void): Promise<void> => {
  const { connectionString: _url, ...extra } = connectionConfig(
    { url, schema: set.schema, applicationName: 'vafa-migrate' },
    COMMAND_LIMITS,
  );
  const dataSource = new DataSource({
    type: 'postgres',
    url,
    schema: set.schema,
    driver: pg,
    migrations: [...set.migrations],
    migrationsTableName: MIGRATIONS_TABLE,
    migrationsTransactionMode: 'each',
    synchronize: false,
    logging: false,
    installExtensions: false,
    poolSize: 1,
    extra,
  });
  await dataSource.initialize();
  try {
    for (const migration of await dataSource.runMigrations()) log(`${set.schema}: ${migration.name}`);
  } finally {
    await dataSource.destroy();
  }
};

const withRoleRetry = async (work: () => Promise<void>): Promise<void> => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt >= ROLE_ATTEMPTS_MAX || !isRoleRace(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, ROLE_BACKOFF_MS * attempt));
    }
  }
};

/** duplicate_object, unique_violation, or the internal error that two changes of one catalogue row give. */
const isRoleRace = (error: unknown): boolean => {
  if (!(error instanceof pg.DatabaseError)) return false;
  return error.code === '42710' || error.code === '23505' || /tuple concurrently (updated|deleted)/.test(error.message);
};

const SCRAM_ITERATIONS = 4096;
const SCRAM_SALT_BYTES = 16;
const SCRAM_KEY_BYTES = 32;

/** What PostgreSQL stores of a password (RFC 5803), worked out here so that the password itself is in no statement and no server log. */
const scramVerifier = (password: string): string => {
  const salt = randomBytes(SCRAM_SALT_BYTES);
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, SCRAM_ITERATIONS, SCRAM_KEY_BYTES, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64');
  return `SCRAM-SHA-256$${SCRAM_ITERATIONS}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
};
