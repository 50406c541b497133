import { activityData, purchaseData, returnData } from './commerce-schemas.js';
import { EVENT_ID_LENGTH_MAX, ENVELOPE_PROPERTIES_MAX } from './limits.js';
import {
  activityOutcomeData,
  memberEnrolledData,
  pointsEarnedData,
  pointsReversedData,
  pointsWrittenOffData,
  purchaseOutcomeData,
  returnOutcomeData,
} from './loyalty-schemas.js';
import {
  DATA_CONTENT_TYPE_PATTERN,
  EXTENSION_NAME_PATTERN,
  httpMember,
  identifier,
  instant,
  source,
  text,
} from './schema-parts.js';
import type { Infer, JsonSchema } from './json-schema.js';
import type { TopicName } from './topics.js';

/** The major version of every contract here. Within it, change is additive. */
export const CONTRACT_VERSION = 1;

type Contract = {
  readonly topic: TopicName;
  /** `in`: from the shop to the club; `out`: from the club to whoever listens. */
  readonly direction: 'in' | 'out';
  readonly summary: string;
  readonly data: JsonSchema;
};

/** Every public event: its topic, its direction, the schema of its data. Everything else about events is derived from here. */
export const CONTRACTS = {
  'commerce.purchase.completed': {
    topic: 'commerce.purchases',
    direction: 'in',
    summary: 'A purchase that is paid.',
    data: purchaseData,
  },
  'commerce.purchase.returned': {
    topic: 'commerce.purchases',
    direction: 'in',
    summary: 'Goods of a purchase came back.',
    data: returnData,
  },
  'commerce.activity.performed': {
    topic: 'commerce.activities',
    direction: 'in',
    summary: 'A member did something that is not a purchase.',
    data: activityData,
  },
  'loyalty.member.enrolled': {
    topic: 'loyalty.members',
    direction: 'out',
    summary: 'Somebody became a member.',
    data: memberEnrolledData,
  },
  'loyalty.purchase.accepted': {
    topic: 'loyalty.points',
    direction: 'out',
    summary: 'A purchase is in the ledger, or recorded as anonymous.',
    data: purchaseOutcomeData,
  },
  'loyalty.purchase.waiting': {
    topic: 'loyalty.points',
    direction: 'out',
    summary: 'A purchase waits until its member enrols.',
    data: purchaseOutcomeData,
  },
  'loyalty.purchase.refused': {
    topic: 'loyalty.points',
    direction: 'out',
    summary: 'A purchase changed nothing; the reason says why.',
    data: purchaseOutcomeData,
  },
  'loyalty.return.accepted': {
    topic: 'loyalty.points',
    direction: 'out',
    summary: 'A return is in the ledger, or recorded with its anonymous purchase.',
    data: returnOutcomeData,
  },
  'loyalty.return.waiting': {
    topic: 'loyalty.points',
    direction: 'out',
    summary: 'A return waits for its purchase, or for its member.',
    data: returnOutcomeData,
  },
  'loyalty.return.refused': {
    topic: 'loyalty.points',
    direction: 'out',
    summary: 'A return changed nothing; the reason says why.',
    data: returnOutcomeData,
  },
  'loyalty.return.quarantined': {
    topic: 'loyalty.points',
    direction: 'out',
    summary: 'A person has to decide about a return; the reason says why.',
    data: returnOutcomeData,
  },
  'loyalty.activity.accepted': {
    topic: 'loyalty.points',
    direction: 'out',
    summary: 'An activity of a member is recorded.',
    data: activityOutcomeData,
  },
  'loyalty.activity.waiting': {
    topic: 'loyalty.points',
    direction: 'out',
    summary: 'An activity waits until its member enrols.',
    data: activityOutcomeData,
  },
  'loyalty.activity.refused': {
    topic: 'loyalty.points',
    direction: 'out',
    summary: 'An activity changed nothing; the reason says why.',
    data: activityOutcomeData,
  },
  'loyalty.points.earned': {
    topic: 'loyalty.points',
    direction: 'out',
    summary: 'Points were added to an account.',
    data: pointsEarnedData,
  },
  'loyalty.points.reversed': {
    topic: 'loyalty.points',
    direction: 'out',
    summary: 'A return took points back.',
    data: pointsReversedData,
  },
  'loyalty.points.written-off': {
    topic: 'loyalty.points',
    direction: 'out',
    summary: 'A return should have taken points back that were not there; the shop bears them.',
    data: pointsWrittenOffData,
  },
} as const satisfies Record<string, Contract>;

