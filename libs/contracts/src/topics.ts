const DAY_MS = 24 * 60 * 60 * 1_000;

export const TOPIC_NAMES = ['commerce.purchases', 'commerce.activities', 'loyalty.members', 'loyalty.points'] as const;
export type TopicName = (typeof TOPIC_NAMES)[number];

/**
 * Partitions are for ever: a key's order holds only while its partition stays the same. Twelve divides among 1, 2, 3, 4, 6 and 12 consumers.
 * Retention is how long a message is kept at least. What a purchase sent here became is in the stores once it is claimed; until then it is only
 * here, and so the bus in PostgreSQL keeps what a group has not taken for as long as it takes. On Kafka a consumer may be away for this long.
 */
const topic = <const Name extends TopicName>(name: Name, key: string, retentionDays: number) =>
  ({ name, partitions: 12, retentionMs: retentionDays * DAY_MS, key }) as const;

/** Every topic, with what its messages are keyed by. */
export const TOPICS = {
  'commerce.purchases': topic(
    'commerce.purchases',
    'the member reference; of an anonymous purchase anything or nothing',
    7,
  ),
  'commerce.activities': topic('commerce.activities', 'the member reference', 7),
  'loyalty.members': topic('loyalty.members', 'the member id', 30),
  'loyalty.points': topic(
    'loyalty.points',
    'the member id; where no member is known the reference, or the natural key of an anonymous purchase',
    7,
  ),
} as const satisfies {
  [Name in TopicName]: {
    readonly name: Name;
    readonly partitions: number;
    readonly retentionMs: number;
    readonly key: string;
  };
};
