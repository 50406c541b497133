import { OrderedLog, copyRows, isTransient } from '@vafa/persistence';
import pg from 'pg';
import { AppendOutcomeUnknownError } from '../event-store.js';
import { late, planGroup } from './append-group.js';
/** What one commit takes at most: more waits for the next. */ export const GROUP_APPENDS_MAX = 2_000;
const GROUP_EVENTS_MAX = 5_000;
const GROUP_CHARACTERS_MAX = 8 * 1024 * 1024;
/** Appends that may wait. Beyond it the callers do not limit what they have in flight, and memory would be the queue. */ const QUEUE_MAX = 100_000;
const LOG = new OrderedLog({
    table: 'eventstore.events',
    columns: [
        'stream_id',
        'revision',
        'event_id',
        'type',
        'data',
        'metadata',
        'recorded_at'
    ]
});
/** Prepared once a connection: planning them anew would cost as much as running them. */ const PREPARE = `
  prepare vafa_heads (text[]) as
    select wanted.id, (select max(revision) from eventstore.events where stream_id = wanted.id) as head
    from unnest($1) as wanted(id);
  prepare vafa_clock as
    select greatest(clock_timestamp(), (select recorded_at from eventstore.events order by position desc limit 1))::text as at`;
const IDS = `
  select e.stream_id, e.revision, e.event_id
  from unnest($1::text[], $2::int[], $3::int[]) as wanted(id, first, last)
  join eventstore.events e on e.stream_id = wanted.id and e.revision between wanted.first and wanted.last`;
/**
 * Writes appends in groups over one connection: while one group is being committed the next one gathers, so that many in flight share
 * a commit and one alone waits for nobody. The log's lock makes the groups of several processes take turns.
 */ export class GroupWriter {
    constructor(database, onWritten){
        this.database = database;
        this.onWritten = onWritten;
        this.queue = [];
        this.closed = false;
    }
    append(append) {
        if (this.closed) return Promise.reject(new Error('the event store is closed'));
        if (this.queue.length >= QUEUE_MAX) return Promise.reject(new RangeError(`${QUEUE_MAX} appends wait already`));
        return new Promise((resolve, reject)=>{
            let characters = 0;
            for (const event of append.events)characters += event.data.length + event.metadata.length;
            this.queue.push({
                ...append,
                characters,
                resolve,
                reject
            });
            this.running ??= this.run();
        });
    }
    /** Writes what waits and lets go of the connection. */ async close() {
        this.closed = true;
        await this.running;
        const client = this.client;
        this.client = undefined;
        await client?.end();
    }
    async run() {
        try {
            while(this.queue.length > 0){
                // A turn of the event loop, so that those answered just now can join with their next append.
                await new Promise((resolve)=>setImmediate(resolve));
                await this.flush(this.take());
            }
        } finally{
            this.running = undefined;
        }
    }
    take() {
        let events = 0;
        let characters = 0;
        let count = 0;
        for (const append of this.queue){
            events += append.events.length;
            characters += append.characters;
            const isFull = count >= GROUP_APPENDS_MAX || events > GROUP_EVENTS_MAX || characters > GROUP_CHARACTERS_MAX;
            if (isFull && count > 0) break;
            count++;
        }
        return this.queue.splice(0, count);
    }
    async flush(group) {
        try {
            const outcomes = await this.write(group);
            group.forEach((append, i)=>{
                const outcome = outcomes[i];
                if (outcome === undefined) append.reject(new Error('an append of the group has no outcome'));
                else append.resolve(outcome);
            });
            this.onWritten();
        } catch (error) {
            await this.dropConnection();
            // Where the server said no, nothing of the group stands; where the connection broke, nobody knows.
            const isUnknown = isTransient(error);
            for (const append of group)append.reject(isUnknown ? new AppendOutcomeUnknownError(append.streamId, {
                cause: error
            }) : error);
        }
    }
    /** Lock and heads in one round trip, rows and commit in a second. */ async write(group) {
        const client = this.client ??= await this.connect();
        const { heads, recordedAt } = await begin(client, new Set(group.map((append)=>append.streamId)));
        const behind = late(group, heads);
        const plan = planGroup(group, heads, behind.length === 0 ? new Map() : await readIds(client, behind));
        if (plan.rows.length === 0) await client.query('commit');
        else await copyRows(client, `${LOG.copyStatement()}; commit`, toCells(plan.rows, recordedAt));
        return plan.outcomes;
    }
    async connect() {
        const client = await this.database.dedicated();
        client.on('end', ()=>{
            if (this.client === client) this.client = undefined;
        });
        await client.query(PREPARE);
        return client;
    }
    /** Whatever went wrong, a new connection has no half-done transaction. */ async dropConnection() {
        const client = this.client;
        this.client = undefined;
        await client?.end().catch(()=>undefined);
    }
}
const begin = async (client, streamIds)=>{
    const results = await client.query(`begin; ${LOG.lockStatement()}; execute vafa_heads(${arrayLiteral(streamIds)}); execute vafa_clock`);
    const [, , headRows, clockRows] = results;
    const heads = new Map();
    for (const { id, head } of headRows?.rows ?? [])if (head !== null) heads.set(id, head);
    const [clock] = clockRows?.rows ?? [];
    if (clock === undefined) throw new Error('the server did not tell the time');
    return {
        heads,
        recordedAt: clock.at
    };
};
/** `'{"a","b"}'`: the ids as one literal, quotes and backslashes escaped for the array and then for SQL. */ const arrayLiteral = (ids)=>{
    const quoted = [
        ...ids
    ].map((id)=>`"${id.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`);
    return pg.escapeLiteral(`{${quoted.join(',')}}`);
};
const readIds = async (client, appends)=>{
    const { rows } = await client.query(IDS, [
        appends.map((append)=>append.streamId),
        appends.map((append)=>append.expected + 1),
        appends.map((append)=>append.expected + append.events.length)
    ]);
    const stored = new Map();
    for (const row of rows){
        const ids = stored.get(row.stream_id) ?? new Map();
        stored.set(row.stream_id, ids.set(row.revision, row.event_id));
    }
    return stored;
};
const toCells = (rows, recordedAt)=>rows.map(({ streamId, revision, event })=>[
            streamId,
            revision,
            event.id,
            event.type,
            event.data,
            event.metadata,
            recordedAt
        ]);

//# sourceMappingURL=group-writer.js.map
