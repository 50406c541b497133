import type { Database, OrderedLog } from '@vafa/persistence';
import { createHash } from 'node:crypto';
import type pg from 'pg';
import type { LogPage, PartitionLog } from '../consumer.js';
import type { ReceivedMessage } from '../message-bus.js';
import { unknownTopic } from '../limits.js';
import type { Topic } from './topic-catalogue.js';

/**
 * The server ends the session of a process that is frozen or cut off after this long, so that others can take over; when that process wakes,
 * it finds its connection gone and its batches stale.
 */
const SESSION_TIMEOUT_MS = 5_000;
const KEEPALIVE_INTERVAL_MS = 1_000;
/** Shorter than the session: whoever is cut off finds out about when the server does. */
const KEEPALIVE_TIMEOUT_MS = 4_000;
/** A statement under way holds the session, however long the server needs for it. */
const QUERY_TIMEOUT_MS = 12_000;
const END_TIMEOUT_MS = 2_000;

/** Offsets may be lost with the server's last moments: their messages then come again. The log is always read along its key. */
const SETTINGS = `
  set idle_session_timeout = ${SESSION_TIMEOUT_MS};
  set tcp_keepalives_idle = 5;
  set tcp_keepalives_interval = 2;
  set tcp_keepalives_count = 3;
  set synchronous_commit = off;
  set enable_seqscan = off;
  set enable_bitmapscan = off;
  set enable_sort = off;`;

/** A page is small by its bytes as well as by its messages; one message may go beyond. */
const PAGE_BYTES_MAX = 16 * 1024 * 1024;
const READ_COLUMNS = ['partition', 'key', 'headers', 'value'];
const READ_WHERE = `topic = $3 and position > ($5::bigint[])[array_position($4::int[], partition::int)]`;

const HEAD = 'select position from messaging.log where topic = $1 order by position desc limit 1';

const MEMBERS = `
  select m.topic, count(*)::int as members
  from unnest($1::int[], $2::bigint[]) as m (topic, lock)
  join pg_locks l on l.locktype = 'advisory' and l.objsubid = 1 and l.granted
    and l.database = (select oid from pg_database where datname = current_database())
    and ((l.classid::bigint << 32) | l.objid::bigint) = m.lock
  group by m.topic`;

const CLAIM = `
  select p.partition from unnest($1::int[], $2::bigint[]) as p (partition, lock)
  where pg_try_advisory_lock(p.lock) limit $3`;

const OFFSETS = `
  select partition, position from messaging.offsets
  where group_name = $1 and topic = $2 and partition = any($3::smallint[])`;

const COMMIT = `
  insert into messaging.offsets as o (group_name, topic, partition, position)
  select $1, $2, partition, $4 from unnest($3::smallint[]) as p (partition)
  on conflict (group_name, topic, partition) do update set position = greatest(o.position, excluded.position)`;

type LogRow = {
  readonly position: number;
  readonly partition: number;
  readonly key: string | null;
  readonly headers: string | null;
  readonly value: Buffer;
};

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/**
 * A connection that holds a member's partitions. Everything that depends on holding them goes over it: once it is gone, so are the locks,
 * and nothing can be committed any more.
 */
export class Session implements PartitionLog {
  private readonly byName: ReadonlyMap<string, Topic>;
  private readonly keepalive: NodeJS.Timeout;
  private lostBy: { readonly error: unknown } | undefined;
  /** The statement asked for last. */
  private turn: Promise<unknown> = Promise.resolve();
  private tellLost: ((error: unknown) => void) | undefined;

  private constructor(
    private readonly client: pg.Client,
    private readonly log: OrderedLog,
    private readonly group: string,
    private readonly topics: readonly Topic[],
  ) {
    this.byName = new Map(topics.map((topic) => [topic.name, topic]));
    client.on('error', (error) => this.lose(error));
    client.on('end', () => this.lose(new Error('the connection that holds the partitions ended')));
    this.keepalive = setInterval(
      () => void this.query('select 1', undefined, KEEPALIVE_TIMEOUT_MS).catch((error) => this.lose(error)),
      KEEPALIVE_INTERVAL_MS,
    );
  }

