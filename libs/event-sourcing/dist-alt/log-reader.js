import { acquireSessionLock } from '@vafa/persistence';
import { UnknownEventError } from './event-codec.js';
import { Checkpoint } from './postgres/checkpoints.js';
export const READER_PAGE_SIZE_MAX = 2_000;
const BACKOFF_MS_MIN = 50;
const BACKOFF_MS_MAX = 5_000;
/**
 * Reads the log and folds it into a service's read models: one leader among all processes (a session lock), pages of events, every projection and the
 * checkpoint in one transaction. While a page is being written the next one is fetched and decoded. After any break it goes on from the checkpoint,
 * which only moves from where this reader found it: two that both believe to be the leader cannot both apply a page.
 */ export class LogReader {
    constructor(options){
        this.options = options;
        this.listeners = new Set();
        this.closing = new AbortController();
        this.current = 'idle';
        this.at = null;
        this.pageSize = options.pageSize ?? READER_PAGE_SIZE_MAX;
        if (this.pageSize < 1 || this.pageSize > READER_PAGE_SIZE_MAX) throw new RangeError(`a reader's page has 1 to ${READER_PAGE_SIZE_MAX} events`);
        this.checkpoint = new Checkpoint(options.checkpoints, options.name);
    }
    get state() {
        return this.current;
    }
    /** Behind the last page that this process has applied or found applied. */ get position() {
        return this.at;
    }
    /** Why the reader stopped for good. */ get failure() {
        return this.stoppedBy;
    }
    /** Calls back after each page that this process has committed. Answers with a function that ends it. */ onApplied(listener) {
        this.listeners.add(listener);
        return ()=>this.listeners.delete(listener);
    }
    /** Begins to read in the background. Calling it again does nothing. */ start() {
        if (!this.closing.signal.aborted) this.running ??= this.run();
    }
    /** Finishes the page that is being written, and gives the lock away. */ async close() {
        this.closing.abort();
        await this.running;
        if (this.current !== 'stopped') this.current = 'idle';
    }
    async run() {
        const { signal } = this.closing;
        let backoffMs = BACKOFF_MS_MIN;
        while(!signal.aborted){
            const before = this.at;
            try {
                this.current = 'standby';
                await this.lead();
            } catch (error) {
                if (error instanceof UnknownEventError) return this.stop(error);
                this.options.onError?.(error);
            }
            // Whoever got further is not broken: the pauses grow only while nothing moves.
            backoffMs = this.at === before ? Math.min(backoffMs * 2, BACKOFF_MS_MAX) : BACKOFF_MS_MIN;
            if (!signal.aborted) await sleep(backoffMs, signal);
        }
    }
    stop(error) {
        this.stoppedBy = error;
        this.current = 'stopped';
        this.options.onStopped?.(error);
    }
    /** Waits for the lock and reads until it is lost, something breaks, or the reader is closed. */ async lead() {
        const { database, name } = this.options;
        const lock = await acquireSessionLock(database, `reader ${name}`, this.closing.signal);
        if (lock === undefined) return;
        try {
            await this.read(AbortSignal.any([
                this.closing.signal,
                lock.lost
            ]));
        } finally{
            await lock.release().catch(()=>undefined);
        }
    }
    async read(held) {
        // Ends the subscription whichever way this tenure ends: a fetch under way would otherwise wait for the next event.
        const ended = new AbortController();
        const signal = AbortSignal.any([
            held,
            ended.signal
        ]);
        this.at = await this.checkpoint.read(this.options.database);
        this.current = 'reading';
        const { prefix, store } = this.options;
        const pages = store.subscribe({
            prefix,
            after: this.at,
            pageSize: this.pageSize,
            signal
        })[Symbol.asyncIterator]();
        const fetch = ()=>{
            const page = pages.next().then(({ done, value })=>done === true ? undefined : this.decode(value));
            // Awaited below unless the page before it fails first, which is then what is told.
            page.catch(()=>undefined);
            return page;
        };
        try {
            for(let next = fetch(); !signal.aborted;){
                const page = await next;
                if (page === undefined || signal.aborted) return;
                next = fetch();
                await this.apply(page);
            }
        } finally{
            ended.abort();
        }
    }
    decode(page) {
        const { codec } = this.options;
        return {
            ...page,
            events: page.events.map((event)=>codec.decode(event))
        };
    }
    async apply(page) {
        const { events, position, caughtUp } = page;
        const started = performance.now();
        if (position !== this.at) {
            await this.write(events, position);
            this.at = position;
        }
        this.current = caughtUp ? 'caught-up' : 'reading';
        const asOf = events.at(-1)?.recordedAt;
        const lagSeconds = asOf === undefined ? 0 : Temporal.Now.instant().since(asOf).total('seconds');
        this.options.onPage?.({
            events: events.length,
            seconds: (performance.now() - started) / 1000,
            caughtUp,
            lagSeconds: Math.max(0, lagSeconds)
        });
        if (events.length > 0) for (const listener of this.listeners)this.tell(listener, events);
    }
    async write(events, position) {
        const { database, projections } = this.options;
        const from = this.at;
        await database.transaction(async (work)=>{
            const asOf = events.at(-1)?.recordedAt;
            // First, so that a second leader waits for this row and then finds it moved, before it has written anything.
            await this.checkpoint.move(work, from, position, {
                events: events.length,
                asOf
            });
            if (events.length === 0) return;
            for (const projection of projections)await projection.apply(events, work);
        });
    }
    tell(listener, events) {
        try {
            listener(events);
        } catch (error) {
            this.options.onError?.(error);
        }
    }
}
const sleep = (ms, signal)=>new Promise((resolve)=>{
        const done = ()=>{
            clearTimeout(timer);
            signal.removeEventListener('abort', done);
            resolve();
        };
        const timer = setTimeout(done, ms);
        signal.addEventListener('abort', done, {
            once: true
        });
    });

//# sourceMappingURL=log-reader.js.map
