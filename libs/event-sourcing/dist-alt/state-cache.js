/** The states of the streams used last, so many at most. What falls out is read from its snapshot again. */ export class StateCache {
    constructor(entriesMax){
        this.entriesMax = entriesMax;
        this.entries = new Map();
        if (!Number.isInteger(entriesMax) || entriesMax < 0) throw new RangeError('a cache holds a whole number of entries');
    }
    get size() {
        return this.entries.size;
    }
    get(streamId) {
        const entry = this.entries.get(streamId);
        if (entry === undefined) return undefined;
        // A Map keeps the order of insertion: what was used goes to the end.
        this.entries.delete(streamId);
        this.entries.set(streamId, entry);
        return entry;
    }
    set(streamId, entry) {
        this.entries.delete(streamId);
        this.entries.set(streamId, entry);
        for (const oldest of this.entries.keys()){
            if (this.entries.size <= this.entriesMax) break;
            this.entries.delete(oldest);
        }
    }
    delete(streamId) {
        this.entries.delete(streamId);
    }
    clear() {
        this.entries.clear();
    }
}

//# sourceMappingURL=state-cache.js.map
