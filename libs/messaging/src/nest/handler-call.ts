import { isObservable, type Observable } from 'rxjs';
import type { Batch } from '../message-bus.js';
import { InboundContext } from './inbound.js';
import type { Item } from './sorting.js';

/** A Nest handler: its answer may be a value, a promise, an Observable or a promise of one. */
export type Callback = (payload: unknown, context: InboundContext) => unknown;

export class HandlerTimeout extends Error {
  override readonly name = 'HandlerTimeout';

  constructor(milliseconds: number) {
    super(`the handler did not end within ${milliseconds} ms`);
  }
}

/**
 * Calls every handler of a type and waits until each has ended, also where one has failed already, so that none runs beside its repetition.
 * @throws the handler's error, an AggregateError of several, or HandlerTimeout.
 */
export const callHandlers = async (
  callbacks: readonly Callback[],
  payload: unknown,
  items: readonly Item[],
  batch: Batch,
  timeoutMs: number,
): Promise<void> => {
  const deadline = new AbortController();
  const context = new InboundContext(
    items.map(({ message }) => message),
    batch,
    deadline.signal,
  );
  const ended = Promise.allSettled(callbacks.map((callback) => complete(callback, payload, context)));
  let timer: NodeJS.Timeout | undefined;
  const timedOut = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      deadline.abort();
      reject(new HandlerTimeout(timeoutMs));
    }, timeoutMs);
  });
  try {
    const failures = (await Promise.race([ended, timedOut])).flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
    );
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw new AggregateError(failures, 'several handlers failed');
  } finally {
    clearTimeout(timer);
  }
};

const complete = async (callback: Callback, payload: unknown, context: InboundContext): Promise<void> => {
  const result = await callback(payload, context);
  if (isObservable(result)) await completion(result, context.signal);
};

/** Nest turns a handler's exception into an Observable that errors: unless somebody subscribes, it never happened. */
const completion = (observable: Observable<unknown>, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const subscription = observable.subscribe({ error: reject, complete: resolve });
    signal.addEventListener('abort', () => subscription.unsubscribe());
  });
