import type { Database, UnitOfWork } from '@vafa/persistence';
import { createHash } from 'node:crypto';
import {
  DEAD_LETTER_RETENTION_MS,
  DeadLettersFull,
  LetterNotReplayable,
  LETTERS_PER_LIST_MAX,
  OPEN_MAX,
  OPEN_PER_KEY_MAX,
  type Alongside,
  type DeadLetter,
  type DeadLetters,
  type LetterContent,
  type LetterFilter,
  type LetterKind,
  type LetterSummary,
  type NewLetter,
  type ParkedKey,
} from '../dead-letters.js';
import { KEY_BYTES_MAX, type Message, type MessageBus, type ReceivedMessage } from '../message-bus.js';
import { readReplay, REPLAY_HEADER, type Replay } from '../replay-header.js';
import { CONTENT_KEY_BYTES, openContent, sealContent } from './letter-content.js';
import { distinct, isKeyed, KEYED, nameOf, OPEN, ParkedKeys, type Key, type Stored } from './parked-keys.js';

const REASON_CHARACTERS_MAX = 1_000;
/** Letters without a key in one transaction of a replay or discard. */
const UNKEYED_BATCH_SIZE = 50;
const PURGE_BATCH_SIZE = 1_000;

const AT = (column: string): string => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
const COLUMNS = `id, group_name as "group", topic, partition, "offset"::text as "offset", key, kind, status, reason, note,
  ${AT('at')} as at, ${AT('settled_at')} as "settledAt"`;

const INSERT = `
  insert into messaging.dead_letters as l
    (id, group_name, topic, partition, "offset", key, kind, status, reason, content, at)
  select id, $1, topic, partition, "offset", key, kind, 'waiting', reason, content, now()
  from unnest($2::uuid[], $3::text[], $4::int[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::bytea[])
    as n (id, topic, partition, "offset", key, kind, reason, content)`;

/** A message that comes once more changes nothing, also where its letter is on its way again, unless it fails again after it was settled. */
const INSERT_NEW = `${INSERT}
  on conflict (id) do update set status = 'waiting', kind = excluded.kind, reason = excluded.reason, at = excluded.at, settled_at = null
    where l.status = 'replayed' and excluded.kind = 'failed'
  returning topic, key`;

/** A replay that did not succeed waits again; a late copy of what is settled does not. */
const INSERT_REPLAYED = `${INSERT}
  on conflict (id) do update set status = 'waiting', kind = excluded.kind, reason = excluded.reason, at = excluded.at
    where l.status = 'replaying'`;

const LIST = `
  select ${COLUMNS} from messaging.dead_letters
  where ($1::text is null or group_name = $1) and ($2::text is null or topic = $2) and ($3::text is null or key = $3)
    and ($4::text is null or kind = $4) and ($5::text is null or status = $5)
    and ($6::text is null or starts_with(reason, $6)) and ($7::timestamptz is null or dead_letters.at >= $7)
    and ($8::timestamptz is null or (dead_letters.at, id) > ($8, $9::uuid))
  order by dead_letters.at, id limit $10`;

const SUMMARY = `
  select topic, kind, count(*)::int as open, extract(epoch from clock_timestamp() - min(at))::float8 as "oldestSeconds"
  from messaging.dead_letters where group_name = $1 and ${OPEN} group by topic, kind`;

const FULLEST_KEY = `
  select count(*)::int as open from messaging.dead_letters
  where group_name = $1 and topic = any($2) and key = any($3) and ${KEYED} and ${OPEN}
  group by topic, key order by open desc limit 1`;

const IN_ALL = `
  select count(*)::int as open from (
    select from messaging.dead_letters where group_name = $1 and ${OPEN} limit $2
  ) counted`;

/**
 * Past the retention of $1 milliseconds, settled or not, except what only waits behind another letter: that one was never tried, and may be as good
 * as any. It goes on its way once what it waits for is gone, and is settled then, or fails for itself with its own time.
 */
const PAST_RETENTION = `at < now() - $1 * interval '1 millisecond' and not (kind = 'behind' and ${OPEN})`;

const PURGE_LEADER = `select pg_try_advisory_xact_lock(hashtext('vafa.dead-letters.purge')) as leads`;

export type DeadLetterSettings = {
  /** How long letters are kept; 30 days unless told. */
  readonly retentionMs?: number;
  /** Letters of one key that wait at most; `OPEN_PER_KEY_MAX` unless told. */
  readonly openPerKeyMax?: number;
  /** Letters of a group that wait at most; `OPEN_MAX` unless told. */
  readonly openMax?: number;
};

