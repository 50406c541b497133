import type pg from 'pg';
import { connectClient, SERVICE_LIMITS } from './connection.js';
import { pause } from './pause.js';

/** How the application names of sessions of services begin: no other is ever ended here, such as that of a backup onto a slow disk. */
export const SERVICE_SESSIONS = 'vafa-service-';

const LOOK_INTERVAL_MS = 1_000;
/** As for a transaction in which nothing happens. With the look before it, it is over before the partitions of a frozen process go to others. */
const STALLED_MS = 4_000;
const QUERY_TIMEOUT_MS = 4_000;
const RECONNECT_MS = 2_000;
const END_TIMEOUT_MS = 2_000;

/** Where a session is that waits for its process in the middle of a statement: one that goes on is somewhere else at the next look. */
const PLACE = `concat_ws(' ', a.backend_start, a.query_start, a.wait_event,
  (select c.bytes_processed from pg_stat_progress_copy c where c.pid = a.pid))`;
const WAITING = `
  a.datname = current_database() and starts_with(a.application_name, '${SERVICE_SESSIONS}')
  and a.state = 'active' and a.wait_event in ('ClientRead', 'ClientWrite')`;

const LOOK = `select a.pid, ${PLACE} as place from pg_stat_activity a where ${WAITING}`;

/**
 * What holds nothing that others need is left alone. Advisory locks are needed by those, too, who ask for them without waiting. Materialized, so that
 * nothing is ended before all of it was looked at.
 */
const END = `
  with stalled as materialized (
    select a.pid, a.application_name as name from pg_stat_activity a
    where a.pid = $1 and ${WAITING} and ${PLACE} = $2
      and (exists (select from pg_locks l where l.pid = a.pid and l.locktype = 'advisory' and l.granted)
        or exists (select from pg_stat_activity w where w.wait_event_type = 'Lock' and a.pid = any(pg_blocking_pids(w.pid)))))
  select pid, name from stalled where pg_terminate_backend(pid)`;

export type StalledSession = { readonly pid: number; readonly name: string };

export type StalledSessionsOptions = {
  /** Its login must be that of the sessions, or a member of `pg_read_all_stats` and `pg_signal_backend`. */
  readonly url: string;
  /** Told of a session that was ended. */
  readonly onEnded: (session: StalledSession) => void;
  /** Told once when looking begins to fail; it goes on trying. */
  readonly onError: (error: unknown) => void;
};

/**
 * Ends sessions of services whose process is frozen or cut off in the middle of a statement while they hold what others need. PostgreSQL has no time-out
 * for them: to the server such a session is at work, be it that a COPY waits for more rows, a statement for the rest of its parameters, or
 * an answer for somebody to read it. Every process looks once a second, as whoever is frozen does not look.
 */
export class StalledSessions {
  private readonly closing = new AbortController();
  private readonly running: Promise<void>;
  /** Since when a session has been at the same place. */
  private since = new Map<string, number>();
  private failing = false;

  constructor(private readonly options: StalledSessionsOptions) {
    this.running = this.run();
  }

  async close(): Promise<void> {
    this.closing.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.closing;
    while (!signal.aborted) {
      try {
        await this.watch(signal);
      } catch (error) {
        if (!this.failing) this.options.onError(error);
        this.failing = true;
      }
      await pause(RECONNECT_MS, signal);
    }
  }

  /** On a connection of its own, with the rights of the login: the role of a service may end nobody, and its pool may be what stands still. */
  private async watch(signal: AbortSignal): Promise<void> {
    const client = await connectClient(
      { url: this.options.url, applicationName: `${SERVICE_SESSIONS}watch` },
      SERVICE_LIMITS,
    );
    try {
      while (!signal.aborted) {
        await this.look(client);
        this.failing = false;
        await pause(LOOK_INTERVAL_MS, signal);
      }
    } finally {
      // A connection that is cut somewhere on the way answers nothing any more.
      const late = new Promise((resolve) => setTimeout(resolve, END_TIMEOUT_MS).unref());
      await Promise.race([client.end().catch(() => undefined), late]);
    }
  }

  private async look(client: pg.Client): Promise<void> {
    const found = await ask<{ pid: number; place: string }>(client, LOOK);
    const now = performance.now();
    const before = this.since;
    this.since = new Map();
    for (const { pid, place } of found) {
      const key = `${pid} ${place}`;
      const since = before.get(key) ?? now;
      this.since.set(key, since);
      if (now - since < STALLED_MS) continue;
      for (const ended of await ask<StalledSession>(client, END, [pid, place])) this.options.onEnded(ended);
    }
  }
}

const ask = async <Row>(client: pg.Client, text: string, values: readonly unknown[] = []): Promise<Row[]> => {
  const question = { text, values: [...values], query_timeout: QUERY_TIMEOUT_MS };
  return (await client.query(question)).rows as Row[];
};
