/** What a decision came to: events to append (none where the command changes nothing), or why not. */
export type Decision<Event, Rejection> =
  | { readonly accepted: true; readonly events: readonly Event[] }
  | { readonly accepted: false; readonly rejection: Rejection };

/** The rules of one kind of stream as three pure members. Time, ids and prices come in with the command. */
export interface Decider<Command, State, Event, Rejection> {
  /** The state of a stream without events. */
  initial(streamId: string): State;
  decide(command: Command, state: State): Decision<Event, Rejection>;
  /** Never refuses a fact and applies no policy; only a corrupt stream throws. */
  evolve(state: State, event: Event): State;
}

/** Accepts with the events that follow, or with none where the command had its effect already. */
export const accept = <Event>(...events: Event[]): Decision<Event, never> => ({ accepted: true, events });

/** Refuses: a value, not an exception. */
export const reject = <Rejection>(rejection: Rejection): Decision<never, Rejection> => ({ accepted: false, rejection });

/** Ends every exhaustive switch: a forgotten case does not compile, and a corrupt value throws loudly. */
export const assertNever = (value: never): never => {
  throw new Error(`Unexpected value: ${JSON.stringify(value)}`);
};