type Place = Pick<DeadLetter, 'id' | 'group' | 'topic' | 'key' | 'kind'>;

/** Dead letters in PostgreSQL. What came with a message is kept encrypted, since nobody knows what it holds. */
export class PostgresDeadLetters implements DeadLetters {
  private readonly keys: ParkedKeys;
  private readonly settings: Required<DeadLetterSettings>;

  /**
   * @param database whose role inherits that of `messagingMigrations`.
   * @param contentKey 32 bytes, the same in every process.
   */
  constructor(
    private readonly database: Database,
    private readonly bus: MessageBus,
    private readonly contentKey: Buffer,
    settings: DeadLetterSettings = {},
  ) {
    if (contentKey.length !== CONTENT_KEY_BYTES)
      throw new RangeError(
        `the key of the dead letters must have ${CONTENT_KEY_BYTES} bytes, not ${contentKey.length}`,
      );
    this.keys = new ParkedKeys(contentKey);
    this.settings = {
      retentionMs: settings.retentionMs ?? DEAD_LETTER_RETENTION_MS,
      openPerKeyMax: settings.openPerKeyMax ?? OPEN_PER_KEY_MAX,
      openMax: settings.openMax ?? OPEN_MAX,
    };
  }

  replayOf(message: ReceivedMessage): Replay | undefined {
    return readReplay(message.headers, this.contentKey);
  }

  async add(group: string, letters: readonly NewLetter[]): Promise<void> {
    if (letters.length === 0) return;
    const placed = letters.map((letter) => placeOf(group, letter));
    const named = (kind: LetterKind): Set<string> => new Set(placed.filter((one) => one.kind === kind).map(nameOf));
    const [failed, behind] = [named('failed'), named('behind')];
    // A replay that is no longer valid leaves the round of its key.
    const keys = distinct(placed.filter((one, i) => isKeyed(one) || letters[i]?.replay !== undefined));
    await this.transaction(async (work, outbox) => {
      for (const key of keys)
        if (failed.has(nameOf(key))) await this.keys.park(work, key, 'parked');
        // Set free between looking and parking: what waits for it is sent below, as nobody else would.
        else if ((await this.keys.lock(work, key)) === undefined && behind.has(nameOf(key)))
          await this.keys.park(work, key, 'replaying');
      await this.insert(work, group, letters, placed);
      for (const key of keys) await this.keys.advance(work, outbox, key);
    });
  }

  async anyParked(group: string, topic: string): Promise<boolean> {
    const rows = await this.database.query(
      'select 1 from messaging.parked_keys where group_name = $1 and topic = $2 limit 1',
      [group, topic],
    );
    return rows.length > 0;
  }

  async parkedKeys(group: string, topic: string, keys: readonly string[]): Promise<Map<string, ParkedKey>> {
    const rows = await this.database.query<ParkedKey & { key: string }>(
      'select key, state, round from messaging.parked_keys where group_name = $1 and topic = $2 and key = any($3)',
      [group, topic, keys],
    );
    return new Map(rows.map(({ key, state, round }) => [key, { state, round }]));
  }

  async awaited(replays: readonly Replay[]): Promise<Set<string>> {
    if (replays.length === 0) return new Set();
    const rows = await this.database.query<{ id: string }>(
      `select id from messaging.dead_letters where id = any($1) and status = 'replaying'`,
      [replays.map(({ letterId }) => letterId)],
    );
    return new Set(rows.map(({ id }) => id));
  }

  async settle(replays: readonly Replay[]): Promise<void> {
    if (replays.length === 0) return;
    const ids = replays.map(({ letterId }) => letterId);
    const keys = distinct((await this.places(ids)).filter(isKeyed));
    await this.transaction(async (work, outbox) => {
      for (const key of keys) await this.keys.lock(work, key);
      await work.query(
        `update messaging.dead_letters set status = 'replayed', settled_at = now() where id = any($1) and status = 'replaying'`,
        [ids],
      );
      for (const key of keys) await this.keys.advance(work, outbox, key);
    });
  }

  async list(filter: LetterFilter): Promise<DeadLetter[]> {
    const { group, topic, key, kind, status, reason, since, after, limit } = filter;
    if (!Number.isInteger(limit) || limit < 1 || limit > LETTERS_PER_LIST_MAX)
      throw new RangeError(`limit must be 1 to ${LETTERS_PER_LIST_MAX}`);
    const given = [group, topic, key, kind, status, reason, since, after?.at, after?.id];
    return this.database.query<DeadLetter>(LIST, [...given.map((value) => value ?? null), limit]);
  }

