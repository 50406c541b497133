import { AsyncLocalStorage } from 'node:async_hooks';
import type { Message } from './message-bus.js';

/** W3C Trace Context: what a message belongs to, from the door or the message that caused it. */
export const TRACE_HEADER = 'traceparent';

const FORM = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/;
const current = new AsyncLocalStorage<string>();

/** Runs work as part of a trace: what it publishes and enqueues carries the header on. What is no trace changes nothing. */
export const inTrace = <T>(traceparent: unknown, work: () => T): T =>
  typeof traceparent === 'string' && FORM.test(traceparent) ? current.run(traceparent, work) : work();

/** The messages with the header of the trace under way; as they are where there is none, or where they have one. */
export const traced = (messages: readonly Message[]): readonly Message[] => {
  const traceparent = current.getStore();
  if (traceparent === undefined) return messages;
  return messages.map((message) => ({ ...message, headers: { [TRACE_HEADER]: traceparent, ...message.headers } }));
};
