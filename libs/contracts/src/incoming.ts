import { CONTRACTS, type InboundCloudEvent } from './events.js';
import { canonicalReference } from './references.js';
import type { TopicName } from './topics.js';

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
