import { AsyncLocalStorage } from 'node:async_hooks';
import type { Message } from './message-bus.js';

/** W3C Trace Context: what a message belongs to, from the door or the message that caused it. */
export const TRACE_HEADER = 'traceparent';

const FORM = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/;
const current = new AsyncLocalStorage<string>();

/** The trace that a header names; undefined for none, and for what is no trace. */
export const traceOf = (header: unknown): string | undefined =>
  typeof header === 'string' && FORM.test(header) ? header : undefined;

/** Runs work as part of a trace: what it publishes and enqueues carries the header on. What is no trace changes nothing. */
export const inTrace = <T>(header: unknown, work: () => T): T => {
  const traceparent = traceOf(header);
  return traceparent === undefined ? work() : current.run(traceparent, work);
};

/** The messages with the header of the trace under way; as they are where there is none, or where they have one. */
export const traced = (messages: readonly Message[]): readonly Message[] => {
  const traceparent = current.getStore();
  if (traceparent === undefined) return messages;
  return messages.map((message) => ({ ...message, headers: { [TRACE_HEADER]: traceparent, ...message.headers } }));
};
