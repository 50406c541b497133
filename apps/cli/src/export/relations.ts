import type pg from 'pg';

import { Refusal } from '../command.js';
import { didYouMean } from '../suggest.js';

export type Column = { readonly name: string; readonly type: string };
export type Relation = { readonly name: string; readonly about: string; readonly columns: readonly Column[] };

const RELATIONS = `
  select c.relname as name, coalesce(obj_description(c.oid), '') as about,
    (select json_agg(json_build_object('name', attname, 'type', format_type(atttypid, null)) order by attnum)
     from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped) as columns
  from pg_class c where c.relnamespace = 'analytics'::regnamespace and c.relkind in ('r', 'v', 'm') order by 1`;

/** Everything in `analytics`, with its columns. */
export const listRelations = async (client: pg.Client): Promise<Relation[]> =>
  (await client.query<Relation>(RELATIONS)).rows;

/** @throws Refusal that says what there is. */
export const findRelation = async (client: pg.Client, name: string): Promise<Relation> => {
  const relations = await listRelations(client);
  const names = relations.map((relation) => relation.name);
  const found = relations.find((relation) => relation.name === name);
  if (found === undefined)
    throw new Refusal(`There is no table "${name}".${didYouMean(name, names)} There are: ${names.join(', ')}.`);
  return found;
};
