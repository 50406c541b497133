import { OrderedLog, copyRows, isTransient } from '@vafa/persistence';
import type { Database } from '@vafa/persistence';
import pg from 'pg';
import { AppendOutcomeUnknownError, NO_STREAM } from '../event-store.js';
import type { AppendOutcome, Revision } from '../event-store.js';
import { LruMap } from '../lru-map.js';
import { late, planGroup } from './append-group.js';
import type { GroupedAppend, PlannedEvent, StoredIds } from './append-group.js';

/** What one commit takes at most: more waits for the next. */
export const GROUP_APPENDS_MAX = 2_000;
const GROUP_EVENTS_MAX = 5_000;
const GROUP_CHARACTERS_MAX = 8 * 1024 * 1024;
/** Streams whose head is remembered, about 150 bytes each. */
const HEADS_MAX = 50_000;
/** Appends that may wait. Beyond it the callers do not limit what they have in flight, and memory would be the queue. */
const QUEUE_MAX = 100_000;

/** What one commit has taken; for metrics. */
export type AppendGroup = {
  readonly appends: number;
  /** From the lock asked for to the commit. */
  readonly seconds: number;
  /** Appends that wait for the next. */
  readonly waiting: number;
};

type Pending = GroupedAppend & {
  readonly characters: number;
  readonly resolve: (outcome: AppendOutcome) => void;
  readonly reject: (error: unknown) => void;
};

const LOG = new OrderedLog({
  table: 'eventstore.events',
  columns: ['stream_id', 'revision', 'event_id', 'type', 'data', 'metadata', 'recorded_at'],
});

/** Prepared once a connection: planning the statements anew would cost as much as running them. */
const PREPARE = `
  prepare vafa_heads (text[]) as
    select wanted.id, (select max(revision) from eventstore.events where stream_id = wanted.id) as head
    from unnest($1) as wanted(id);
  prepare vafa_clock as
    select greatest(clock_timestamp(), (select recorded_at from eventstore.events order by position desc limit 1))::text as at`;

const IDS = `
  select e.stream_id, e.revision, e.event_id
  from unnest($1::text[], $2::int[], $3::int[]) as wanted(id, first, last)
  join eventstore.events e on e.stream_id = wanted.id and e.revision between wanted.first and wanted.last`;

/**
 * Writes appends in groups over one connection: while one group is being committed the next one gathers, so that many in flight share
 * a commit and one alone waits for nobody. The log's lock makes the groups of several processes take turns.
 */
export class GroupWriter {
  private queue: Pending[] = [];
  private running: Promise<void> | undefined;
  private session: Session | undefined;
  private closed = false;

  constructor(
    private readonly database: Database,
    private readonly onWritten: (group: AppendGroup) => void,
  ) {}

  append(append: GroupedAppend): Promise<AppendOutcome> {
    if (this.closed) return Promise.reject(new Error('the event store is closed'));
    if (this.queue.length >= QUEUE_MAX) return Promise.reject(new RangeError(`${QUEUE_MAX} appends wait already`));
    return new Promise((resolve, reject) => {
      let characters = 0;
      for (const event of append.events) characters += event.data.length + event.metadata.length;
      this.queue.push({ ...append, characters, resolve, reject });
      this.running ??= this.run();
    });
  }

  /** Writes what waits and lets go of the connection. */
  async close(): Promise<void> {
    this.closed = true;
    await this.running;
    const session = this.session;
    this.session = undefined;
    await session?.client.end();
  }

  private async run(): Promise<void> {
    try {
      while (this.queue.length > 0) {
        // A turn of the event loop, so that those answered just now can join with their next append.
        await new Promise((resolve) => setImmediate(resolve));
        await this.flush(this.take());
      }
    } finally {
      this.running = undefined;
    }
  }

  private take(): Pending[] {
    let events = 0;
    let characters = 0;
    let count = 0;
    for (const append of this.queue) {
      events += append.events.length;
      characters += append.characters;
      const isFull = count >= GROUP_APPENDS_MAX || events > GROUP_EVENTS_MAX || characters > GROUP_CHARACTERS_MAX;
      if (isFull && count > 0) break;
      count++;
    }
    return this.queue.splice(0, count);
  }

  private async flush(group: readonly Pending[]): Promise<void> {
    const started = performance.now();
    try {
      const outcomes = await this.write(group);
      group.forEach((append, i) => {
        const outcome = outcomes[i];
        if (outcome === undefined) append.reject(new Error('an append of the group has no outcome'));
        else append.resolve(outcome);
      });
      const seconds = (performance.now() - started) / 1000;
      this.onWritten({ appends: group.length, seconds, waiting: this.queue.length });
    } catch (error) {
      await this.dropConnection();
      // Where the server said no, nothing of the group stands; where the connection broke, nobody knows.
      const isUnknown = isTransient(error);
      for (const append of group)
        append.reject(isUnknown ? new AppendOutcomeUnknownError(append.streamId, { cause: error }) : error);
    }
  }

