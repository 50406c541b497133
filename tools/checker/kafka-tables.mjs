/** Which topic has the rows of a statement. */
const TOPICS = new Map([
  ['incoming', 'commerce.purchases'],
  ['outgoing', 'loyalty.points'],
  ['enrolments', 'loyalty.members'],
]);

/** The topics of a broker as the rows that the checker knows from PostgreSQL. What is lagging there comes on top of what the relay has to do. */
export class KafkaTables {
  #topics;

  /** @param {import('../load/kafka-client.mjs').KafkaClient} topics */
  constructor(topics) {
    this.#topics = topics;
  }

  has(name) {
    return name === 'lag' || TOPICS.has(name);
  }

  /** Whether the rows in PostgreSQL of that name are no part of it. */
  replaces(name) {
    return TOPICS.has(name);
  }

  async *rows(name) {
    if (name === 'lag') return yield* await this.#topics.lag();
    const messages = await this.#topics.read(TOPICS.get(name));
    for (const { partition, offset, key, value } of messages)
      yield { position: offset, partition, key, value: value ?? Buffer.alloc(0) };
  }
}
