import type pg from 'pg';
import { assertName } from './connection.js';
import { quoteName } from './copy.js';
import type { Querier } from './database.js';

/** A table that is built anew beside itself. */
export type TwinTable = {
  readonly name: string;
  /** `at-the-end` for a table that is only appended to while it is built: its keys and indexes are then made in one go, which is far cheaper. */
  readonly indexes: 'at-once' | 'at-the-end';
};

/** Tables of one schema, and their empty twins under the same names in a schema beside it. Schemas and names come from code, never from input. */
export type Twins = {
  readonly schema: string;
  /** Made and removed here; nothing else may lie in it. */
  readonly beside: string;
  readonly tables: readonly TwinTable[];
};

/** The swap was not possible now: somebody reads the tables, or reads with an older picture of the database. Try again later. */
export class SwapBusyError extends Error {
  override readonly name = 'SwapBusyError';
}

/** Nobody who comes after us waits longer than this for a swap that does not get its locks; below a second, when PostgreSQL begins to look for deadlocks. */
const LOCK_TIMEOUT_MS = 400;

/** From here to the end of the transaction the login itself works, which owns the tables; the service's own role may change none. */
const AS_OWNER = `set local role none; set local search_path = ''`;

/** Makes the twins, without the indexes that come at the end. What an earlier attempt has left is removed first. Needs a transaction. */
export const createTwins = async (work: Querier, twins: Twins): Promise<void> => {
  await work.query(AS_OWNER);
  await dropSchema(work, twins);
  const beside = assertName(twins.beside);
  await work.query(`create schema ${beside}`);
  await work.query(
    `do $$ declare granted record; begin
      for granted in select distinct acl.grantee::regrole as role from pg_namespace n, aclexplode(n.nspacl) acl
                     where n.nspname = '${assertName(twins.schema)}' and acl.privilege_type = 'USAGE' and acl.grantee <> 0 loop
        execute format('grant usage on schema ${beside} to %s', granted.role);
      end loop;
    end $$`,
  );
  for (const table of twins.tables) {
    await createTwin(work, twins, table.name);
    if (table.indexes === 'at-once') await createIndexes(work, twins, table.name);
  }
};

/** Makes the indexes that were left to the end and counts the rows for the planner. Needs a transaction. */
export const finishTwins = async (work: Querier, twins: Twins): Promise<void> => {
  await work.query(AS_OWNER);
  for (const { name, indexes } of twins.tables) {
    if (indexes === 'at-the-end') await createIndexes(work, twins, name);
    await work.query(`analyze ${quoteName(`${twins.beside}.${name}`)}`);
  }
};

/** Removes the twins. Needs a transaction. */
export const dropTwins = async (work: Querier, twins: Twins): Promise<void> => {
  await work.query(AS_OWNER);
  await dropSchema(work, twins);
};

/** Tables are dropped without CASCADE, so that nothing of anybody else goes with them. */
const dropSchema = async (work: Querier, { beside }: Twins): Promise<void> => {
  const tables = await work.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = $1`,
    [beside],
  );
  for (const { name } of tables) await work.query(`drop table ${name}`);
  await work.query(`drop schema if exists ${assertName(beside)}`);
};

/** Columns, checks, defaults, rights, comments and storage as the table has them. */
const createTwin = async (work: Querier, { schema, beside }: Twins, name: string): Promise<void> => {
  const [table, twin] = [quoteName(`${schema}.${name}`), quoteName(`${beside}.${name}`)];
  await work.query(`create table ${twin} (like ${table} including all excluding indexes excluding identity)`);
  const statements = await work.query<{ sql: string }>(
    `select format('grant %s on ${twin} to %s', acl.privilege_type, acl.grantee::regrole) as sql
     from pg_class c, aclexplode(c.relacl) acl where c.oid = $1::regclass and acl.grantee not in (0, c.relowner)
     union all select format('alter table ${twin} set (%s)', array_to_string(reloptions, ', ')) from pg_class
     where oid = $1::regclass and reloptions is not null
     union all select format('comment on table ${twin} is %L', obj_description($1::regclass))
     where obj_description($1::regclass) is not null`,
    [table],
  );
  for (const { sql } of statements) await work.query(sql);
};

/** Under the names that they have, which a later migration may want to speak of. */
const createIndexes = async (work: Querier, { schema, beside }: Twins, name: string): Promise<void> => {
  const [table, twin] = [quoteName(`${schema}.${name}`), quoteName(`${beside}.${name}`)];
  const statements = await work.query<{ sql: string }>(
    `select format('alter table ${twin} add constraint %I %s', conname, pg_get_constraintdef(oid)) as sql
     from pg_constraint where conrelid = $1::regclass and contype in ('p', 'u', 'x')
     union all
     select regexp_replace(pg_get_indexdef(i.indexrelid), ' ON (ONLY )?\\S+ USING ', ' ON ' || $2 || ' USING ')
     from pg_index i where i.indrelid = $1::regclass
       and not exists (select from pg_constraint c where c.conindid = i.indexrelid and c.contype in ('p', 'u', 'x'))`,
    [table, twin],
  );
  for (const { sql } of statements) await work.query(sql);
};

/**
 * Sessions of this database that look at it as it was before `since` and are not waiting for us, oldest first: rows of the twins that were
 * written since then are not in their picture, so that a swap now would show them half a table.
 */
export const olderReaders = async (
  client: pg.ClientBase,
  since: string,
): Promise<{ pid: number; user: string; seconds: number }[]> => {
  await client.query('select pg_stat_clear_snapshot()');
  const { rows } = await client.query<{ pid: number; user: string; seconds: number }>(
    `select pid, usename as user, extract(epoch from clock_timestamp() - xact_start)::int as seconds
     from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
       and backend_xmin is not null and xact_start < $1::timestamptz and not pg_backend_pid() = any(pg_blocking_pids(pid))
     order by xact_start`,
    [since],
  );
  return rows;
};

type View = {
  readonly name: string;
  readonly definition: string;
  readonly options: string | null;
  readonly owner: string;
};

/**
 * Puts the twins in the place of the tables and drops those. Views over them are pointed to the new ones and keep their names, rights and comments.
 * Needs a transaction, in which it is the last thing: from here to the commit every reader of the tables waits.
 * @throws SwapBusyError where the locks cannot be had at once; nothing is changed then, and the transaction has failed.
 */
export const swapTwins = async (client: pg.ClientBase, twins: Twins): Promise<void> => {
  await client.query(`${AS_OWNER}; set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
  try {
    const views = await lockAll(client, twins);
    await assertAlike(client, twins);
    await exchange(client, twins, views);
  } catch (error) {
    if (!isBusy(error)) throw error;
    throw new SwapBusyError('others read the tables just now', { cause: error });
  }
};

