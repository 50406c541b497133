import type { Batch, ReceivedMessage } from '../message-bus.js';

/** An event as handlers get it (`@Payload()`); an array of them where the handler takes pages. */
export type InboundEvent<D = unknown> = {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly time: string | undefined;
  readonly data: D;
  readonly key: string | null;
  /** W3C trace context of the message. What a handler of pages publishes because of it names it itself: a page has as many traces as messages. */
  readonly traceparent: string | undefined;
  /** The message's bytes as they came. */
  readonly raw: Buffer;
};

/** What a decoder makes of a message. Reasons and details hold nothing of the content: they are kept and shown in clear. */
export type Decoded =
  | {
      readonly ok: true;
      readonly event: {
        readonly id: string;
        readonly source: string;
        readonly type: string;
        readonly time?: string | undefined;
        readonly data?: unknown;
      };
    }
  | {
      readonly ok: false;
      /** `unknown-type` is a well-formed event that the contracts do not know. */
      readonly reason: string;
      readonly detail: string;
      readonly errors: readonly { readonly pointer: string; readonly detail: string }[];
    };

/** `decodeMessage` of the contracts is one. It never throws. */
export type Decode = (
  value: Buffer,
  context: { readonly headers: Readonly<Record<string, string>>; readonly key: string | null },
) => Decoded;

/** What handlers get as `@Ctx()`. */
export class InboundContext {
  constructor(
    /** The messages of the payload, in its order. */
    readonly messages: readonly ReceivedMessage[],
    private readonly batch: Batch,
    /** Aborted when the handler's time is up: what it does from then on is done beside its repetition. */
    readonly signal: AbortSignal,
  ) {}

  /** The message of a handler that takes one at a time. */
  get message(): ReceivedMessage {
    const [message] = this.messages;
    if (message === undefined) throw new Error('a page is never empty');
    return message;
  }

  /** Says that this consumer lives. The transport does so by itself every second as long as the event loop runs. */
  heartbeat(): Promise<void> {
    return this.batch.heartbeat();
  }

  /** True once the partitions belong to someone else: stop, what is done further will be done again. */
  isStale(): boolean {
    return this.batch.isStale();
  }
}
