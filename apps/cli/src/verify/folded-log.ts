import type { OpenLedger } from '@vafa/service/commands';
import type pg from 'pg';

import { BEHIND, CREATE_COPY, DROP_COPY, FOLDED, INDEX_COPY, LEDGER_COLUMNS, LEDGER_COPY } from './queries.js';

/** The log as far as the read models have folded it, as SQL can ask for it. */
export type FoldedLog = {
  readonly table: string;
  /** What limits it to that, beginning with `and`. */
  readonly upTo: string;
  /** Events that stand in the log beyond. */
  readonly behind: number;
};

type Events = OpenLedger['store'];
type Position = Parameters<Events['subscribe']>[0]['after'];

const PREFIX = 'account-';
const PAGE_SIZE = 2_000;

/** How many events the read models say that they have folded. */
export const foldedEvents = async (client: pg.Client): Promise<number> => (await folded(client)).events;

const folded = async (client: pg.Client): Promise<{ position: Position; events: number }> => {
  const { rows } = await client.query<{ position: Position; events: number }>(FOLDED);
  return rows[0] ?? { position: null, events: 0 };
};

/**
 * The log that belongs to the read models of this transaction: in the database itself, or brought here from where it lies. Call it within a
 * repeatable-read transaction, which is not read only.
 */
export const foldedLog = async (client: pg.Client, ledger: OpenLedger, signal: AbortSignal): Promise<FoldedLog> => {
  const { position } = await folded(client);
  if (ledger.kind === 'postgres') {
    const upTo = position ?? '0';
    // The checkpoint of a ledger that was moved and not switched would not be a number.
    if (!/^\d+$/.test(upTo)) throw new Error(`The checkpoint ${upTo} is not one of the ledger in PostgreSQL.`);
    const { rows } = await client.query<{ behind: number }>(BEHIND, [upTo]);
    return { table: 'eventstore.events', upTo: `and position <= ${upTo}`, behind: rows[0]?.behind ?? 0 };
  }
  await client.query(`${DROP_COPY}; ${CREATE_COPY}`);
  if (position !== null) await copy(client, ledger.store, position, signal);
  await client.query(`${INDEX_COPY}; analyze ${LEDGER_COPY}`);
  return { table: LEDGER_COPY, upTo: '', behind: await countAfter(ledger.store, position, signal) };
};

const copy = async (
  client: pg.Client,
  store: Events,
  until: NonNullable<Position>,
  signal: AbortSignal,
): Promise<void> => {
  const { copyRows, copyStatement } = await import('@vafa/persistence');
  for await (const { events } of store.subscribe({ prefix: PREFIX, after: null, until, pageSize: PAGE_SIZE, signal }))
    if (events.length > 0)
      await copyRows(
        client,
        copyStatement(LEDGER_COPY, LEDGER_COLUMNS),
        events.map(({ streamId, revision, id, type, data, recordedAt }) => [
          streamId,
          revision,
          id,
          type,
          data,
          recordedAt,
        ]),
      );
  signal.throwIfAborted();
};

const countAfter = async (store: Events, after: Position, signal: AbortSignal): Promise<number> => {
  const ended = new AbortController();
  const log = { prefix: PREFIX, after, pageSize: PAGE_SIZE, signal: AbortSignal.any([signal, ended.signal]) };
  let count = 0;
  try {
    for await (const { events, caughtUp } of store.subscribe(log)) {
      count += events.length;
      if (caughtUp) break;
    }
    return count;
  } finally {
    ended.abort();
  }
};
