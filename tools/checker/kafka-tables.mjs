/** The topics of a broker as the rows that the checker knows from PostgreSQL. What is lagging there comes on top of what the relay has to do. */
export class KafkaTables {
  #topics;

  /** @param {import('../load/kafka-client.mjs').KafkaClient} topics */
  constructor(topics) {
    this.#topics = topics;
  }

  has(name) {
    return name === 'incoming' || name === 'outgoing' || name === 'lag';
  }

  /** Whether the rows in PostgreSQL of that name are no part of it. */
  replaces(name) {
    return name === 'incoming' || name === 'outgoing';
  }

  async *rows(name) {
    if (name === 'lag') return yield* await this.#topics.lag();
    const messages = await this.#topics.read(name === 'incoming' ? 'commerce.purchases' : 'loyalty.points');
    for (const { partition, offset, key, value } of messages)
      yield { position: offset, partition, key, value: value ?? Buffer.alloc(0) };
  }
}