  async show(id: string): Promise<(DeadLetter & LetterContent) | undefined> {
    const [stored] = await this.database.query<DeadLetter & { readonly content: Buffer }>(
      `select ${COLUMNS}, content from messaging.dead_letters where id = $1`,
      [id],
    );
    if (stored === undefined) return undefined;
    const { content, ...letter } = stored;
    return { ...letter, ...openContent(content, id, this.contentKey) };
  }

  summary(group: string): Promise<LetterSummary[]> {
    return this.database.query<LetterSummary>(SUMMARY, [group]);
  }

  async replay(ids: readonly string[], alongside?: Alongside): Promise<number> {
    let sent = 0;
    await this.each(ids, alongside, async (work, outbox, letters, key) => {
      if (key === null) await this.keys.send(work, outbox, letters, 0);
      else {
        await this.keys.park(work, key, 'replaying');
        await this.keys.startRound(work, outbox, key);
      }
      sent += outbox.length;
    });
    return sent;
  }

  async discard(ids: readonly string[], note: string, alongside?: Alongside): Promise<number> {
    let discarded = 0;
    await this.each(ids, alongside, async (work, outbox, letters, key) => {
      await work.query(
        `update messaging.dead_letters set status = 'discarded', note = $2, settled_at = now() where id = any($1)`,
        [letters.map(({ id }) => id), clean(note)],
      );
      // One that was on its way again is void only with its whole round.
      if (key !== null && letters.some(({ status }) => status === 'replaying'))
        await this.keys.startRound(work, outbox, key);
      else if (key !== null) await this.keys.advance(work, outbox, key);
      discarded += letters.length;
    });
    return discarded;
  }

  async purge(retentionMs: number = this.settings.retentionMs): Promise<number> {
    for (let purged = 0; ;) {
      const gone = await this.purgeSome(retentionMs);
      purged += gone;
      if (gone < PURGE_BATCH_SIZE) return purged;
    }
  }

  private purgeSome(retentionMs: number): Promise<number> {
    return this.transaction(async (work, outbox) => {
      const [leader] = await work.query<{ leads: boolean }>(PURGE_LEADER);
      if (leader?.leads !== true) return 0;
      const old = await work.query<Place>(
        `select id, group_name as "group", topic, key, kind from messaging.dead_letters
         where ${PAST_RETENTION} order by at limit ${PURGE_BATCH_SIZE}`,
        [retentionMs],
      );
      const keys = distinct(old.filter(isKeyed));
      for (const key of keys) await this.keys.lock(work, key);
      // Looked at once more under the lock: one that failed again meanwhile is young.
      const gone = await work.query(
        `delete from messaging.dead_letters where ${PAST_RETENTION} and id = any($2) returning 1`,
        [retentionMs, old.map(({ id }) => id)],
      );
      for (const key of keys) await this.keys.advance(work, outbox, key);
      return gone.length;
    });
  }

  /** Goes through open letters key by key, each in a transaction of its own, so that none grows with what waits. */
  private async each(
    ids: readonly string[],
    alongside: Alongside | undefined,
    act: (work: UnitOfWork, outbox: Message[], letters: readonly Opened[], key: Key | null) => Promise<void>,
  ): Promise<void> {
    const places = await this.places(ids);
    const keyed = distinct(places.filter(isKeyed)).map((key) => ({
      key,
      of: places.filter((one) => isKeyed(one) && nameOf(one) === nameOf(key)),
    }));
    const unkeyed = places.filter((one) => !isKeyed(one));
    const batches = [...keyed, ...chunks(unkeyed, UNKEYED_BATCH_SIZE).map((of) => ({ key: null, of }))];
    for (const { key, of } of batches)
      await this.transaction(async (work, outbox) => {
        if (key !== null) await this.keys.lock(work, key);
        const letters = await open(work, of);
        if (letters.length === 0) return;
        await act(work, outbox, letters, key);
        await alongside?.(work, { ids: letters.map(({ id }) => id), sent: outbox.length });
      });
  }

  /** Where letters belong, those without a key in their order. */
  private places(ids: readonly string[]): Promise<Place[]> {
    return this.database.query<Place>(
      `select id, group_name as "group", topic, key, kind from messaging.dead_letters
       where id = any($1) and ${OPEN} order by topic, partition, "offset", id`,
      [ids],
    );
  }

