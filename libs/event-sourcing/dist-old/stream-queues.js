/** First come, first served, per stream: several streams are asked for in one go, so that two callers cannot wait for each other. */ export class StreamQueues {
    /** Streams that somebody works on or waits for. */ get size() {
        return this.tails.size;
    }
    isFree(streamId) {
        return !this.tails.has(streamId);
    }
    /** Runs `work` when everybody who asked for one of these streams before has done; whoever asks later waits for it. */ async run(streamIds, work) {
        const wanted = new Set(streamIds);
        const before = [
            ...wanted
        ].map((streamId)=>this.tails.get(streamId));
        let done = ()=>undefined;
        const own = new Promise((resolve)=>done = resolve);
        for (const streamId of wanted)this.tails.set(streamId, own);
        try {
            await Promise.all(before);
            return await work();
        } finally{
            for (const streamId of wanted)if (this.tails.get(streamId) === own) this.tails.delete(streamId);
            done();
        }
    }
    constructor(){
        this.tails = new Map();
    }
}

//# sourceMappingURL=stream-queues.js.map
