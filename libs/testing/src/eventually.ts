import { setTimeout as pause } from 'node:timers/promises';

const PAUSE_MS = 20;
/** Long, since it is only a failure that waits for it: a busy machine may take its time. */
const EVENTUALLY_TIMEOUT_MS = 60_000;

/** Repeats an expectation until it holds. @throws what it threw last, after `timeoutMs`; a minute unless told. */
export const eventually = async <T>(
  expectation: () => T | Promise<T>,
  timeoutMs = EVENTUALLY_TIMEOUT_MS,
): Promise<T> => {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await expectation();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await pause(PAUSE_MS);
    }
  }
};

export type Deferred<T> = { readonly promise: Promise<T>; resolve(value: T): void; reject(error: unknown): void };

/** A promise that the test settles when it wants. */
export const deferred = <T = void>(): Deferred<T> => Promise.withResolvers<T>();
