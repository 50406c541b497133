import type { UnitOfWork } from '@vafa/persistence';
import type { DeadLetter, ParkedKey } from '../dead-letters.js';
import type { Message } from '../message-bus.js';
import { REPLAY_HEADER, writeReplay } from '../replay-header.js';
import { openContent } from './letter-content.js';

/** Letters of one key that come again in one round, and their bytes; the rest follows in the next. */
const ROUND_LETTERS_MAX = 500;
const ROUND_BYTES_MAX = 16 * 1024 * 1024;

export const OPEN = `status in ('waiting', 'replaying')`;
export const KEYED = `key is not null and kind in ('failed', 'behind')`;
const OPEN_OF_KEY = `group_name = $1 and topic = $2 and key = $3 and ${KEYED} and ${OPEN}`;

const COUNTS = `
  select count(*) > 0 as any, count(*) filter (where kind = 'failed') > 0 as failed,
    count(*) filter (where status = 'replaying') > 0 as replaying
  from messaging.dead_letters where ${OPEN_OF_KEY}`;

/** Bytes are those of the letters before: the first goes whatever its size. */
const ROUND = `
  select id, group_name as "group", topic, key, content from messaging.dead_letters
  where id in (
    select id from (
      select id, sum(bytes) over (order by place, id) - bytes as before
      from (
        select id, "offset" as place, octet_length(content) as bytes from messaging.dead_letters
        where ${OPEN_OF_KEY} order by "offset", id limit ${ROUND_LETTERS_MAX}
      ) first
    ) summed where before < ${ROUND_BYTES_MAX}
  )
  order by dead_letters."offset", id for update`;

export type Key = { readonly group: string; readonly topic: string; readonly key: string };
export type Stored = Pick<DeadLetter, 'id' | 'group' | 'topic' | 'key'> & { readonly content: Buffer };

/**
 * The keys whose messages wait, and the rounds in which these come again. Whoever changes the letters of a key locks the key first, and several
 * keys in the order of `distinct`, so that no two transactions wait for each other.
 */
export class ParkedKeys {
  constructor(private readonly contentKey: Buffer) {}

  async park(work: UnitOfWork, { group, topic, key }: Key, state: ParkedKey['state']): Promise<void> {
    await work.query(
      `insert into messaging.parked_keys (group_name, topic, key, state) values ($1, $2, $3, $4)
       on conflict (group_name, topic, key) do update set state = excluded.state`,
      [group, topic, key, state],
    );
  }

  async lock(work: UnitOfWork, { group, topic, key }: Key): Promise<ParkedKey | undefined> {
    const [parked] = await work.query<ParkedKey>(
      'select state, round from messaging.parked_keys where group_name = $1 and topic = $2 and key = $3 for update',
      [group, topic, key],
    );
    return parked;
  }

  /** Goes on with a key whose letters changed: frees it, leaves it to wait for a person, or sends what is left. */
  async advance(work: UnitOfWork, outbox: Message[], key: Key): Promise<void> {
    const parked = await this.lock(work, key);
    if (parked === undefined) return;
    const [left] = await work.query<{ any: boolean; failed: boolean; replaying: boolean }>(COUNTS, values(key));
    if (left?.any !== true) await this.free(work, key);
    else if (parked.state === 'replaying' ? !left.replaying : !left.failed) await this.startRound(work, outbox, key);
  }

  /** Sends what waits for a parked key, in order; copies of every earlier round are void from then on. A key for which nothing waits is freed. */
  async startRound(work: UnitOfWork, outbox: Message[], key: Key): Promise<void> {
    const [parked] = await work.query<{ round: number }>(
      `update messaging.parked_keys set state = 'replaying', round = nextval('messaging.replay_rounds')
       where group_name = $1 and topic = $2 and key = $3 returning round`,
      values(key),
    );
    const letters = await work.query<Stored>(ROUND, values(key));
    if (parked === undefined || letters.length === 0) await this.free(work, key);
    else await this.send(work, outbox, letters, parked.round);
  }

  async send(work: UnitOfWork, outbox: Message[], letters: readonly Stored[], round: number): Promise<void> {
    const ids = letters.map(({ id }) => id);
    await work.query(`update messaging.dead_letters set status = 'replaying' where id = any($1)`, [ids]);
    for (const { id, group, topic, key, content } of letters) {
      const { headers, value } = openContent(content, id, this.contentKey);
      const replay = writeReplay({ group, letterId: id, round }, this.contentKey);
      outbox.push({ topic, key, value, headers: { ...headers, [REPLAY_HEADER]: replay } });
    }
  }

  private async free(work: UnitOfWork, key: Key): Promise<void> {
    await work.query(
      'delete from messaging.parked_keys where group_name = $1 and topic = $2 and key = $3',
      values(key),
    );
  }
}

const values = ({ group, topic, key }: Key): string[] => [group, topic, key];

export const isKeyed = ({ key, kind }: Pick<DeadLetter, 'key' | 'kind'>): boolean =>
  key !== null && (kind === 'failed' || kind === 'behind');

/** One text for a key of a group and topic. */
export const nameOf = ({ group, topic, key }: Pick<DeadLetter, 'group' | 'topic' | 'key'>): string =>
  JSON.stringify([group, topic, key]);

/** Keys once each and in one order, so that two transactions cannot wait for each other. */
export const distinct = (keys: readonly { group: string; topic: string; key: string | null }[]): Key[] => {
  const found = new Map<string, Key>();
  for (const { group, topic, key } of keys)
    if (key !== null) found.set(nameOf({ group, topic, key }), { group, topic, key });
  return [...found].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, key]) => key);
};
