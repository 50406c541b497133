/** A place in the whole log. Opaque: only the store that gave it can read it, and it is stored and compared for equality only. */ /** The expected revision of a stream that has no events. */ export const NO_STREAM = -1;
/** Limits every adapter keeps, checked before anything is sent. */ export const STREAM_ID_CHARACTERS_MAX = 200;
export const EVENT_TYPE_CHARACTERS_MAX = 200;
/** Data and metadata of one event together. */ export const EVENT_BYTES_MAX = 512 * 1024;
export const EVENTS_PER_APPEND_MAX = 500;
/** All events of one call together; EventStoreDB takes 1 MiB with its own framing. */ export const APPEND_BYTES_MAX = 960 * 1024;
export const STREAMS_PER_LOAD_MAX = 5_000;
export const PAGE_SIZE_MAX = 5_000;
/** The append may or may not stand: ask again with the same ids and the same expected revision. */ export class AppendOutcomeUnknownError extends Error {
    constructor(streamId, options){
        super(`the connection broke while appending to ${streamId}: the outcome is unknown`, options), this.name = 'AppendOutcomeUnknownError';
    }
}

//# sourceMappingURL=event-store.js.map
