import type { Database, UnitOfWork } from '@vafa/persistence';
import { createHash } from 'node:crypto';
import {
  DEAD_LETTER_RETENTION_MS,
  LETTERS_PER_LIST_MAX,
  type DeadLetter,
  type DeadLetters,
  type LetterContent,
  type LetterFilter,
  type LetterKind,
  type NewLetter,
  type ParkedKey,
} from '../dead-letters.js';
import type { Message, MessageBus, ReceivedMessage } from '../message-bus.js';
import { readReplay, REPLAY_HEADER, writeReplay, type Replay } from '../replay-header.js';
import { CONTENT_KEY_BYTES, openContent, sealContent } from './letter-content.js';

const REASON_CHARACTERS_MAX = 1_000;
/** Letters of one key that come again in one round; the rest follows in the next. */
const ROUND_LETTERS_MAX = 500;

const COLUMNS = `id, group_name as "group", topic, partition, "offset"::text as "offset", key, kind, status, reason, note,
  to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at, to_char(settled_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "settledAt"`;

const KEYED = `key is not null and kind in ('failed', 'behind')`;

/** A repeat of what waits already changes nothing; neither does a late copy of what is settled. */
const INSERT = `
  insert into messaging.dead_letters as l
    (id, group_name, topic, partition, "offset", key, kind, status, reason, content, at)
  select id, $1, topic, partition, "offset", key, kind, 'waiting', reason, content, now()
  from unnest($2::uuid[], $3::text[], $4::int[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::bytea[])
    as n (id, topic, partition, "offset", key, kind, reason, content)
  on conflict (id) do update set status = 'waiting', kind = excluded.kind, reason = excluded.reason, at = excluded.at
    where l.status = 'replaying'`;

type Key = { readonly group: string; readonly topic: string; readonly key: string };
type Stored = DeadLetter & { readonly content: Buffer };

/** Dead letters in PostgreSQL. What came with a message is kept encrypted, since nobody knows what it holds. */
export class PostgresDeadLetters implements DeadLetters {
  /**
   * @param database whose role inherits that of `messagingMigrations`.
   * @param contentKey 32 bytes, the same in every process.
   */
  constructor(
    private readonly database: Database,
    private readonly bus: MessageBus,
    private readonly contentKey: Buffer,
  ) {
    if (contentKey.length !== CONTENT_KEY_BYTES)
      throw new RangeError(
        `the key of the dead letters must have ${CONTENT_KEY_BYTES} bytes, not ${contentKey.length}`,
      );
  }

  replayOf(message: ReceivedMessage): Replay | undefined {
    return readReplay(message.headers, this.contentKey);
  }

