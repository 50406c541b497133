import { pause, type Database } from '@vafa/persistence';

/** Rows deleted in one transaction: short enough that nobody notices. */
const CHUNK = 5_000;

/** The oldest chunk of a topic, without what in it is young enough. */
const DELETE = `
  delete from messaging.log
  where topic = $1 and at < now() - $2 * interval '1 millisecond'
    and position <= (select max(position) from (select position from messaging.log where topic = $1 order by position limit ${CHUNK}) as oldest)
  returning 1`;

/** The same for a log that one group reads as an outbox: only what it has taken goes. */
const DELETE_TAKEN = `
  delete from messaging.log l using messaging.offsets o
  where l.topic = $1 and l.at < now() - $2 * interval '1 millisecond'
    and o.group_name = $3 and o.topic = l.topic and o.partition = l.partition and l.position <= o.position
    and l.position <= (select max(position) from (select position from messaging.log where topic = $1 order by position limit ${CHUNK}) as oldest)
  returning 1`;

export type KeptFor = { readonly group: string; readonly thenMs: number };

export type RetentionOptions = {
  readonly intervalMs: number;
  readonly keptFor: KeptFor | undefined;
  readonly onError: (error: unknown) => void;
};

/** Deletes what is older than its topic's retention, a little at a time, for as long as it is open. */
export class Retention {
  private readonly ended = new AbortController();
  private readonly running: Promise<void>;

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
    const topics = await this.database.query<{ id: number; retention_ms: number }>(
      'select id, retention_ms from messaging.topics',
    );
    for (const { id, retention_ms: retentionMs } of topics) {
      let deleted = CHUNK;
      while (deleted === CHUNK && !this.ended.signal.aborted) deleted = await this.deleteChunk(id, retentionMs);
    }
  }

  private async deleteChunk(topic: number, retentionMs: number): Promise<number> {
    const { keptFor } = this.options;
    const deleted =
      keptFor === undefined
        ? await this.database.query(DELETE, [topic, retentionMs])
        : await this.database.query(DELETE_TAKEN, [topic, keptFor.thenMs, keptFor.group]);
    return deleted.length;
  }
}
