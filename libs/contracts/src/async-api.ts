import { CONTRACT_VERSION, CONTRACTS, EVENT_TYPES, eventSchema, type EventType } from './events.js';
import { EVENT_BYTES_MAX, LINES_MAX } from './limits.js';
import { TOPIC_NAMES, TOPICS, type TopicName } from './topics.js';

type Json = { readonly [name: string]: unknown };

/** The AsyncAPI 3 document of every topic and event, made from the same contracts as the validator. */
export function asyncApiDocument(): Json {
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Vafa: public events',
      version: `${String(CONTRACT_VERSION)}.0.0`,
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      description:
        'CloudEvents 1.0 in structured JSON or in binary mode (`ce_` headers). Delivery is at least once; inputs are recognised by their natural key ' +
        '(kind, source, purchaseId | returnId | activityId), never by the id of the CloudEvent. Within a major version change is additive: consumers ' +
        `ignore fields they do not know. Limits: ${String(EVENT_BYTES_MAX)} bytes an event, ${String(LINES_MAX)} lines a purchase. Beyond what the schemas say, \`total\` ` +
        'must be the sum of the lines, a `lineId` must occur once, and `tax` must lie within `amount`.',
    },
    defaultContentType: 'application/cloudevents+json',
    channels: Object.fromEntries(TOPIC_NAMES.map((name) => [channelName(name), channel(name)])),
    operations: Object.fromEntries(
      TOPIC_NAMES.map((name) => [`${isInbound(name) ? 'receive' : 'send'}-${channelName(name)}`, operation(name)]),
    ),
    components: { messages: Object.fromEntries(EVENT_TYPES.map((type) => [type, message(type)])) },
  };
}

const channelName = (topic: TopicName): string => topic.replace('.', '-');
const typesOf = (topic: TopicName): readonly EventType[] =>
  EVENT_TYPES.filter((type) => CONTRACTS[type].topic === topic);
const isInbound = (topic: TopicName): boolean => typesOf(topic).some((type) => CONTRACTS[type].direction === 'in');

function channel(topic: TopicName): Json {
  const { partitions, retentionMs, key } = TOPICS[topic];
  return {
    address: topic,
    description: `Key: ${key}. Order is kept per key.`,
    messages: Object.fromEntries(typesOf(topic).map((type) => [type, { $ref: `#/components/messages/${type}` }])),
    bindings: {
      kafka: { topic, partitions, topicConfiguration: { 'retention.ms': retentionMs }, bindingVersion: '0.5.0' },
    },
  };
}

/** From where the club stands: it receives what the shop says and sends what follows. */
function operation(topic: TopicName): Json {
  return {
    action: isInbound(topic) ? 'receive' : 'send',
    channel: { $ref: `#/channels/${channelName(topic)}` },
    messages: typesOf(topic).map((type) => ({ $ref: `#/channels/${channelName(topic)}/messages/${type}` })),
  };
}

function message(type: EventType): Json {
  return {
    name: type,
    title: type,
    summary: CONTRACTS[type].summary,
    contentType: 'application/cloudevents+json',
    payload: { schemaFormat: 'application/schema+json;version=draft-2020-12', schema: eventSchema(type) },
    bindings: {
      kafka: { key: { type: 'string', description: TOPICS[CONTRACTS[type].topic].key }, bindingVersion: '0.5.0' },
    },
  };
}
