import {
  CONTRACTS,
  type CloudEvent,
  type EventDataOf,
  type InboundCloudEvent,
  type InboundEventType,
} from './events.js';
import { canonicalInstant } from './instants.js';
import { canonicalReference } from './references.js';
import type { TopicName } from './topics.js';

/**
 * Wraps data that came without an envelope, over HTTP or in a file. Validate the result like any other event; `source` is the token's client id
 * where the caller gave none.
 */
export function incomingEvent<T extends InboundEventType>(parts: {
  readonly type: T;
  readonly id: string;
  readonly source: string;
  readonly time: string | Temporal.Instant;
  readonly data: EventDataOf<T>;
}): CloudEvent<T, EventDataOf<T>> {
  return {
    specversion: '1.0',
    id: parts.id,
    source: parts.source,
    type: parts.type,
    time: canonicalInstant(parts.time),
    datacontenttype: 'application/json',
    data: parts.data,
  };
}

/** What identifies an input in the installation for ever. */
export type NaturalKey = {
  readonly kind: 'purchase' | 'return' | 'activity';
  readonly source: string;
  readonly id: string;
};

/** The natural key of an input. The id of the CloudEvent is no part of it. */
export function naturalKey(event: InboundCloudEvent): NaturalKey {
  switch (event.type) {
    case 'commerce.purchase.completed':
      return { kind: 'purchase', source: event.source, id: event.data.purchaseId };
    case 'commerce.purchase.returned':
      return { kind: 'return', source: event.source, id: event.data.returnId };
    case 'commerce.activity.performed':
      return { kind: 'activity', source: event.source, id: event.data.activityId };
  }
}

/** An input as a message in structured form, keyed by the canonical text of its member reference; an anonymous one has no key. */
export function messageOf(event: InboundCloudEvent): {
  topic: TopicName;
  key: string | null;
  value: Buffer;
  headers: { 'content-type': string };
} {
  const { member } = event.data;
  return {
    topic: CONTRACTS[event.type].topic,
    key: member === null ? null : (canonicalReference(member) ?? member),
    value: Buffer.from(JSON.stringify(event)),
    headers: { 'content-type': 'application/cloudevents+json' },
  };
}
