import type { Decider } from './decider.js';
import { APPEND_BYTES_MAX, EVENT_BYTES_MAX, EVENTS_PER_APPEND_MAX } from './event-store.js';
import type { NewEvent, Revision } from './event-store.js';
import type { DecodedEvent, DomainEvent, EventCodec, JsonObject } from './event-codec.js';
import { eventIdOf } from './event-id.js';
import { eventBytes } from './limits.js';
import type { StreamState } from './state-cache.js';

/** A command on its way to its stream. */
export type StreamCommand<Command> = {
  readonly streamId: string;
  /** A uuid derived from the input: its events' ids follow from it, so that running it again changes nothing. */
  readonly id: string;
  readonly command: Command;
  /** Goes into the metadata of its events. */
  readonly metadata?: JsonObject;
  /**
   * Set where somebody else may have run this command already, or may be running it (a repeat, a crash): its events lie behind this
   * revision if they stand. Where the state is newer the stream is read from there, and where the command's first event stands, that is
   * the answer and nothing is decided.
   */
  readonly suspectedAfter?: Revision;
};

/** An event that a command led to, as it stands in its stream. */
export type CommittedEvent<E extends DomainEvent> = {
  readonly id: string;
  readonly revision: Revision;
  readonly event: E;
};

export type CommandOutcome<E extends DomainEvent, Rejection> =
  /** Its events stand, durable (none where it had its effect already). `repeated`: they had stood there before this run. */
  | { readonly status: 'accepted'; readonly events: readonly CommittedEvent<E>[]; readonly repeated: boolean }
  | { readonly status: 'rejected'; readonly rejection: Rejection }
  /** Not settled: a bug in the domain, or the deadline passed. Its events may stand after all; run it again with the same id. */
  | { readonly status: 'failed'; readonly error: unknown };

/** One stream's commands that are still open. The outcome of each goes to its place in `outcomes`. */
export type StreamWork<Command, State, E extends DomainEvent, Rejection> = {
  readonly streamId: string;
  open: OpenCommand<Command>[];
  base: StreamState<State> | undefined;
  readonly outcomes: (CommandOutcome<E, Rejection> | undefined)[];
};

export type OpenCommand<Command> = StreamCommand<Command> & { readonly index: number };

/** Commands whose events go into one append. */
export type Chunk<Command, State, E extends DomainEvent, Rejection> = {
  readonly expected: Revision;
  readonly events: NewEvent[];
  /** What the commands come to once the append stands. */
  readonly decided: { readonly command: OpenCommand<Command>; readonly outcome: CommandOutcome<E, Rejection> }[];
  /** The state behind it. */
  after: StreamState<State>;
};

/**
 * Decides the commands of one stream in their order against a state that evolves. Answers with one chunk per append; the first may be without events
 * (rejections, commands without effect), and its outcomes then hold only if the state was the current one.
 * A decider that throws fails its command only.
 */
export const decideStream = <Command, State, E extends DomainEvent, Rejection>(
  commands: readonly OpenCommand<Command>[],
  base: StreamState<State>,
  decider: Decider<Command, State, E, Rejection>,
  codec: EventCodec<E>,
): Chunk<Command, State, E, Rejection>[] => {
  let chunk: Chunk<Command, State, E, Rejection> = { expected: base.revision, events: [], decided: [], after: base };
  const chunks = [chunk];
  let bytes = 0;
  for (const command of commands) {
    const { outcome, encoded, size, state } = decideOne(command, chunk.after, decider, codec);
    const isFull = chunk.events.length + encoded.length > EVENTS_PER_APPEND_MAX || bytes + size > APPEND_BYTES_MAX;
    if (isFull && chunk.events.length > 0) {
      chunk = { expected: chunk.after.revision, events: [], decided: [], after: chunk.after };
      chunks.push(chunk);
      bytes = 0;
    }
    bytes += size;
    chunk.events.push(...encoded);
    chunk.decided.push({ command, outcome });
    chunk.after = { revision: chunk.after.revision + encoded.length, state };
  }
  return chunks;
};

const decideOne = <Command, State, E extends DomainEvent, Rejection>(
  command: OpenCommand<Command>,
  base: StreamState<State>,
  decider: Decider<Command, State, E, Rejection>,
  codec: EventCodec<E>,
): { outcome: CommandOutcome<E, Rejection>; encoded: NewEvent[]; size: number; state: State } => {
  const nothing = { encoded: [], size: 0, state: base.state };
  try {
    const decision = decider.decide(command.command, base.state);
    if (!decision.accepted) return { outcome: { status: 'rejected', rejection: decision.rejection }, ...nothing };
    const { events } = decision;
    const encoded = events.map((event, n) => codec.encode(event, eventIdOf(command.id, n), command.metadata));
    const size = sizeWithinLimits(encoded);
    const committed = events.map((event, n) => ({
      id: eventIdOf(command.id, n),
      revision: base.revision + 1 + n,
      event,
    }));
    const state = events.reduce((current, event) => decider.evolve(current, event), base.state);
    return { outcome: { status: 'accepted', events: committed, repeated: false }, encoded, size, state };
  } catch (error) {
    return { outcome: { status: 'failed', error }, ...nothing };
  }
};

/** Bytes of one command's events. @throws RangeError where one append cannot take them, which must fail this command and no other. */
const sizeWithinLimits = (events: readonly NewEvent[]): number => {
  if (events.length > EVENTS_PER_APPEND_MAX)
    throw new RangeError(`a command led to ${events.length} events, more than ${EVENTS_PER_APPEND_MAX}`);
  const sizes = events.map(eventBytes);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total > APPEND_BYTES_MAX || sizes.some((size) => size > EVENT_BYTES_MAX))
    throw new RangeError(`a command led to events of ${total} bytes, more than an append takes`);
  return total;
};

/** A command's own events in a tail of its stream, where its first one stands. */
export const findOwn = <E extends DomainEvent>(
  commandId: string,
  tail: readonly DecodedEvent<E>[],
): CommittedEvent<E>[] | undefined => {
  const start = tail.findIndex((event) => event.id === commandId);
  if (start < 0) return undefined;
  const own: CommittedEvent<E>[] = [];
  for (const { id, revision, event } of tail.slice(start)) {
    if (id !== eventIdOf(commandId, own.length)) break;
    own.push({ id, revision, event });
  }
  return own;
};
