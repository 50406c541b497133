/** What a decision came to: events to append (none where the command changes nothing), or why not. */ /** Accepts with the events that follow, or with none where the command had its effect already. */ export const accept = (...events)=>({
        accepted: true,
        events
    });
/** Refuses: a value, not an exception. */ export const reject = (rejection)=>({
        accepted: false,
        rejection
    });
/** Ends every exhaustive switch: a forgotten case does not compile, and a corrupt value throws loudly. */ export const assertNever = (value)=>{
    throw new Error(`Unexpected value: ${JSON.stringify(value)}`);
};

//# sourceMappingURL=decider.js.map
