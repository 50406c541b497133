import { expect } from '@jest/globals';
import type { Decider, Decision } from '@vafa/event-sourcing';

/** What is expected of the last command. */
export type Expectation<Event, Rejection> = {
  /** It was accepted with exactly these events, in this order; with none, it changed nothing. */
  then(...events: readonly Event[]): void;
  /** It was refused, for exactly this reason. */
  rejects(rejection: Rejection): void;
};

export type Given<Command, Event, Rejection> = (...events: readonly Event[]) => {
  /** Several commands are decided one after another, and all but the last must be accepted. */
  when(...commands: readonly [Command, ...Command[]]): Expectation<Event, Rejection>;
};

/**
 * Specifies a decider by examples: `const given = deciderSpec(account); given(earned(50)).when(redeem(40)).then(redeemed(40))`.
 * After each decision every event is also evolved and compared with an evolution of its JSON, so that no state depends on what is not stored.
 */
export const deciderSpec =
  <Command, State, Event, Rejection>(
    decider: Decider<Command, State, Event, Rejection>,
    streamId = 'stream-1',
  ): Given<Command, Event, Rejection> =>
  (...events) => ({
    when: (...commands) => {
      const decide = (): Decision<Event, Rejection> => {
        let state = events.reduce((one, event) => decider.evolve(one, event), decider.initial(streamId));
        let decision: Decision<Event, Rejection> = { accepted: true, events: [] };
        for (const command of commands) {
          if (!decision.accepted) expect(decision).toEqual({ accepted: true });
          decision = decider.decide(command, state);
          if (decision.accepted) state = decision.events.reduce(evolveAsStored(decider), state);
        }
        return decision;
      };
      return {
        then: (...expected) => expect(decide()).toEqual({ accepted: true, events: expected }),
        rejects: (rejection) => expect(decide()).toEqual({ accepted: false, rejection }),
      };
    },
  });

const evolveAsStored =
  <State, Event>(decider: Pick<Decider<never, State, Event, never>, 'evolve'>) =>
  (state: State, event: Event): State => {
    const stored = JSON.parse(JSON.stringify(event)) as Event;
    expect(stored).toEqual(event);
    return decider.evolve(state, stored);
  };
