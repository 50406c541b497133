import { checkAppend, checkLoad, checkRead, checkStreamId, checkSubscribe } from '../limits.js';
import { WakeUp } from '../wake-up.js';
const RECHECK_MS = 250;
/** What several instances may share, as the instances of a real adapter share a server. */ export class MemoryLog {
    constructor(){
        this.events = [];
        this.streams = new Map();
        this.wakeUp = new WakeUp();
    }
}
/** The event store of tests: everything in memory, by the same contract as the others. */ export class MemoryEventStore {
    constructor(log = new MemoryLog(), now = ()=>Temporal.Now.instant()){
        this.log = log;
        this.now = now;
        this.closed = false;
    }
    async append(streamId, expected, events) {
        checkAppend(streamId, expected, events);
        await this.answering();
        const stream = this.log.streams.get(streamId) ?? [];
        const head = stream.length - 1;
        if (expected !== head) {
            const repeated = events.every((event, i)=>stream[expected + 1 + i]?.id === event.id);
            return repeated ? {
                status: 'appended',
                revision: expected + events.length,
                repeated
            } : {
                status: 'conflict',
                actual: head
            };
        }
        this.log.streams.set(streamId, stream);
        const recordedAt = this.now().round('microsecond').toString();
        for (const { id, type, data, metadata } of events){
            const position = String(this.log.events.length + 1);
            const stored = {
                id,
                type,
                data,
                metadata,
                streamId,
                revision: stream.length,
                position,
                recordedAt
            };
            stream.push(stored);
            this.log.events.push(stored);
        }
        this.log.wakeUp.ring();
        return {
            status: 'appended',
            revision: stream.length - 1,
            repeated: false
        };
    }
    async load(streamIds, after) {
        checkLoad(streamIds);
        await this.answering();
        const found = new Map();
        for (const streamId of streamIds){
            const events = (this.log.streams.get(streamId) ?? []).slice((after?.get(streamId) ?? -1) + 1);
            if (events.length > 0) found.set(streamId, events);
        }
        return found;
    }
    async read(streamId, from, limit) {
        checkStreamId(streamId);
        checkRead(from, limit);
        await this.answering();
        return (this.log.streams.get(streamId) ?? []).slice(from, from + limit);
    }
    async *subscribe(options) {
        checkSubscribe(options);
        const { signal } = options;
        let position = options.after === null ? 0 : Number(options.after);
        let announced = false;
        while(!signal.aborted){
            await this.answering();
            const seen = this.log.wakeUp.rings;
            const scanned = this.log.events.slice(position, position + options.pageSize);
            if (scanned.length === 0 && announced) {
                await this.log.wakeUp.wait(seen, RECHECK_MS, signal);
                continue;
            }
            position += scanned.length;
            announced = scanned.length < options.pageSize;
            const events = scanned.filter((event)=>event.streamId.startsWith(options.prefix));
            yield {
                events,
                position: String(position),
                caughtUp: announced
            };
        }
    }
    async ping() {
        await this.answering();
    }
    async close() {
        this.closed = true;
        this.log.wakeUp.ring();
    }
    /** No answer in the same turn, as no real adapter gives one. */ async answering() {
        if (this.closed) throw new Error('the event store is closed');
        await Promise.resolve();
    }
}

//# sourceMappingURL=memory-event-store.js.map
