import { pause, type Database } from '@vafa/persistence';

/** The group that takes the log to Kafka where it serves as the outbox. */
export const RELAY_GROUP = 'vafa.relay-to-kafka';

/** Rows looked at in one transaction: short enough that nobody notices. */
const CHUNK = 5_000;

/**
 * Up to where each group has taken a partition. A group is known by any offset of the topic: what it has none for it has not begun with, and
 * all of that is still to come. $4 names the one group that counts, also before it has an offset. Without it all count but the relay,
 * which takes nothing any more where the log is the bus.
 */
const TAKEN = `
  select g.group_name, p.partition, coalesce(o.position, 0) as position
  from (
    select distinct group_name from messaging.offsets
    where topic = $1 and $4::text is null and group_name <> '${RELAY_GROUP}'
    union select $4 where $4 is not null
  ) g
  cross join (select generate_series(0, partitions - 1) as partition from messaging.topics where id = $1) p
  left join messaging.offsets o on o.group_name = g.group_name and o.topic = $1 and o.partition = p.partition`;

/** Deletes of the next chunk what is old and taken by every group, and tells of the chunk how much was old and what was kept all the same. */
const SWEEP = `
  with floors as materialized (select partition, min(position) as position from (${TAKEN}) t group by partition),
  chunk as materialized (
    select position, partition, at < now() - $2 * interval '1 millisecond' as old
    from messaging.log where topic = $1 and position > $3 order by position limit ${CHUNK}
  ),
  kept as (select c.position, c.partition from chunk c join floors f using (partition) where c.old and c.position > f.position),
  gone as (
    delete from messaging.log l
    where l.topic = $1 and l.position > $3 and l.position <= (select max(position) from chunk)
      and l.position in (select position from chunk where old except select position from kept)
  )
  select (select max(position) from chunk) as up_to,
    (select count(*) = ${CHUNK} and bool_and(old) from chunk) as more,
    oldest.position as kept, oldest.partition as kept_partition
  from (select 1) as one left join (select position, partition from kept order by position limit 1) as oldest on true`;

/** The groups that a message waits for. */
const BEHIND = `select group_name from (${TAKEN}) t where partition = $2 and position < $3 order by group_name`;

export type KeptFor = { readonly group: string; readonly thenMs: number };

/** Messages that are older than their topic's retention, and the groups that have not taken them. */
export type KeptOld = { readonly topic: string; readonly groups: readonly string[] };

export type RetentionOptions = {
  readonly intervalMs: number;
  readonly keptFor: KeptFor | undefined;
  readonly onError: (error: unknown) => void;
  /** Told once when a topic begins to keep what is old, and again only after it kept nothing of the kind. */
  readonly onKept: (kept: KeptOld) => void;
};

type Topic = { readonly id: number; readonly name: string; readonly retention_ms: number };
type Swept = {
  readonly up_to: number | null;
  readonly more: boolean | null;
  readonly kept: number | null;
  readonly kept_partition: number | null;
};

/**
 * Deletes what is older than its topic's retention and taken by every group that has an offset in the topic, a little at a time, for as long as
 * it is open. A topic that no group has taken from goes by age alone.
 */
export class Retention {
  private readonly ended = new AbortController();
  private readonly running: Promise<void>;
  private readonly keeping = new Set<number>();

  constructor(
    private readonly database: Database,
    private readonly options: RetentionOptions,
  ) {
    this.running = this.run();
  }

  async close(): Promise<void> {
    this.ended.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.ended;
    for (;;) {
      await pause(this.options.intervalMs, signal);
      if (signal.aborted) return;
      await this.sweep().catch(this.options.onError);
    }
  }

  private async sweep(): Promise<void> {
    const topics = await this.database.query<Topic>('select id, name, retention_ms from messaging.topics');
    for (const topic of topics) await this.sweepTopic(topic);
  }

  /** Goes over all that is old: what is kept lies among what is not. */
  private async sweepTopic(topic: Topic): Promise<void> {
    const { keptFor } = this.options;
    const olderThanMs = keptFor?.thenMs ?? topic.retention_ms;
    let firstKept: Swept | undefined;
    for (let after = 0; !this.ended.signal.aborted;) {
      const parameters = [topic.id, olderThanMs, after, keptFor?.group ?? null];
      const [swept] = await this.database.query<Swept>(SWEEP, parameters);
      if (swept === undefined) break;
      if (swept.kept !== null) firstKept ??= swept;
      if (swept.more !== true || swept.up_to === null) break;
      after = swept.up_to;
    }
    await this.tellKept(topic, firstKept);
  }

  private async tellKept({ id, name }: Topic, kept: Swept | undefined): Promise<void> {
    if (kept === undefined) return void this.keeping.delete(id);
    if (this.keeping.has(id)) return;
    const parameters = [id, kept.kept_partition, kept.kept, this.options.keptFor?.group ?? null];
    const groups = await this.database.query<{ group_name: string }>(BEHIND, parameters);
    if (groups.length === 0) return;
    this.keeping.add(id);
    this.options.onKept({ topic: name, groups: groups.map((row) => row.group_name) });
  }
}
