import { NO_STREAM } from '../event-store.js';
/** The appends whose expected revision lies behind the head at their turn: own repeats, or conflicts. Only for these are ids looked up. */ export const late = (appends, heads)=>appends.filter((append)=>append.expected < (heads.get(append.streamId) ?? NO_STREAM));
/**
 * Decides a whole group one append after another, as if each were alone: what an earlier one of the group writes counts for the later ones.
 * Pure: `heads` and `stored` were read under the log's lock.
 */ export const planGroup = (appends, heads, stored)=>{
    const rows = [];
    const grown = new Map();
    const outcomes = appends.map(({ streamId, expected, events })=>{
        const own = grown.get(streamId);
        const first = (heads.get(streamId) ?? NO_STREAM) + 1;
        const head = own === undefined ? first - 1 : first + own.ids.length - 1;
        if (expected !== head) {
            const idAt = (revision)=>revision < first ? stored.get(streamId)?.get(revision) : own?.ids[revision - first];
            const repeated = events.every((event, i)=>idAt(expected + 1 + i) === event.id);
            if (!repeated) return {
                status: 'conflict',
                actual: head
            };
            return {
                status: 'appended',
                revision: expected + events.length,
                repeated
            };
        }
        const ids = own?.ids ?? [];
        if (own === undefined) grown.set(streamId, {
            first,
            ids
        });
        for (const event of events){
            rows.push({
                streamId,
                revision: first + ids.length,
                event
            });
            ids.push(event.id);
        }
        return {
            status: 'appended',
            revision: first + ids.length - 1,
            repeated: false
        };
    });
    return {
        rows,
        outcomes
    };
};

//# sourceMappingURL=append-group.js.map
