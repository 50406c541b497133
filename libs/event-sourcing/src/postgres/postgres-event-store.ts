import type { Database } from '@vafa/persistence';
import type {
  AppendOutcome,
  EventStore,
  LogPage,
  NewEvent,
  Position,
  Revision,
  StoredEvent,
  SubscribeOptions,
} from '../event-store.js';
import { checkAppend, checkLoad, checkRead, checkStreamId, checkSubscribe } from '../limits.js';
import { WakeUp } from '../wake-up.js';
import { GroupWriter } from './group-writer.js';
import type { AppendGroup } from './group-writer.js';

/** How long a reader that has caught up waits before it looks again; it is woken sooner by what this process writes. */
const POLL_MS_MIN = 50;
const POLL_MS_MAX = 250;

export type PostgresEventStoreOptions = {
  /** After each commit of appends. */
  readonly onGroup?: (group: AppendGroup) => void;
};

const BEGINNING = '0' as Position;
const END = '9223372036854775807';

const COLUMNS =
  'e.stream_id, e.revision, e.position::text, e.event_id, e.type, e.data, e.metadata, e.recorded_at::text';

type Row = [
  streamId: string,
  revision: Revision,
  position: string,
  id: string,
  type: string,
  data: string,
  metadata: string,
  recordedAt: string,
];

const LOAD = `
  select ${COLUMNS}
  from unnest($1::text[], $2::int[]) as wanted(id, after)
  join eventstore.events e on e.stream_id = wanted.id and e.revision > wanted.after
  order by e.stream_id, e.revision`;

const READ = `
  select ${COLUMNS} from eventstore.events e
  where e.stream_id = $1 and e.revision >= $2 order by e.revision limit $3`;

/** Others' events come without their bodies: only their position counts. */
const SCAN = `
  select e.stream_id, e.revision, e.position::text, e.event_id, e.type,
    case when starts_with(e.stream_id, $3) then e.data end,
    case when starts_with(e.stream_id, $3) then e.metadata end,
    e.recorded_at::text
  from eventstore.events e
  where e.position > $1 and e.position <= $4 order by e.position limit $2`;

/**
 * The event store in PostgreSQL: one table that is an ordered log, appended to in groups. Its `Database` has the role of `eventStoreMigrations`,
 * which can read and add and nothing else. The caller closes the database after the store.
 */
export class PostgresEventStore implements EventStore {
  private readonly wakeUp = new WakeUp();
  private readonly closing = new AbortController();
  private readonly writer: GroupWriter;

  constructor(
    private readonly database: Database,
    options: PostgresEventStoreOptions = {},
  ) {
    this.writer = new GroupWriter(database, (group) => {
      this.wakeUp.ring();
      options.onGroup?.(group);
    });
  }

  async append(streamId: string, expected: Revision, events: readonly NewEvent[]): Promise<AppendOutcome> {
    checkAppend(streamId, expected, events);
    return this.writer.append({ streamId, expected, events });
  }

  async load(streamIds: readonly string[], after?: ReadonlyMap<string, Revision>): Promise<Map<string, StoredEvent[]>> {
    checkLoad(streamIds);
    const wanted = [...new Set(streamIds)];
    const rows = await this.database.rows<Row>(LOAD, [wanted, wanted.map((id) => after?.get(id) ?? -1)]);
    const found = new Map<string, StoredEvent[]>();
    for (const row of rows) {
      const stream = found.get(row[0]);
      if (stream === undefined) found.set(row[0], [toEvent(row)]);
      else stream.push(toEvent(row));
    }
    return found;
  }

  async read(streamId: string, from: Revision, limit: number): Promise<StoredEvent[]> {
    checkStreamId(streamId);
    checkRead(from, limit);
    const rows = await this.database.rows<Row>(READ, [streamId, from, limit]);
    return rows.map(toEvent);
  }

  async *subscribe(options: SubscribeOptions): AsyncGenerator<LogPage, void, undefined> {
    checkSubscribe(options);
    const signal = AbortSignal.any([options.signal, this.closing.signal]);
    let position = checkPosition(options.after ?? BEGINNING);
    const until = options.until === undefined ? END : checkPosition(options.until);
    let announced = false;
    let pollMs = POLL_MS_MIN;
    while (!signal.aborted) {
      const seen = this.wakeUp.rings;
      const rows = await this.database.rows<Row>(SCAN, [position, options.pageSize, options.prefix, until]);
      const last = rows.at(-1);
      if (last === undefined && until !== END) return;
      if (last === undefined && announced) {
        await this.wakeUp.wait(seen, pollMs, signal);
        pollMs = Math.min(pollMs * 2, POLL_MS_MAX);
        continue;
      }
      pollMs = POLL_MS_MIN;
      position = (last?.[2] ?? position) as Position;
      announced = rows.length < options.pageSize;
      const events = rows.filter((row) => row[0].startsWith(options.prefix)).map(toEvent);
      yield { events, position, caughtUp: announced };
    }
  }

  async ping(): Promise<void> {
    try {
      await this.database.query('select from eventstore.events limit 1');
    } catch (error) {
      throw new Error('the event store in PostgreSQL cannot be read: see VAFA_DATABASE_URL', { cause: error });
    }
  }

  async close(): Promise<void> {
    this.closing.abort();
    await this.writer.close();
  }
}

/** @throws RangeError for a position of another store. */
const checkPosition = (position: Position): Position => {
  if (/^\d{1,19}$/.test(position)) return position;
  throw new RangeError(
    `the position ${JSON.stringify(position)} is not one of PostgreSQL: its reader has read another store. ` +
      'A ledger changes its store by vafa move.',
  );
};

const toEvent = (row: Row): StoredEvent => ({
  streamId: row[0],
  revision: row[1],
  position: row[2] as Position,
  id: row[3],
  type: row[4],
  data: row[5],
  metadata: row[6],
  // `2026-11-22 07:55:07.1234+00` as the server writes it in UTC.
  recordedAt: `${row[7].slice(0, 10)}T${row[7].slice(11, -3)}Z`,
});
