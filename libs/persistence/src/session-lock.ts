import type pg from 'pg';
import type { Database } from './database.js';
import { pause } from './pause.js';

/** How often somebody who waits for a lock asks for it. */
const RETRY_MS = 500;

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
    while (!signal.aborted) {
      if (await tryLock(client, name)) return { lost: lost.signal, release: () => client.end() };
      await pause(RETRY_MS, signal);
    }
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
  await client.end();
  return undefined;
};

const tryLock = async (client: pg.Client, name: string): Promise<boolean> => {
  const { rows } = await client.query<{ held: boolean }>(
    'select pg_try_advisory_lock(hashtextextended($1, 0)) as held',
    [name],
  );
  return rows[0]?.held === true;
};
