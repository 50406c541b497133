import { canonicalInstant } from './instants.js';
import { CONTRACTS, type CloudEvent, type EventDataOf, type OutboundEventType } from './events.js';
import type { TopicName } from './topics.js';

/** A public event on its way out. Whoever puts it on the bus adds `sequence`, counted per topic and key. */
export type OutgoingEvent<T extends OutboundEventType = OutboundEventType> = {
  readonly topic: TopicName;
  readonly key: string;
  readonly event: { [U in T]: CloudEvent<U, EventDataOf<U>> & { readonly time: string } }[T];
};

/**
 * Makes a public event. `id` derives from what it tells of, so that telling twice is recognised; `source` is the service, such as `/vafa/points`;
 * `key` is the member id, or what stands for it where no member is known.
 */
export function outgoingEvent<T extends OutboundEventType>(parts: {
  readonly type: T;
  readonly id: string;
  readonly source: string;
  readonly key: string;
  readonly time: string | Temporal.Instant;
  readonly data: EventDataOf<T>;
}): OutgoingEvent<T> {
  const event = {
    specversion: '1.0' as const,
    id: parts.id,
    source: parts.source,
    type: parts.type,
    time: canonicalInstant(parts.time),
    datacontenttype: 'application/json',
    data: parts.data,
  };
  return { topic: CONTRACTS[parts.type].topic, key: parts.key, event };
}
