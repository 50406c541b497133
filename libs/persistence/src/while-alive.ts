import { pause } from './pause.js';

/** The server ends a transaction in which nothing happens after 4 s, and that is right for a process that is frozen. */
const SIGN_OF_LIFE_MS = 1_000;

/**
 * Keeps the transaction of a connection open while `work` is done elsewhere, and leaves the connection free for the next statement. `work` itself
 * does not use it. Where the connection breaks, its next statement tells.
 */
export const whileAlive = async <T>(
  connection: { query(sql: string): Promise<unknown> },
  work: () => Promise<T>,
): Promise<T> => {
  const ended = new AbortController();
  const signs = giveSigns(connection, ended.signal).catch(() => undefined);
  try {
    return await work();
  } finally {
    ended.abort();
    await signs;
  }
};

const giveSigns = async (connection: { query(sql: string): Promise<unknown> }, ended: AbortSignal): Promise<void> => {
  for (;;) {
    await pause(SIGN_OF_LIFE_MS, ended);
    if (ended.aborted) return;
    await connection.query('select');
  }
};
