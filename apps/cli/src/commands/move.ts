import { randomUUID } from 'node:crypto';

import type { LogProof, OpenLedger, Place, Position } from '@vafa/service/commands';
import type pg from 'pg';

import {
  flag,
  line,
  Refusal,
  text,
  UsageError,
  type Command,
  type CommandInput,
  type ExitCode,
  type Surroundings,
} from '../command.js';
import { messageOf, nameOf } from '../errors.js';
import { withLedger } from '../installation/ledger.js';
import { audited, databaseOf } from '../installation/operator.js';
import { withOwnerDatabase } from '../installation/owner-database.js';
import { withStoppedDatabase } from '../installation/stopped-database.js';
import { formatNumber, formatSeconds, startProgress } from '../io/progress.js';
import { Differences } from '../verify/differences.js';
import { prove } from './verify.js';

type Kind = OpenLedger['kind'];
const KINDS: readonly Kind[] = ['eventstoredb', 'postgres'];
const NAMES: Readonly<Record<Kind, string>> = { postgres: 'PostgreSQL', eventstoredb: 'EventStoreDB' };

type Home = { store: Kind; installation: string; movingTo: Kind | null; movedUntil: Position | null };
type Checkpoint = { readonly table: string; readonly name: string; readonly position: Position };
type Moved = { readonly to: Kind; readonly events: number; readonly streams: number; readonly readers: number };

const HOME = `select store, installation, moving_to as "movingTo", moved_until as "movedUntil" from eventstore.home`;

const homeOf = async (client: pg.Client): Promise<Home | undefined> => {
  const { rows: found } = await client.query<{ is: boolean }>(
    `select to_regclass('eventstore.home') is not null as is`,
  );
  if (found[0]?.is !== true)
    throw new Refusal('The database is of an older version: bring it up to date first (VAFA_MIGRATE=true on a start).');
  return (await client.query<Home>(HOME)).rows[0];
};

/** Marked first and looked for afterwards: a service that starts in between is either seen, or reads the mark and does not start. */
const refuseInUse = async (client: pg.Client): Promise<void> => {
  const { rows } = await client.query<{ name: string }>(
    `select distinct application_name as name from pg_stat_activity
     where datname = current_database() and application_name like 'vafa-%' and application_name <> 'vafa-cli' limit 3`,
  );
  if (rows.length === 0) return;
  const names = rows.map(({ name }) => name).join(', ');
  throw new Refusal(`The ledger is in use (${names}): stop every service first, on every machine.`);
};

const begin = async (client: pg.Client, from: Kind, to: Kind, installation: string): Promise<void> => {
  await client.query(
    `insert into eventstore.home (store, installation, moving_to) values ($1, $2, $3)
     on conflict (singleton) do update set moving_to = excluded.moving_to, installation = excluded.installation`,
    [from, installation, to],
  );
};

const giveUp = async (client: pg.Client): Promise<void> => {
  await client.query(`update eventstore.home set moving_to = null, moved_until = null`);
};

/** Every reader's place, whichever service it belongs to: the tables that readers keep are all made alike. */
const checkpointsOf = async (client: pg.Client): Promise<Checkpoint[]> => {
  const { rows: tables } = await client.query<{ table: string }>(
    `select format('%I.%I', table_schema, table_name) as "table" from information_schema.columns
     where table_name = 'checkpoints' and column_name in ('name', 'position', 'as_of', 'events')
     group by table_schema, table_name having count(*) = 4 order by 1`,
  );
  const found: Checkpoint[] = [];
  for (const { table } of tables) {
    const { rows } = await client.query<{ name: string; position: Position }>(
      `select name, position from ${table} where position is not null order by name`,
    );
    found.push(...rows.map((row) => ({ table, ...row })));
  }
  return found;
};

const copy = async (client: pg.Client, ledgers: Ledgers, home: Home, surroundings: Surroundings): Promise<void> => {
  const { copyLog } = await import('@vafa/service/commands');
  const { stderr, signal } = surroundings;
  const { rows } = await client.query<{ events: number }>(
    `select coalesce(max(events), 0)::int as events from points.checkpoints`,
  );
  const progress = startProgress(stderr, { total: rows[0]?.events ?? 0, done: 0, unit: 'events' });
  let copied = 0;
  const onPage = async (position: Position, events: number): Promise<void> => {
    copied += events;
    await client.query('update eventstore.home set moved_until = $1', [position]);
    progress.update(copied, 'copying');
  };
  try {
    await copyLog({ from: ledgers.from.store, to: ledgers.to.store, after: home.movedUntil, signal, onPage });
  } finally {
    progress.stop();
  }
};

