import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { EventStoreDbTables } from '../checker/eventstoredb-tables.mjs';

const PROGRAM = fileURLToPath(new URL('stand-in-process.mjs', import.meta.url));

/** The ledger in the database of the installation: nothing to start, and nothing to harm besides the database. */
export class LedgerInPostgres {
  env = {};
  tables = undefined;

  async harm() {}

  async rest() {
    return {};
  }

  async close() {}
}

/** The ledger in the stand-in for EventStoreDB, a process of its own that outlives every crash of the installation. */
export class LedgerInEventStoreDb {
  #child;
  #harming = false;

  static async start() {
    const ledger = new LedgerInEventStoreDb();
    ledger.#child = fork(PROGRAM, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const { url } = await ledger.#told();
    ledger.env = { VAFA_EVENTSTOREDB_URL: url };
    ledger.tables = new EventStoreDbTables(url);
    return ledger;
  }

  /** Begins to harm the server and its connections, each way once and then at random. */
  async harm(seed) {
    this.#harming = true;
    this.#child.send({ ask: 'harm', seed });
  }

  /** Ends that. @returns {Promise<Record<string, number>>} how often each harm was done */
  async rest() {
    if (!this.#harming) return {};
    this.#harming = false;
    const told = this.#told();
    this.#child.send({ ask: 'rest' });
    const counts = {};
    for (const name of (await told).done) counts[`ledger: ${name}`] = (counts[`ledger: ${name}`] ?? 0) + 1;
    return counts;
  }

  async close() {
    await this.tables?.close();
    if (this.#child.connected) this.#child.disconnect();
  }

  /** What it says next. @throws where it ends instead */
  async #told() {
    const [message] = await Promise.race([
      once(this.#child, 'message'),
      once(this.#child, 'exit').then(() => {
        throw new Error('the stand-in for EventStoreDB has ended');
      }),
    ]);
    return message;
  }
}
