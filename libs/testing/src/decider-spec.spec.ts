import { describe, expect, it } from '@jest/globals';
import { accept, reject, type Decider } from '@vafa/event-sourcing';
import { deciderSpec } from './decider-spec.js';

type Event = { type: 'Put'; data: { amount: number } };
type Rejection = { code: 'full'; room: number };

const ROOM = 10;

const jar: Decider<{ put: number }, number, Event, Rejection> = {
  initial: () => 0,
  decide: ({ put }, held) => {
    if (put === 0) return accept();
    if (held + put > ROOM) return reject({ code: 'full', room: ROOM - held });
    return accept({ type: 'Put', data: { amount: put } });
  },
  evolve: (held, event) => held + event.data.amount,
};

const given = deciderSpec(jar);
const put = (amount: number): Event => ({ type: 'Put', data: { amount } });

describe('given, when, then', () => {
  it('passes where the decision is as expected', () => {
    given(put(3)).when({ put: 4 }).then(put(4));
    given(put(3)).when({ put: 0 }).then();
    given(put(3), put(3)).when({ put: 5 }).rejects({ code: 'full', room: 4 });
    given().when({ put: 6 }, { put: 6 }).rejects({ code: 'full', room: 4 });
  });

  it('fails where it is not', () => {
    expect(() => given().when({ put: 4 }).then(put(5))).toThrow();
    expect(() => given().when({ put: 4 }).then()).toThrow();
    expect(() => given().when({ put: 4 }).rejects({ code: 'full', room: 10 })).toThrow();
    expect(() => given().when({ put: 11 }).then()).toThrow();
    expect(() => given().when({ put: 11 }, { put: 1 }).then(put(1))).toThrow();
  });
});
