import { APPEND_BYTES_MAX, EVENT_BYTES_MAX, EVENTS_PER_APPEND_MAX } from './event-store.js';
import { eventIdOf } from './event-id.js';
import { eventBytes } from './limits.js';
/**
 * Decides the commands of one stream in their order against a state that evolves. Answers with one chunk per append; the first may be without events
 * (rejections, commands without effect), and its outcomes then hold only if the state was the current one.
 * A decider that throws fails its command only.
 */ export const decideStream = (commands, base, decider, codec)=>{
    let chunk = {
        expected: base.revision,
        events: [],
        decided: [],
        after: base
    };
    const chunks = [
        chunk
    ];
    let bytes = 0;
    for (const command of commands){
        const { outcome, encoded, size, state } = decideOne(command, chunk.after, decider, codec);
        const isFull = chunk.events.length + encoded.length > EVENTS_PER_APPEND_MAX || bytes + size > APPEND_BYTES_MAX;
        if (isFull && chunk.events.length > 0) {
            chunk = {
                expected: chunk.after.revision,
                events: [],
                decided: [],
                after: chunk.after
            };
            chunks.push(chunk);
            bytes = 0;
        }
        bytes += size;
        chunk.events.push(...encoded);
        chunk.decided.push({
            command,
            outcome
        });
        chunk.after = {
            revision: chunk.after.revision + encoded.length,
            state
        };
    }
    return chunks;
};
const decideOne = (command, base, decider, codec)=>{
    const nothing = {
        encoded: [],
        size: 0,
        state: base.state
    };
    try {
        const decision = decider.decide(command.command, base.state);
        if (!decision.accepted) return {
            outcome: {
                status: 'rejected',
                rejection: decision.rejection
            },
            ...nothing
        };
        const { events } = decision;
        const encoded = events.map((event, n)=>codec.encode(event, eventIdOf(command.id, n), command.metadata));
        const size = sizeWithinLimits(encoded);
        const committed = events.map((event, n)=>({
                id: eventIdOf(command.id, n),
                revision: base.revision + 1 + n,
                event
            }));
        const state = events.reduce((current, event)=>decider.evolve(current, event), base.state);
        return {
            outcome: {
                status: 'accepted',
                events: committed,
                repeated: false
            },
            encoded,
            size,
            state
        };
    } catch (error) {
        return {
            outcome: {
                status: 'failed',
                error
            },
            ...nothing
        };
    }
};
/** Bytes of one command's events. @throws RangeError where one append cannot take them, which must fail this command and no other. */ const sizeWithinLimits = (events)=>{
    if (events.length > EVENTS_PER_APPEND_MAX) throw new RangeError(`a command led to ${events.length} events, more than ${EVENTS_PER_APPEND_MAX}`);
    const sizes = events.map(eventBytes);
    const total = sizes.reduce((sum, size)=>sum + size, 0);
    if (total > APPEND_BYTES_MAX || sizes.some((size)=>size > EVENT_BYTES_MAX)) throw new RangeError(`a command led to events of ${total} bytes, more than an append takes`);
    return total;
};
/** A command's own events in a tail of its stream, where its first one stands. */ export const findOwn = (commandId, tail)=>{
    const start = tail.findIndex((event)=>event.id === commandId);
    if (start < 0) return undefined;
    const own = [];
    for (const { id, revision, event } of tail.slice(start)){
        if (id !== eventIdOf(commandId, own.length)) break;
        own.push({
            id,
            revision,
            event
        });
    }
    return own;
};

//# sourceMappingURL=stream-work.js.map
