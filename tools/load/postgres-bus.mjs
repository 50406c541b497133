import { publish } from './topic-writer.mjs';

/** Publishes on the bus in PostgreSQL over a connection of its own, which is opened anew after a failure. */
export class PostgresBus {
  #connect;
  #client;

  /** @param {() => Promise<import('pg').Client>} connect */
  constructor(connect) {
    this.#connect = connect;
  }

  /** @returns {Promise<{ partition: number, position: string }[]>} where the messages are; where it throws, that is not known */
  async publish(topic, messages) {
    try {
      this.#client ??= this.#connect();
      return await publish(await this.#client, topic, messages);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** The places of messages with exactly these bytes. */
  async find(topic, value) {
    this.#client ??= this.#connect();
    const client = await this.#client;
    const { rows } = await client.query(
      `select partition, position::text from messaging.log where topic = (select id from messaging.topics where name = $1) and value = $2`,
      [topic, value],
    );
    return rows;
  }

  async close() {
    const client = await this.#client?.catch(() => undefined);
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }
}