export type EventType = keyof typeof CONTRACTS;
export type InboundEventType = {
  [T in EventType]: (typeof CONTRACTS)[T]['direction'] extends 'in' ? T : never;
}[EventType];
export type OutboundEventType = Exclude<EventType, InboundEventType>;
export type EventDataOf<T extends EventType> = Infer<(typeof CONTRACTS)[T]['data']>;

/** Every event type there is. */
export const EVENT_TYPES = Object.keys(CONTRACTS) as readonly EventType[];

export const isEventType = (type: unknown): type is EventType =>
  typeof type === 'string' && Object.hasOwn(CONTRACTS, type);

/** A CloudEvent 1.0 in structured form. Extension attributes beyond those named are carried along and mean nothing here. */
export type CloudEvent<T extends string, D> = {
  readonly specversion: '1.0';
  /** Traces the message; deduplicates nothing. */
  readonly id: string;
  readonly source: string;
  readonly type: T;
  readonly time?: string;
  readonly subject?: string;
  readonly datacontenttype?: string;
  readonly dataschema?: string;
  readonly data: D;
};

/** What goes out carries a number per key and topic, without gaps, so that a consumer can tell loss from delay. */
export type SequencedEvent<T extends string, D> = CloudEvent<T, D> & { readonly sequence: number };

export type PurchaseCompleted = CloudEvent<'commerce.purchase.completed', EventDataOf<'commerce.purchase.completed'>>;
export type PurchaseReturned = CloudEvent<'commerce.purchase.returned', EventDataOf<'commerce.purchase.returned'>>;
export type ActivityPerformed = CloudEvent<'commerce.activity.performed', EventDataOf<'commerce.activity.performed'>>;

export type InboundCloudEvent = { [T in InboundEventType]: CloudEvent<T, EventDataOf<T>> }[InboundEventType];
export type OutboundCloudEvent = { [T in OutboundEventType]: SequencedEvent<T, EventDataOf<T>> }[OutboundEventType];
export type KnownCloudEvent = InboundCloudEvent | OutboundCloudEvent;

/** The name under which a schema is published, and which `dataschema` may give. */
export const schemaId = (type: EventType): string => `urn:vafa:schema:${type}:${String(CONTRACT_VERSION)}`;

/** The JSON Schema of an event's data as a door takes it: over HTTP a member may also be named by phone or e-mail. */
export function dataSchema(type: EventType, door: Door = 'topic'): JsonSchema {
  const schema: JsonSchema = CONTRACTS[type].data;
  if (door === 'topic' || CONTRACTS[type].direction === 'out') return schema;
  return { ...schema, properties: { ...schema.properties, member: httpMember } };
}

/** Where an event came in. */
export type Door = 'topic' | 'http';

/** The JSON Schema of a whole event in structured form. */
export function eventSchema(
  type: EventType,
  door: Door = 'topic',
  data: JsonSchema = dataSchema(type, door),
): JsonSchema {
  const outbound = CONTRACTS[type].direction === 'out';
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: door === 'topic' ? schemaId(type) : `${schemaId(type)}:http`,
    title: type,
    description: CONTRACTS[type].summary,
    type: 'object',
    required: ['specversion', 'id', 'source', 'type', 'data', ...(outbound ? ['time', 'sequence'] : [])],
    maxProperties: ENVELOPE_PROPERTIES_MAX,
    propertyNames: { pattern: EXTENSION_NAME_PATTERN },
    properties: {
      specversion: { type: 'string', const: '1.0', description: 'The version of CloudEvents.' },
      id: identifier(EVENT_ID_LENGTH_MAX, 'Traces the message. Deduplicates nothing: the natural key does.'),
      source,
      type: { type: 'string', const: type, description: 'The type of the event.' },
      time: instant('When the event was made.'),
      subject: text(256, 'Carried along, never read. Must not be personal data.'),
      datacontenttype: {
        type: 'string',
        maxLength: 128,
        pattern: DATA_CONTENT_TYPE_PATTERN,
        description: 'application/json, which is also what its absence means.',
      },
      dataschema: {
        type: 'string',
        maxLength: 512,
        description: `Where it begins with urn:vafa:schema: it must be ${schemaId(type)}.`,
      },
      data,
      ...(outbound
        ? {
            sequence: {
              type: 'integer',
              minimum: 1,
              maximum: 2_147_483_647,
              description: 'Counts from 1 per key and topic, without gaps.',
            },
          }
        : {}),
    },
    additionalProperties: {
      type: ['string', 'integer', 'boolean'],
      maxLength: 1_024,
      description: 'An extension attribute of CloudEvents: carried along, never read.',
    },
  };
}
