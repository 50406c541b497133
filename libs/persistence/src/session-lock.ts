import type pg from 'pg';
import type { Database } from './database.js';
import { pause } from './pause.js';

/** How often somebody who waits for a lock asks for it. */
const RETRY_MS = 500;
/**
 * A holder that is frozen or cut off loses its session after this long, and with it the lock; until then it shows that it lives. One whose event loop
 * stands still for as long loses it, too, and asks for it anew.
 */
const SESSION_TIMEOUT_MS = 5_000;
const KEEPALIVE_INTERVAL_MS = 1_000;
const KEEPALIVE_TIMEOUT_MS = 4_000;
const SETTINGS = `
  set idle_session_timeout = ${SESSION_TIMEOUT_MS};
  set tcp_keepalives_idle = 5;
  set tcp_keepalives_interval = 2;
  set tcp_keepalives_count = 3;`;

/** A lock that is held as long as one connection lives. */
export type SessionLock = {
  /** Aborted when the connection breaks, and with it the lock: whoever holds it stops at once. */
  readonly lost: AbortSignal;
  release(): Promise<void>;
};

/**
 * Waits until this process holds the lock of that name in the whole database, or answers `undefined` when `signal` is aborted first.
 * A process that is cut off may believe for a while that it still holds it: what must not happen twice needs a guard in the data as well.
 * @throws the connection's error; then ask again.
 */
export const acquireSessionLock = async (
  database: Database,
  name: string,
  signal: AbortSignal,
): Promise<SessionLock | undefined> => {
  if (signal.aborted) return undefined;
  const client = await database.dedicated();
  const lost = new AbortController();
  client.once('end', () => lost.abort());
  client.once('error', () => lost.abort());
  try {
    await client.query(SETTINGS);
    while (!signal.aborted) {
      if (await tryLock(client, name)) return hold(client, lost);
      await pause(RETRY_MS, signal);
    }
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
  await client.end();
  return undefined;
};

const hold = (client: pg.Client, lost: AbortController): SessionLock => {
  const sign = { text: 'select 1', query_timeout: KEEPALIVE_TIMEOUT_MS };
  const keepalive = setInterval(() => void client.query(sign).catch(() => lost.abort()), KEEPALIVE_INTERVAL_MS);
  lost.signal.addEventListener('abort', () => clearInterval(keepalive));
  return {
    lost: lost.signal,
    release: () => {
      clearInterval(keepalive);
      return client.end();
    },
  };
};

const tryLock = async (client: pg.Client, name: string): Promise<boolean> => {
  const { rows } = await client.query<{ held: boolean }>(
    'select pg_try_advisory_lock(hashtextextended($1, 0)) as held',
    [name],
  );
  return rows[0]?.held === true;
};
