import { resolve } from 'node:path';

import pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';

import { flag, line, Refusal, text, UsageError, type Command, type CommandInput, type ExitCode } from '../command.js';
import { messageOf } from '../errors.js';
import { findRelation, listRelations, type Relation } from '../export/relations.js';
import { toFile, toStream, type Target } from '../export/stream-out.js';
import { withOwnerDatabase } from '../installation/owner-database.js';
import { formatNumber, formatSeconds, startProgress, type Progress } from '../io/progress.js';

const FORMATS = ['csv', 'parquet'] as const;
type Format = (typeof FORMATS)[number];

const FETCH_ROWS = 5_000;
const NEWLINE = 10;
const QUOTE = 34;

/** Values as PostgreSQL writes them. */
const AS_TEXT: pg.CustomTypesConfig = { getTypeParser: () => (value: string) => value };

const formatOf = (input: CommandInput, out: string | undefined): Format => {
  const given = text(input.options, 'format');
  if (given !== undefined) {
    const format = FORMATS.find((name) => name === given);
    if (format === undefined) throw new UsageError(`--format takes ${FORMATS.join(' or ')}, not "${given}".`);
    return format;
  }
  return out?.endsWith('.parquet') === true ? 'parquet' : 'csv';
};

type Job = {
  readonly client: pg.Client;
  readonly relation: Relation;
  readonly where: string;
  readonly target: Target;
  readonly progress: Progress;
  readonly signal: AbortSignal;
};

/** Rows so far, of a stream of CSV: line ends outside of quotes. */
const rowCounter = (): ((chunk: Buffer) => number) => {
  let [rows, quoted] = [-1, false];
  return (chunk) => {
    for (const byte of chunk) {
      if (byte === QUOTE) quoted = !quoted;
      else if (byte === NEWLINE && !quoted) rows++;
    }
    return rows;
  };
};

/** PostgreSQL writes the CSV itself, with instants as ISO 8601 in UTC. */
const exportCsv = async ({ client, relation, where, target, progress, signal }: Job): Promise<number> => {
  const columns = relation.columns.map(({ name, type }) => {
    const column = pg.escapeIdentifier(name);
    if (type !== 'timestamp with time zone') return column;
    return `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as ${column}`;
  });
  const from = pg.escapeIdentifier(relation.name);
  const sql = `copy (select ${columns.join(', ')} from analytics.${from}${where}) to stdout with (format csv, header)`;
  const count = rowCounter();
  let rows = 0;
  for await (const chunk of client.query(copyTo(sql)) as AsyncIterable<Buffer>) {
    signal.throwIfAborted();
    rows = count(chunk);
    progress.update(rows, relation.name);
    await target.write(chunk);
  }
  return Math.max(0, rows);
};

const exportParquet = async ({ client, relation, where, target, progress, signal }: Job): Promise<number> => {
  const { ParquetFile } = await import('../export/parquet.js');
  const file = new ParquetFile(relation.columns);
  const columns = relation.columns.map(({ name }) => pg.escapeIdentifier(name)).join(', ');
  const from = pg.escapeIdentifier(relation.name);
  await client.query(`declare export no scroll cursor for select ${columns} from analytics.${from}${where}`);
  for (let rows = 0; ;) {
    signal.throwIfAborted();
    const page = await client.query<(string | null)[]>({
      text: `fetch ${FETCH_ROWS} from export`,
      rowMode: 'array',
      types: AS_TEXT,
    });
    rows += page.rows.length;
    await target.write(page.rows.length === 0 ? file.end() : file.add(page.rows));
    progress.update(rows, relation.name);
    if (page.rows.length === 0) return rows;
  }
};

/** What the planner expects; counting would cost as much as the export. */
const expectedRows = async (client: pg.Client, relation: Relation, where: string): Promise<number> => {
  const sql = `explain (format json) select from analytics.${pg.escapeIdentifier(relation.name)}${where}`;
  const { rows } = await client.query<{ 'QUERY PLAN': { Plan: { 'Plan Rows': number } }[] }>(sql);
  return rows[0]?.['QUERY PLAN'][0]?.Plan['Plan Rows'] ?? 0;
};