  /** What is to be sent leaves at the end, since the bus holds its lock from there to the commit. */
  private async transaction<T>(work: (uow: UnitOfWork, outbox: Message[]) => Promise<T>): Promise<T> {
    return this.database.transaction(async (uow) => {
      const outbox: Message[] = [];
      const result = await work(uow, outbox);
      if (outbox.length > 0) await this.enqueue(uow, outbox);
      return result;
    });
  }

  private async enqueue(work: UnitOfWork, outbox: readonly Message[]): Promise<void> {
    try {
      await this.bus.enqueue(work, outbox);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      throw new LetterNotReplayable(`the bus does not take the message again: ${cause.message}`, { cause });
    }
  }

  private async insert(
    work: UnitOfWork,
    group: string,
    letters: readonly NewLetter[],
    placed: readonly Place[],
  ): Promise<void> {
    const rows = letters.map((letter, i) => ({ letter, place: placed[i] })).filter(isPlaced);
    const fresh = rows.filter(({ letter }) => letter.replay === undefined);
    const replayed = rows.filter(({ letter }) => letter.replay !== undefined);
    if (replayed.length > 0) await work.query(INSERT_REPLAYED, this.columns(group, replayed));
    if (fresh.length === 0) return;
    const added = await work.query<{ topic: string; key: string | null }>(INSERT_NEW, this.columns(group, fresh));
    if (added.length > 0) await this.assertRoom(work, group, distinct(added.map((one) => ({ group, ...one }))));
  }

  private columns(group: string, rows: readonly Row[]): unknown[] {
    const contents = rows.map(({ letter, place }) => {
      const { [REPLAY_HEADER]: _replay, ...headers } = letter.message.headers;
      return sealContent({ headers, value: letter.message.value }, place.id, this.contentKey);
    });
    return [
      group,
      rows.map(({ place }) => place.id),
      rows.map(({ place }) => place.topic),
      rows.map(({ letter }) => letter.message.partition),
      rows.map(({ letter }) => letter.message.offset),
      rows.map(({ place }) => place.key),
      rows.map(({ place }) => place.kind),
      rows.map(({ letter }) => clean(letter.reason)),
      contents,
    ];
  }

  private async assertRoom(work: UnitOfWork, group: string, keys: readonly Key[]): Promise<void> {
    const { openPerKeyMax, openMax } = this.settings;
    const topics = [...new Set(keys.map(({ topic }) => topic))];
    const [fullest] = await work.query<{ open: number }>(FULLEST_KEY, [group, topics, keys.map(({ key }) => key)]);
    if ((fullest?.open ?? 0) > openPerKeyMax) throw new DeadLettersFull(group, 'key', openPerKeyMax);
    const [all] = await work.query<{ open: number }>(IN_ALL, [group, openMax + 1]);
    if ((all?.open ?? 0) > openMax) throw new DeadLettersFull(group, 'group', openMax);
  }
}

type Opened = Stored & Pick<DeadLetter, 'status'>;
type Row = { readonly letter: NewLetter; readonly place: Place };

const isPlaced = (row: { letter: NewLetter; place: Place | undefined }): row is Row => row.place !== undefined;

/** Those that are not settled, locked, in their order. */
const open = (work: UnitOfWork, places: readonly Place[]): Promise<Opened[]> =>
  work.query<Opened>(
    `select id, group_name as "group", topic, key, status, content from messaging.dead_letters
     where id = any($1) and ${OPEN} order by topic, partition, dead_letters."offset", id for update`,
    [places.map(({ id }) => id)],
  );

const clean = (text: string): string => text.replaceAll('\0', '').slice(0, REASON_CHARACTERS_MAX);

const placeOf = (group: string, { message, replay, kind }: NewLetter): Place => ({
  id: replay?.letterId ?? letterId(group, message),
  group,
  topic: message.topic,
  key: message.key === null ? null : shortKey(message.key),
  kind,
});

/** A key as a column and its index take it. One that is longer than the bus takes or holds NUL is never that of a valid message. */
const shortKey = (key: string): string => {
  const text = key.replaceAll('\0', '\u2400');
  if (Buffer.byteLength(text) <= KEY_BYTES_MAX) return text;
  return `${text.slice(0, 64)}…${createHash('sha256').update(key).digest('hex')}`;
};

const chunks = <T>(items: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));

/** The same message of the same group has the same letter, however often it comes. */
/** The content counts as well: on another bus another message may have the same place. */
const letterId = (group: string, { topic, partition, offset, value }: ReceivedMessage): string => {
  const hash = createHash('sha256').update(`${group} ${topic} ${partition} ${offset} `).update(value).digest('hex');
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
};
