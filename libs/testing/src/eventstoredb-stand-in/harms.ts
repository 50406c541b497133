import { setTimeout as pause } from 'node:timers/promises';
import type { EventStoreDbStandIn } from './stand-in-server.js';

/** A whole number from 0 to `below`, itself excluded. */
export type RandomBelow = (below: number) => number;

type Harm = (standIn: EventStoreDbStandIn, random: RandomBelow) => Promise<void>;

/** What may befall a server and the connections to it. Nothing of it lasts. */
const HARMS: Readonly<Record<string, Harm>> = {
  cut: async (standIn) => standIn.cut(),
  cutBefore: async ({ faults }, random) => void (faults.cutAppends = { when: 'before-stored', count: 1 + random(3) }),
  cutAfter: async ({ faults }, random) => void (faults.cutAppends = { when: 'after-stored', count: 1 + random(3) }),
  freeze: async (standIn, random) => {
    standIn.freeze();
    await pause(200 + random(600));
    standIn.thaw();
  },
  gone: async (standIn, random) => {
    await standIn.down();
    await pause(200 + random(800));
    await standIn.up();
  },
  unavailable: async ({ faults }, random) => {
    faults.refuse = 'unavailable';
    await pause(200 + random(500));
    faults.refuse = 'nothing';
  },
  notReady: async ({ faults }, random) => {
    faults.refuse = 'not-ready';
    await pause(200 + random(300));
    faults.refuse = 'nothing';
  },
  slow: async ({ faults }) => {
    faults.latencyMs = 50;
    await pause(500);
    faults.latencyMs = 0;
  },
  featuresFail: async (standIn) => {
    standIn.faults.features = { answer: 'internal', count: 1 };
    standIn.cut();
  },
};

export const STAND_IN_HARMS: readonly string[] = Object.keys(HARMS);

export type HarmOptions = {
  readonly random: RandomBelow;
  /** Between one harm and the next, in milliseconds. */
  readonly pauseMs: { readonly low: number; readonly high: number };
  readonly signal: AbortSignal;
};

/**
 * Does each harm once in their order, then one after another at random, until it is told to end and each was done. Answers with their names as
 * they were done.
 */
export const harm = async (
  standIn: EventStoreDbStandIn,
  { random, pauseMs, signal }: HarmOptions,
): Promise<string[]> => {
  const done: string[] = [];
  const inOrder = [...STAND_IN_HARMS];
  while (!signal.aborted || inOrder.length > 0) {
    await pause(pauseMs.low + random(pauseMs.high - pauseMs.low));
    const name = inOrder.shift() ?? STAND_IN_HARMS[random(STAND_IN_HARMS.length)] ?? 'cut';
    await HARMS[name]?.(standIn, random);
    done.push(name);
  }
  // What waits for an append that does not come would strike whoever comes later.
  standIn.faults.cutAppends = { when: 'after-stored', count: 0 };
  standIn.faults.features = { answer: 'internal', count: 0 };
  return done;
};
