import { BACKWARDS, END, EventStoreDBClient, START } from '@eventstore/db-client';

/** Says whose the ledger is, and is no part of it. */
const INSTALLATION_STREAM = 'vafa-installation';
const SYSTEM = '$';
const PAGE_EVENTS = 2_000;
/** The first line of what goes with an event: the mark of ours, and a time where it comes from another store. */
const HEAD = /^vafa\/1(?: (?<movedAt>\S+))?\n/;

/**
 * The ledger in EventStoreDB as the rows that the checker knows from PostgreSQL, read by the bare client: nothing of ours is between the server and
 * the checker. Places in the log are told by their commit position.
 */
export class EventStoreDbTables {
  #client;

  constructor(url) {
    this.#client = EventStoreDBClient.connectionString(url);
  }

  has(name) {
    return name === 'events' || name === 'checkpoints';
  }

  /** @param {AsyncGenerator<object>} inPostgres the rows of that name in PostgreSQL */
  async *rows(name, inPostgres) {
    if (name === 'events') {
      const { done } = await inPostgres.next();
      if (!done) throw new Error('the ledger is in EventStoreDB, and there are events in PostgreSQL');
      for await (const { event } of this.#all()) if (isLedger(event)) yield rowOf(event);
    } else for await (const row of inPostgres) yield { ...row, position: commitOf(row.position).toString() };
  }

  /** The last place of the log where every reader has come to it, undefined where one has not. */
  async readUpTo(client) {
    const last = await this.#last();
    const { rows } = await client.query('select position from points.checkpoints');
    const isRead = rows.length > 0 && rows.every(({ position }) => commitOf(position) >= last);
    return isRead ? last : undefined;
  }

  async close() {
    await this.#client.dispose();
  }

  async #last() {
    const backwards = { direction: BACKWARDS, fromPosition: END, maxCount: PAGE_EVENTS };
    for await (const { event } of this.#client.readAll(backwards)) if (isLedger(event)) return event.position.commit;
    return 0n;
  }

  /** Page by page: the client holds what it was not asked to bound. */
  async *#all() {
    for (let from = START; ;) {
      let read = 0;
      let last;
      for await (const resolved of this.#client.readAll({ fromPosition: from, maxCount: PAGE_EVENTS })) {
        read += 1;
        const { position } = resolved.event;
        // A page begins with the event that the one before has ended with.
        if (from === START || position.commit > from.commit) yield resolved;
        last = position;
      }
      if (read < PAGE_EVENTS) return;
      from = last;
    }
  }
}

const isLedger = ({ streamId }) => !streamId.startsWith(SYSTEM) && streamId !== INSTALLATION_STREAM;

const commitOf = (position) => BigInt(position.split(':')[0]);

function rowOf({ id, streamId, revision, type, data, metadata, created, position }) {
  const text = Buffer.from(metadata).toString();
  const head = HEAD.exec(text);
  if (head === null) throw new Error(`revision ${revision} of ${streamId} was not written by Vafa`);
  const at = head.groups.movedAt === undefined ? created.getTime() : Date.parse(head.groups.movedAt);
  return {
    position: position.commit.toString(),
    stream_id: streamId,
    revision: Number(revision),
    event_id: id,
    type,
    data: Buffer.from(data).toString(),
    recorded_at: String(BigInt(at) * 1_000n),
  };
}
