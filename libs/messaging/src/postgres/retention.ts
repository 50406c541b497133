import { pause, type Database } from '@vafa/persistence';

/** Rows deleted in one transaction: short enough that nobody notices. */
const CHUNK = 5_000;

/** The oldest chunk of a topic, without what in it is young enough. */
const DELETE = `
  delete from messaging.log
  where topic = $1 and at < now() - $2 * interval '1 millisecond'
    and position <= (select max(position) from (select position from messaging.log where topic = $1 order by position limit ${CHUNK}) as oldest)
  returning 1`;

/** Deletes what is older than its topic's retention, a little at a time, for as long as it is open. */
export class Retention {
  private readonly ended = new AbortController();
  private readonly running: Promise<void>;

  constructor(
    private readonly database: Database,
    private readonly intervalMs: number,
    private readonly onError: (error: unknown) => void,
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
      await pause(this.intervalMs, signal);
      if (signal.aborted) return;
      await this.sweep().catch(this.onError);
    }
  }

  private async sweep(): Promise<void> {
    const topics = await this.database.query<{ id: number; retention_ms: number }>(
      'select id, retention_ms from messaging.topics',
    );
    for (const { id, retention_ms: retentionMs } of topics) {
      let deleted = CHUNK;
      while (deleted === CHUNK && !this.ended.signal.aborted)
        deleted = (await this.database.query(DELETE, [id, retentionMs])).length;
    }
  }
}