  async add(group: string, letters: readonly NewLetter[]): Promise<void> {
    if (letters.length === 0) return;
    await this.transaction(async (work, outbox) => {
      const failed = keysOf(group, letters, 'failed');
      const behind = keysOf(group, letters, 'behind').filter((key) => !failed.some((other) => isSame(key, other)));
      await this.park(work, failed);
      const released = await this.parkAgain(work, behind);
      await this.insert(work, group, letters);
      for (const key of released) await this.startRound(work, outbox, key);
      // A replay that is no longer valid leaves the round of its key.
      const left = letters.filter(({ kind, replay }) => replay !== undefined && kind !== 'failed' && kind !== 'behind');
      for (const { topic, key } of left.map(({ message }) => message))
        if (key !== null) await this.advance(work, outbox, { group, topic, key });
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

  async settle(replays: readonly Replay[]): Promise<void> {
    if (replays.length === 0) return;
    await this.transaction(async (work, outbox) => {
      const settled = await work.query<Key>(
        `update messaging.dead_letters set status = 'replayed', settled_at = now()
         where id = any($1) and status = 'replaying' returning group_name as "group", topic, case when ${KEYED} then key end as key`,
        [replays.map(({ letterId }) => letterId)],
      );
      for (const key of distinct(settled)) await this.advance(work, outbox, key);
    });
  }

  async list(filter: LetterFilter): Promise<DeadLetter[]> {
    if (!Number.isInteger(filter.limit) || filter.limit < 1 || filter.limit > LETTERS_PER_LIST_MAX)
      throw new RangeError(`limit must be 1 to ${LETTERS_PER_LIST_MAX}`);
    return this.database.query<DeadLetter>(
      `select ${COLUMNS} from messaging.dead_letters
       where ($1::text is null or group_name = $1) and ($2::text is null or topic = $2) and ($3::text is null or key = $3)
         and ($4::text is null or kind = $4) and ($5::text is null or status = $5)
         and ($6::uuid is null or (at, id) > (select at, id from messaging.dead_letters where id = $6))
       order by dead_letters.at, id limit $7`,
      [
        filter.group ?? null,
        filter.topic ?? null,
        filter.key ?? null,
        filter.kind ?? null,
        filter.status ?? null,
        filter.after ?? null,
        filter.limit,
      ],
    );
  }

  async show(id: string): Promise<(DeadLetter & LetterContent) | undefined> {
    const [stored] = await this.database.query<Stored>(
      `select ${COLUMNS}, content from messaging.dead_letters where id = $1`,
      [id],
    );
    if (stored === undefined) return undefined;
    const { content, ...letter } = stored;
    return { ...letter, ...openContent(content, id, this.contentKey) };
  }

  async replay(ids: readonly string[]): Promise<number> {
    return this.transaction(async (work, outbox) => {
      const letters = await this.open(work, ids);
      for (const letter of letters.filter((one) => one.key === null || !isKeyed(one)))
        await this.send(work, outbox, [letter], 0);
      for (const key of distinct(letters.filter(isKeyed))) {
        await this.park(work, [key], 'replaying');
        await this.startRound(work, outbox, key);
      }
      return outbox.length;
    });
  }

  async discard(ids: readonly string[], note: string): Promise<number> {
    return this.transaction(async (work, outbox) => {
      const letters = await this.open(work, ids);
      await work.query(
        `update messaging.dead_letters set status = 'discarded', note = $2, settled_at = now() where id = any($1)`,
        [letters.map(({ id }) => id), note.slice(0, REASON_CHARACTERS_MAX)],
      );
      for (const key of distinct(letters.filter(isKeyed))) await this.advance(work, outbox, key);
      return letters.length;
    });
  }

  async purge(retentionMs: number = DEAD_LETTER_RETENTION_MS): Promise<number> {
    return this.transaction(async (work, outbox) => {
      const gone = await work.query<Key>(
        `delete from messaging.dead_letters where at < now() - $1 * interval '1 millisecond'
         returning group_name as "group", topic, case when ${KEYED} then key end as key`,
        [retentionMs],
      );
      for (const key of distinct(gone)) await this.advance(work, outbox, key);
      return gone.length;
    });
  }

  /** What is to be sent leaves at the end, since the bus holds its lock from there to the commit. */
  private transaction<T>(work: (uow: UnitOfWork, outbox: Message[]) => Promise<T>): Promise<T> {
    return this.database.transaction(async (uow) => {
      const outbox: Message[] = [];
      const result = await work(uow, outbox);
      await this.bus.enqueue(uow, outbox);
      return result;
    });
  }

  private async park(work: UnitOfWork, keys: readonly Key[], state: ParkedKey['state'] = 'parked'): Promise<void> {
    for (const { group, topic, key } of keys)
      await work.query(
        `insert into messaging.parked_keys (group_name, topic, key, state) values ($1, $2, $3, $4)
         on conflict (group_name, topic, key) do update set state = excluded.state`,
        [group, topic, key, state],
      );
  }

  /** Answers with keys that were set free between looking and parking: nobody would send what waits for them. */
  private async parkAgain(work: UnitOfWork, keys: readonly Key[]): Promise<Key[]> {
    const released: Key[] = [];
    for (const key of keys) {
      const parked = await this.lockKey(work, key);
      if (parked === undefined) released.push(key);
    }
    await this.park(work, released, 'replaying');
    return released;
  }

  private async lockKey(work: UnitOfWork, { group, topic, key }: Key): Promise<ParkedKey | undefined> {
    const [parked] = await work.query<ParkedKey>(
      'select state, round from messaging.parked_keys where group_name = $1 and topic = $2 and key = $3 for update',
      [group, topic, key],
    );
    return parked;
  }

  private async insert(work: UnitOfWork, group: string, letters: readonly NewLetter[]): Promise<void> {
    const ids = letters.map(({ message, replay }) => replay?.letterId ?? letterId(group, message));
    const contents = letters.map(({ message: { headers, value } }, i) => {
      const { [REPLAY_HEADER]: _replay, ...own } = headers;
      return sealContent({ headers: own, value }, ids[i] ?? '', this.contentKey);
    });
    await work.query(INSERT, [
      group,
      ids,
      letters.map(({ message }) => message.topic),
      letters.map(({ message }) => message.partition),
      letters.map(({ message }) => message.offset),
      letters.map(({ message }) => message.key),
      letters.map(({ kind }) => kind),
      letters.map(({ reason }) => reason.replaceAll('\0', '').slice(0, REASON_CHARACTERS_MAX)),
      contents,
    ]);
  }

  /** Letters that are not settled, locked. */
  private open(work: UnitOfWork, ids: readonly string[]): Promise<Stored[]> {
    return work.query<Stored>(
      `select ${COLUMNS}, content from messaging.dead_letters
       where id = any($1) and status in ('waiting', 'replaying') order by "offset", id for update`,
      [ids],
    );
  }

  /** Goes on with a key whose letters changed: frees it, leaves it to wait for a person, or sends what is left. */
  private async advance(work: UnitOfWork, outbox: Message[], key: Key): Promise<void> {
    const parked = await this.lockKey(work, key);
    if (parked === undefined) return;
    const [left] = await work.query<{ any: boolean; failed: boolean; replaying: boolean }>(
      `select count(*) > 0 as any, count(*) filter (where kind = 'failed') > 0 as failed,
         count(*) filter (where status = 'replaying') > 0 as replaying
       from messaging.dead_letters where group_name = $1 and topic = $2 and key = $3 and ${KEYED} and status in ('waiting', 'replaying')`,
      [key.group, key.topic, key.key],
    );
    if (left?.any !== true) await this.free(work, key);
    else if (parked.state === 'replaying' ? !left.replaying : !left.failed) await this.startRound(work, outbox, key);
  }

  private async free(work: UnitOfWork, { group, topic, key }: Key): Promise<void> {
    await work.query('delete from messaging.parked_keys where group_name = $1 and topic = $2 and key = $3', [
      group,
      topic,
      key,
    ]);
  }

  private async startRound(work: UnitOfWork, outbox: Message[], { group, topic, key }: Key): Promise<void> {
    const [parked] = await work.query<{ round: number }>(
      `update messaging.parked_keys set state = 'replaying', round = round + 1
       where group_name = $1 and topic = $2 and key = $3 returning round`,
      [group, topic, key],
    );
    const letters = await work.query<Stored>(
      `select ${COLUMNS}, content from messaging.dead_letters
       where group_name = $1 and topic = $2 and key = $3 and ${KEYED} and status in ('waiting', 'replaying')
       order by dead_letters."offset", id limit ${ROUND_LETTERS_MAX} for update`,
      [group, topic, key],
    );
    await this.send(work, outbox, letters, parked?.round ?? 0);
  }

  private async send(work: UnitOfWork, outbox: Message[], letters: readonly Stored[], round: number): Promise<void> {
    const ids = letters.map(({ id }) => id);
    await work.query(`update messaging.dead_letters set status = 'replaying' where id = any($1)`, [ids]);
    for (const { id, group, topic, key, content } of letters) {
      const { headers, value } = openContent(content, id, this.contentKey);
      const replay = writeReplay({ group, letterId: id, round }, this.contentKey);
      outbox.push({ topic, key, value, headers: { ...headers, [REPLAY_HEADER]: replay } });
    }
  }
}

const isKeyed = ({ key, kind }: DeadLetter): boolean => key !== null && (kind === 'failed' || kind === 'behind');

const isSame = (one: Key, other: Key): boolean =>
  one.group === other.group && one.topic === other.topic && one.key === other.key;

/** Keys once each and in one order, so that two transactions cannot wait for each other. */
const distinct = (keys: readonly { group: string; topic: string; key: string | null }[]): Key[] => {
  const found = new Map<string, Key>();
  for (const { group, topic, key } of keys)
    if (key !== null) found.set(JSON.stringify([group, topic, key]), { group, topic, key });
  return [...found].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, key]) => key);
};

const keysOf = (group: string, letters: readonly NewLetter[], kind: LetterKind): Key[] =>
  distinct(
    letters.filter((letter) => letter.kind === kind).map(({ message: { topic, key } }) => ({ group, topic, key })),
  );

/** The same message of the same group has the same letter, however often it comes. */
const letterId = (group: string, { topic, partition, offset }: ReceivedMessage): string => {
  const hash = createHash('sha256').update(`${group} ${topic} ${partition} ${offset}`).digest('hex');
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
};