  private async write(group: readonly Pending[]): Promise<readonly AppendOutcome[]> {
    const session = (this.session ??= await this.connect());
    try {
      return await writeGroup(session, group);
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      // Another process has written to a stream whose head is remembered: asked anew, the group has one right answer.
      await session.client.query('rollback');
      session.heads.clear();
      return writeGroup(session, group);
    }
  }

  private async connect(): Promise<Session> {
    const client = await this.database.dedicated();
    const session = { client, heads: new LruMap<Revision>(HEADS_MAX) };
    client.on('end', () => {
      if (this.session === session) this.session = undefined;
    });
    try {
      await client.query(PREPARE);
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
    return session;
  }

  /** Whatever went wrong, a new connection has no half-done transaction and remembers nothing. */
  private async dropConnection(): Promise<void> {
    const session = this.session;
    this.session = undefined;
    await session?.client.end().catch(() => undefined);
  }
}

/**
 * A connection and what it knows of the streams' heads, the ones used last at the end. Another process may have moved a head on: an append
 * that fits a remembered head is then stopped by the unique key of stream and revision, and one that does not fit is looked at again.
 */
type Session = { readonly client: pg.Client; readonly heads: LruMap<Revision> };

/** Lock and heads in one round trip, rows and commit in a second. */
const writeGroup = async (session: Session, group: readonly GroupedAppend[]): Promise<readonly AppendOutcome[]> => {
  const { client } = session;
  const heads = new Map<string, Revision>();
  const unknown = new Set<string>();
  for (const { streamId } of group) {
    const head = session.heads.get(streamId);
    if (head === undefined) unknown.add(streamId);
    else heads.set(streamId, head);
  }
  const recordedAt = await begin(client, unknown, heads);
  let plan = planGroup(group, heads, new Map());
  if (plan.outcomes.some((outcome) => outcome.status === 'conflict')) {
    await readHeads(client, new Set(group.map((append) => append.streamId)), heads);
    const behind = late(group, heads);
    plan = planGroup(group, heads, behind.length === 0 ? new Map() : await readIds(client, behind));
  }
  if (plan.rows.length === 0) await client.query('commit');
  else await copyRows(client, `${LOG.copyStatement()}; commit`, toCells(plan.rows, recordedAt));
  for (const { streamId, revision } of plan.rows) heads.set(streamId, revision);
  remember(session, heads);
  return plan.outcomes;
};

const remember = (session: Session, heads: ReadonlyMap<string, Revision>): void => {
  for (const [streamId, head] of heads) session.heads.set(streamId, head);
};

const isUniqueViolation = (error: unknown): boolean => error instanceof pg.DatabaseError && error.code === '23505';

type Head = { id: string; head: Revision | null };

/** Takes the log's lock, reads heads into `heads`, and answers with the time to record. */
const begin = async (
  client: pg.Client,
  streamIds: ReadonlySet<string>,
  heads: Map<string, Revision>,
): Promise<string> => {
  const read = streamIds.size === 0 ? '' : `execute vafa_heads(${arrayLiteral(streamIds)});`;
  const results: unknown = await client.query(`begin; ${LOG.lockStatement()}; execute vafa_clock; ${read}`);
  const [, , clockRows, headRows] = results as readonly pg.QueryResult[];
  for (const { id, head } of (headRows?.rows ?? []) as Head[]) heads.set(id, head ?? NO_STREAM);
  const [clock] = (clockRows?.rows ?? []) as { at: string }[];
  if (clock === undefined) throw new Error('the server did not tell the time');
  return clock.at;
};

/** Within the transaction, so under the lock. */
const readHeads = async (
  client: pg.Client,
  streamIds: ReadonlySet<string>,
  heads: Map<string, Revision>,
): Promise<void> => {
  const { rows } = await client.query<Head>(`execute vafa_heads(${arrayLiteral(streamIds)})`);
  for (const { id, head } of rows) heads.set(id, head ?? NO_STREAM);
};

/** `'{"a","b"}'`: the ids as one literal, quotes and backslashes escaped for the array and then for SQL. */
const arrayLiteral = (ids: ReadonlySet<string>): string => {
  const quoted = [...ids].map((id) => `"${id.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`);
  return pg.escapeLiteral(`{${quoted.join(',')}}`);
};

const readIds = async (client: pg.Client, appends: readonly GroupedAppend[]): Promise<StoredIds> => {
  const { rows } = await client.query<{ stream_id: string; revision: Revision; event_id: string }>(IDS, [
    appends.map((append) => append.streamId),
    appends.map((append) => append.expected + 1),
    appends.map((append) => append.expected + append.events.length),
  ]);
  const stored = new Map<string, Map<Revision, string>>();
  for (const row of rows) {
    const ids = stored.get(row.stream_id) ?? new Map<Revision, string>();
    stored.set(row.stream_id, ids.set(row.revision, row.event_id));
  }
  return stored;
};

const toCells = (rows: readonly PlannedEvent[], recordedAt: string): (string | number)[][] =>
  rows.map(({ streamId, revision, event }) => [
    streamId,
    revision,
    event.id,
    event.type,
    event.data,
    event.metadata,
    event.recordedAt ?? recordedAt,
  ]);
