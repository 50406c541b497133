/** Lets readers of one process sleep until somebody of it has written, or for a while: the hint is quick, the time is what can be relied on. */ export class WakeUp {
    /** How often it has rung: note it before looking, so that a ring while looking is not missed. */ get rings() {
        return this.count;
    }
    /** Wakes everybody who waits now. */ ring() {
        this.count++;
        const woken = this.waiting;
        this.waiting = [];
        for (const wake of woken)wake();
    }
    /** Resolves at the first ring after the `seen`th, after `limitMs`, or when the signal is aborted. */ wait(seen, limitMs, signal) {
        if (signal.aborted || seen !== this.count) return Promise.resolve();
        return new Promise((resolve)=>{
            const done = ()=>{
                clearTimeout(timer);
                signal.removeEventListener('abort', done);
                this.waiting = this.waiting.filter((wake)=>wake !== done);
                resolve();
            };
            const timer = setTimeout(done, limitMs);
            signal.addEventListener('abort', done, {
                once: true
            });
            this.waiting.push(done);
        });
    }
    constructor(){
        this.waiting = [];
        this.count = 0;
    }
}

//# sourceMappingURL=wake-up.js.map
