import { setTimeout as pause } from 'node:timers/promises';

const PAUSE_MS = 20;

/** Repeats an expectation until it holds. @throws what it threw last, after `timeoutMs`. */
export const eventually = async <T>(expectation: () => T | Promise<T>, timeoutMs = 15_000): Promise<T> => {
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
