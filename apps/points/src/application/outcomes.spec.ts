import { expect, it } from '@jest/globals';
import { Outcomes, fingerprint, type Incoming, type Outcome } from './outcomes.js';

const input = (naturalId: string): Incoming => ({
  kind: 'purchase',
  source: '/pos/1',
  naturalId,
  data: { member: 'card:1' },
  hash: 'aa',
});

const outcomeOf = (awaited: Incoming): Outcome => ({
  kind: awaited.kind,
  source: awaited.source,
  naturalId: awaited.naturalId,
  status: 'taken',
  memberId: null,
  points: 1,
  transactionId: null,
  reason: null,
  explanation: null,
});

const WAIT_MS = 60_000;

it('expects nothing any more for those who have their answer, while others still wait', async () => {
  const outcomes = new Outcomes(async (awaited) => awaited.map(() => null));
  const steady = outcomes.wait(input('steady'), WAIT_MS);
  for (let i = 0; i < 100; i++) {
    const awaited = input(`p${i}`);
    const waits = [outcomes.wait(awaited, WAIT_MS), outcomes.wait(awaited, WAIT_MS)];
    outcomes.expect(`t${i}`, fingerprint(awaited));
    expect(outcomes.idle).toBe(false);
    // The answer comes from elsewhere: the movement itself never passes here.
    outcomes.settle(fingerprint(awaited), outcomeOf(awaited));
    expect(await Promise.all(waits)).toEqual([outcomeOf(awaited), outcomeOf(awaited)]);
    expect(outcomes.idle).toBe(true);
  }
  expect(outcomes.nobodyWaits).toBe(false);
  outcomes.close();
  expect(await steady).toBeNull();
});

it('expects nothing any more for those whose time is up', async () => {
  const outcomes = new Outcomes(async (awaited) => awaited.map(() => null));
  const steady = outcomes.wait(input('steady'), WAIT_MS);
  const short = outcomes.wait(input('short'), 1);
  outcomes.expect('t', fingerprint(input('short')));
  outcomes.expect('t', fingerprint(input('steady')));
  expect(await short).toBeNull();
  outcomes.settleExpected('t', outcomeOf(input('steady')));
  expect(await steady).toEqual(outcomeOf(input('steady')));
  expect(outcomes.idle).toBe(true);
  outcomes.close();
});