  /** Connects and becomes a member of the group for each topic. */
  static async open(database: Database, log: OrderedLog, group: string, topics: readonly Topic[]): Promise<Session> {
    const session = new Session(await database.dedicated(), log, group, topics);
    try {
      await session.query(SETTINGS);
      await session.query('select pg_advisory_lock_shared(lock) from unnest($1::bigint[]) as m (lock)', [
        topics.map(({ name }) => lockId('member', group, name)),
      ]);
      return session;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  /** Tells when the session is lost, at once where it already is. */
  onLost(listener: (error: unknown) => void): void {
    this.tellLost = listener;
    if (this.lostBy !== undefined) listener(this.lostBy.error);
  }

  /** Members of the group, by the topic's id. */
  async members(): Promise<Map<number, number>> {
    const rows = await this.query<{ topic: number; members: number }>(MEMBERS, [
      this.topics.map(({ id }) => id),
      this.topics.map(({ name }) => lockId('member', this.group, name)),
    ]);
    return new Map(rows.map(({ topic, members }) => [topic, members]));
  }

  /** Claims up to `limit` of these partitions; answers with what it got, and the offsets that were kept for them. */
  async claim(topic: Topic, partitions: readonly number[], limit: number): Promise<Map<number, number>> {
    const locks = partitions.map((partition) => this.partitionLock(topic, partition));
    const claimed = await this.query<{ partition: number }>(CLAIM, [partitions, locks, limit]);
    const offsets = new Map(claimed.map(({ partition }) => [partition, 0]));
    if (offsets.size === 0) return offsets;
    const parameters = [this.group, topic.id, [...offsets.keys()]];
    for (const { partition, position } of await this.query<{ partition: number; position: number }>(
      OFFSETS,
      parameters,
    ))
      offsets.set(partition, position);
    return offsets;
  }

  async unlock(topic: Topic, partition: number): Promise<void> {
    await this.query('select pg_advisory_unlock($1::bigint)', [this.partitionLock(topic, partition)]);
  }

  async read(name: string, after: ReadonlyMap<number, number>, limit: number): Promise<LogPage> {
    const topic = this.topic(name).id;
    const from = Math.min(...after.values());
    const head = await this.head(topic);
    if (head <= from) return { messages: [], upTo: from };
    const rows = await this.log.read<LogRow>(this, {
      after: from,
      limit,
      where: READ_WHERE,
      parameters: [topic, [...after.keys()], [...after.values()]],
      columns: READ_COLUMNS,
      bytes: { column: 'value', max: PAGE_BYTES_MAX },
    });
    const last = rows.at(-1)?.position ?? 0;
    const messages = rows.map((row) => messageOf(name, row));
    const bytes = rows.reduce((sum, { value }) => sum + value.length, 0);
    return { messages, upTo: rows.length < limit && bytes < PAGE_BYTES_MAX ? Math.max(head, last) : last };
  }

  async commit(name: string, partitions: readonly number[], offset: number): Promise<void> {
    await this.query(COMMIT, [this.group, this.topic(name).id, partitions, offset]);
  }

  /** Runs statements one after another in the order asked: two lanes and the keepalive share the connection. */
  async query<Row>(text: string, values?: readonly unknown[], timeoutMs = QUERY_TIMEOUT_MS): Promise<Row[]> {
    const config = { text, query_timeout: timeoutMs, ...(values === undefined ? {} : { values: [...values] }) };
    const run = (): Promise<pg.QueryResult<Row & pg.QueryResultRow>> => this.client.query(config);
    const result = this.turn.then(run, run);
    this.turn = result;
    return (await result).rows;
  }

  /** Ends the connection, and with it every lock. */
  async close(): Promise<void> {
    clearInterval(this.keepalive);
    this.tellLost = undefined;
    const timer = AbortSignal.timeout(END_TIMEOUT_MS);
    // A connection that is cut somewhere on the way answers nothing any more; the server ends it by its own time-out.
    await Promise.race([this.client.end(), new Promise((resolve) => timer.addEventListener('abort', resolve))]);
  }

  /** The topic's last position. Whoever reads afterwards sees everything up to it, since positions are seen in their order. */
  private async head(topic: number): Promise<number> {
    const [row] = await this.query<{ position: number }>(HEAD, [topic]);
    return row?.position ?? 0;
  }

  private lose(error: unknown): void {
    clearInterval(this.keepalive);
    this.lostBy ??= { error };
    this.tellLost?.(this.lostBy.error);
  }

  private topic(name: string): Topic {
    const topic = this.byName.get(name);
    if (topic === undefined) throw unknownTopic(name);
    return topic;
  }

  private partitionLock(topic: Topic, partition: number): string {
    return lockId('partition', this.group, topic.name, String(partition));
  }
}

const messageOf = (topic: string, { position, partition, key, headers, value }: LogRow): ReceivedMessage => ({
  topic,
  partition,
  offset: String(position),
  key,
  value,
  headers: headers === null ? NO_HEADERS : (JSON.parse(headers) as Record<string, string>),
});

/** 64 bits of a hash as PostgreSQL's bigint: two names with the same one are not to be expected. */
const lockId = (...parts: readonly string[]): string =>
  createHash('sha256')
    .update(`vafa.bus ${parts.join(' ')}`)
    .digest()
    .readBigInt64BE()
    .toString();