/** lock_not_available, or a deadlock in which we were chosen to give way. */
const isBusy = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === '55P03' || error.code === '40P01');

/** Views first, as a query locks them: one that has its view waits for the table behind us, and not we for it. */
const lockAll = async (client: pg.ClientBase, { schema, tables }: Twins): Promise<View[]> => {
  const names = tables.map(({ name }) => quoteName(`${schema}.${name}`));
  const { rows: views } = await client.query<View & { kind: string }>(
    `select distinct v.oid::regclass::text as name, pg_get_viewdef(v.oid) as definition, array_to_string(v.reloptions, ', ') as options,
       quote_ident(pg_get_userbyid(v.relowner)) as owner, v.relkind::text as kind
     from pg_depend d join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid join pg_class v on v.oid = r.ev_class
     where d.refclassid = 'pg_class'::regclass and d.refobjid = any($1::regclass[]) and v.relkind in ('v', 'm')
     order by 1`,
    [names],
  );
  const fixed = views.find(({ kind }) => kind === 'm');
  if (fixed !== undefined) throw new Error(`${fixed.name} is a materialized view: it cannot follow a rebuild`);
  // Changes nothing, and takes the view's own lock alone; LOCK TABLE would take those of every table under it as well.
  for (const { name, owner } of views) await client.query(`alter view ${name} owner to ${owner}`);
  await client.query(`lock table ${names.join(', ')} in access exclusive mode`);
  return views;
};

const COLUMNS = `
  select attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull as text
  from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum`;

/** A migration may have come in between. */
const assertAlike = async (client: pg.ClientBase, { schema, beside, tables }: Twins): Promise<void> => {
  for (const { name } of tables) {
    const [now, built] = [
      await client.query<{ text: string }>(COLUMNS, [quoteName(`${schema}.${name}`)]),
      await client.query<{ text: string }>(COLUMNS, [quoteName(`${beside}.${name}`)]),
    ];
    if (JSON.stringify(now.rows) !== JSON.stringify(built.rows))
      throw new Error(`the table ${schema}.${name} has been changed while it was built anew: start again`);
  }
};

const exchange = async (client: pg.ClientBase, twins: Twins, views: readonly View[]): Promise<void> => {
  const { schema, beside, tables } = twins;
  const old = assertName(`${schema}_old`);
  await client.query(`create schema ${old}`);
  for (const { name } of tables) {
    await client.query(`alter table ${quoteName(`${schema}.${name}`)} set schema ${old}`);
    await client.query(`alter table ${quoteName(`${beside}.${name}`)} set schema ${assertName(schema)}`);
  }
  for (const { name, definition, options } of views)
    await client.query(
      `create or replace view ${name} ${options === null ? '' : `with (${options})`} as ${definition}`,
    );
  for (const { name } of tables) await client.query(`drop table ${quoteName(`${old}.${name}`)}`);
  await client.query(`drop schema ${old}; drop schema ${assertName(beside)}`);
};