type Ledgers = { readonly from: OpenLedger; readonly to: OpenLedger };

/** Walks over both logs. @throws Refusal where they are not the same. */
const compare = async (
  ledgers: Ledgers,
  checkpoints: readonly Checkpoint[],
  { stderr, signal }: Surroundings,
): Promise<LogProof> => {
  const { placeAfter, proveLog, requireSame } = await import('@vafa/service/commands');
  const places: Place[] = [];
  for (const { position } of checkpoints) places.push(await placeAfter(ledgers.from.store, position, signal));
  const walk = async (ledger: OpenLedger, total: number): Promise<LogProof> => {
    const progress = startProgress(stderr, { total, done: 0, unit: 'events' });
    const onEvents = (events: number): void => progress.update(events, `comparing ${NAMES[ledger.kind]}`);
    try {
      return await proveLog(ledger.store, places, { signal, onEvents });
    } finally {
      progress.stop();
    }
  };
  const from = await walk(ledgers.from, 0);
  const to = await walk(ledgers.to, from.events);
  requireSame(from, to);
  return to;
};

/** Readers and ledger change over together, or not at all. */
const changeOver = async (
  client: pg.Client,
  to: Kind,
  checkpoints: readonly Checkpoint[],
  proof: LogProof,
): Promise<void> => {
  await audited(databaseOf(client), async () => {
    for (const [i, { table, name, position }] of checkpoints.entries()) {
      const { rowCount } = await client.query(`update ${table} set position = $1 where name = $2 and position = $3`, [
        proof.places[i]?.position ?? null,
        name,
        position,
      ]);
      if (rowCount !== 1) throw new Refusal(`The reader ${name} went on meanwhile: stop every service first.`);
    }
    await client.query(
      'update eventstore.home set store = $1, moving_to = null, moved_until = null, since = clock_timestamp()',
      [to],
    );
    const { events, streams } = proof;
    return { action: 'ledger.moved', subject: 'ledger', details: { to, events, streams: streams.size } };
  });
};

const moveBetween = async (
  client: pg.Client,
  ledgers: Ledgers,
  home: Home | undefined,
  surroundings: Surroundings,
): Promise<Moved> => {
  const { claim } = await import('@vafa/service/commands');
  const { from, to } = ledgers;
  const isResumed = home?.movingTo === to.kind;
  const wanted = home?.installation ?? randomUUID();
  const installation = to.kind === 'eventstoredb' ? await claim(to.store, wanted) : wanted;
  await begin(client, from.kind, to.kind, installation);
  try {
    await refuseInUse(client);
  } catch (error) {
    if (!isResumed) await giveUp(client);
    throw error;
  }
  const begun = await homeOf(client);
  if (begun === undefined) throw new Error('eventstore.home has lost its row');
  await copy(client, ledgers, begun, surroundings);
  const checkpoints = await checkpointsOf(client);
  const proof = await compare(ledgers, checkpoints, surroundings);
  await refuseInUse(client);
  await changeOver(client, to.kind, checkpoints, proof);
  return { to: to.kind, events: proof.events, streams: proof.streams.size, readers: checkpoints.length };
};

/** What these say is meant for the person at the keyboard. */
const asRefusal = (error: unknown): never => {
  if (
    ['MoveError', 'StartupError', 'RangeError', 'EventStoreUnavailableError', 'AppendOutcomeUnknownError'].includes(
      nameOf(error) ?? '',
    )
  )
    throw new Refusal(`${messageOf(error)} The ledger is where it was.`);
  throw error;
};

const move = async (client: pg.Client, to: Kind, surroundings: Surroundings): Promise<Moved | undefined> => {
  const home = await homeOf(client);
  const from = home?.store ?? 'postgres';
  if (home !== undefined && home.movingTo !== null && home.movingTo !== to)
    throw new Refusal(`The ledger is on its way to ${NAMES[home.movingTo]}: finish that, or say --abandon.`);
  if (from === to) return undefined;
  return withLedger(
    surroundings,
    (source) =>
      withLedger(
        surroundings,
        (target) => moveBetween(client, { from: source, to: target }, home, surroundings).catch(asRefusal),
        to,
      ),
    from,
  );
};