/** With the rights of an analyst and in one read-only picture of the database, whatever the condition says. */
const inOnePicture = async <Result>(client: pg.Client, work: () => Promise<Result>): Promise<Result> => {
  await client.query(
    `begin isolation level repeatable read read only; set local role analyst; set local timezone = 'UTC'; set local datestyle = 'ISO'`,
  );
  try {
    return await work();
  } catch (error) {
    if (error instanceof pg.DatabaseError) throw new Refusal(`PostgreSQL refuses: ${error.message}.`);
    throw error;
  } finally {
    await client.query('rollback').catch(() => undefined);
  }
};

const exportOne = async (client: pg.Client, input: CommandInput, name: string): Promise<ExitCode> => {
  const { surroundings, options } = input;
  const { stdout, stderr, cwd, signal } = surroundings;
  const out = text(options, 'out');
  const format = formatOf(input, out);
  if (out === undefined && format === 'parquet' && stdout.isTTY === true)
    throw new UsageError('Parquet is no text: say --out FILE.');
  if (out === undefined && flag(options, 'json')) throw new UsageError('--json goes with --out FILE.');
  const relation = await findRelation(client, name);
  const condition = text(options, 'where');
  const where = condition === undefined ? '' : ` where (${condition}\n)`;
  const started = performance.now();
  const rows = await inOnePicture(client, async () => {
    const total = await expectedRows(client, relation, where);
    const target = out === undefined ? toStream(stdout) : toFile(resolve(cwd, out));
    const progress = startProgress(stderr, { total, done: 0, unit: 'rows' });
    try {
      const job = { client, relation, where, target, progress, signal };
      const written = await (format === 'csv' ? exportCsv(job) : exportParquet(job));
      await target.end();
      return written;
    } catch (error) {
      await target.abandon();
      if (signal.aborted) throw new Refusal('Given up; nothing was left behind.');
      throw error instanceof RangeError ? new Refusal(`${name}: ${messageOf(error)}.`) : error;
    } finally {
      progress.stop();
    }
  });
  const seconds = (performance.now() - started) / 1_000;
  if (out === undefined) return 0;
  if (flag(options, 'json'))
    line(stdout, JSON.stringify({ table: name, format, file: resolve(cwd, out), rows, seconds }));
  else line(stdout, `${name}: ${formatNumber(rows)} rows to ${out} in ${formatSeconds(seconds)}.`);
  return 0;
};

const list = async (client: pg.Client, { options, surroundings }: CommandInput): Promise<ExitCode> => {
  const relations = await listRelations(client);
  if (flag(options, 'json')) line(surroundings.stdout, JSON.stringify({ tables: relations }));
  else
    for (const { name, about } of relations)
      line(surroundings.stdout, `${name.padEnd(20)} ${about.split('. ')[0]?.replace(/\.$/, '')}`);
  return 0;
};

const run = (input: CommandInput): Promise<ExitCode> => {
  const [name] = input.positionals;
  if (name === undefined && !flag(input.options, 'list'))
    throw new UsageError('"export" needs TABLE, or --list to see what there is.');
  return withOwnerDatabase(input.surroundings, (client) =>
    name === undefined ? list(client, input) : exportOne(client, input, name),
  );
};

export const exportTable: Command = {
  name: 'export',
  summary: 'Writes a table of analytics as CSV or Parquet, in one picture of the database.',
  usage: 'TABLE',
  options: {
    format: {
      type: 'string',
      value: 'csv|parquet',
      description: 'By the name of the file unless said; otherwise csv.',
    },
    out: {
      type: 'string',
      value: 'FILE',
      description: 'Standard output unless said. A name that ends with .gz is compressed (CSV).',
    },
    where: {
      type: 'string',
      value: 'CONDITION',
      description: 'Rows for which this SQL holds, with the rights of an analyst.',
    },
    list: { type: 'boolean', description: 'Says which tables there are.' },
    json: { type: 'boolean', description: 'One line of JSON at the end; with --list, the tables and columns.' },
  },
  notes: [
    'A table of any size in bounded memory. The file appears when it is whole.',
    'CSV: RFC 4180, a header, instants as 2026-01-05T08:00:00.000000Z, null as nothing. Parquet: bigint as INT64, instants as microseconds in UTC, uuid, date, decimals with nine places, JSON as it stands.',
  ],
  positionals: { min: 0, max: 1 },
  run,
};