const report = async (
  client: pg.Client,
  { options, surroundings }: CommandInput,
  moved: Moved,
  seconds: number,
): Promise<ExitCode> => {
  const { stdout } = surroundings;
  const differences = new Differences();
  await withLedger(surroundings, (ledger) => prove(client, ledger, surroundings, differences));
  const ok = differences.total === 0;
  if (flag(options, 'json')) {
    line(stdout, JSON.stringify({ ...moved, seconds, differencesTotal: differences.total }));
    return ok ? 0 : 1;
  }
  const { events, streams, to } = moved;
  line(
    stdout,
    `${formatNumber(events)} events of ${formatNumber(streams)} streams are in ${NAMES[to]} now, each stream the same by its hash (${formatSeconds(seconds)}).`,
  );
  line(
    stdout,
    ok
      ? 'The read models say the same as the ledger there.'
      : `The read models differ from it in ${formatNumber(differences.total)} places: "vafa verify" lists them.`,
  );
  line(
    stdout,
    to === 'eventstoredb'
      ? 'Start the services with VAFA_EVENTSTOREDB_URL. What stood in PostgreSQL is left there.'
      : 'Start the services without VAFA_EVENTSTOREDB_URL. What stood in EventStoreDB is left there.',
  );
  return ok ? 0 : 1;
};

const abandon = async (client: pg.Client, { stdout }: Surroundings): Promise<ExitCode> => {
  const home = await homeOf(client);
  if (home === undefined || home.movingTo === null) line(stdout, 'The ledger is not on its way anywhere.');
  else {
    await giveUp(client);
    line(stdout, `The ledger stays in ${NAMES[home.store]}. What was copied is left in ${NAMES[home.movingTo]}.`);
  }
  return 0;
};

/** One at a time, as long as this connection lives. */
const alone = async (client: pg.Client): Promise<void> => {
  const { rows } = await client.query<{ got: boolean }>(`select pg_try_advisory_lock(hashtext('vafa.move'), 1) as got`);
  if (rows[0]?.got !== true) throw new Refusal('Another "vafa move" is at work.');
};

const run = async (input: CommandInput): Promise<ExitCode> => {
  const { options, surroundings } = input;
  const given = text(options, 'to');
  const to = KINDS.find((kind) => kind === given);
  const abandons = flag(options, 'abandon');
  if (abandons === (given !== undefined)) throw new UsageError('Say either --to or --abandon.');
  if (!abandons && to === undefined) throw new UsageError(`--to takes one of ${KINDS.join(', ')}, not "${given}".`);
  return withStoppedDatabase(surroundings, (stopped) =>
    withOwnerDatabase<ExitCode>(stopped, async (client) => {
      await alone(client);
      if (to === undefined) return abandon(client, stopped);
      const started = performance.now();
      const moved = await move(client, to, stopped);
      if (moved !== undefined)
        return report(client, { ...input, surroundings: stopped }, moved, (performance.now() - started) / 1_000);
      line(surroundings.stdout, `The ledger lives in ${NAMES[to]} already.`);
      return 0;
    }),
  );
};

export const moveLedger: Command = {
  name: 'move',
  summary: 'Takes the ledger from PostgreSQL to EventStoreDB, or back, and proves that it is the same.',
  options: {
    to: { type: 'string', value: 'STORE', description: 'eventstoredb or postgres.' },
    abandon: { type: 'boolean', description: 'Leaves the ledger where it was, after a move that was broken off.' },
    json: { type: 'boolean', description: 'One line of JSON at the end.' },
  },
  notes: [
    'Every service is stopped first; while the ledger is on its way none starts. VAFA_EVENTSTOREDB_URL names the EventStoreDB, which must hold no other ledger. Ids, text, revisions and times of recording stay; readers go on where they were, so that nothing is published or folded twice.',
    'Both logs are then walked over, every stream compared by its hash, and the read models proved as by "vafa verify". Broken off, it goes on where it stopped when run again. Nothing is deleted where the ledger was.',
    'Exit code: 0 when the ledger has moved and everything agrees, 1 otherwise.',
  ],
  positionals: { min: 0, max: 0 },
  run,
};
