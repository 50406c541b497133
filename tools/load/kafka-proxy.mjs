import { createServer, connect } from 'node:net';

/** Longer than any answer of a broker; what claims to be longer is no answer. */
const ANSWER_BYTES_MAX = 64 * 1_024 * 1_024;

/**
 * Stands between services and brokers, cuts their connections and delays them. Brokers tell their clients where they are; in their answers
 * that is written over with where the proxy of each is, so that nobody goes around it.
 */
export class KafkaProxy {
  #servers = [];
  #sockets = new Set();
  #addresses = [];
  #refusing = false;
  /** Milliseconds that bytes take longer, each way. */
  delayMs = 0;

  /** @param {string[]} brokers `127.0.0.1:port` */
  static async open(brokers) {
    const proxy = new KafkaProxy();
    const ports = brokers.map((broker) => Number(broker.split(':')[1]));
    for (const port of ports) {
      const server = createServer((socket) => proxy.#serve(socket, port));
      await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
      proxy.#servers.push(server);
    }
    proxy.#addresses = ports.map((port, i) => ({
      from: addressOf(port),
      to: addressOf(proxy.#servers[i].address().port),
    }));
    return proxy;
  }

  /** Where clients find the brokers. */
  get brokers() {
    return this.#servers.map((server) => `127.0.0.1:${server.address().port}`);
  }

  /** Breaks every connection, in the middle of whatever it carries, and takes no new ones until `mend`. */
  cut() {
    this.#refusing = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  mend() {
    this.#refusing = false;
  }

  async close() {
    this.cut();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }

  #serve(client, port) {
    if (this.#refusing) return client.destroy();
    const broker = connect(port, '127.0.0.1');
    for (const [one, other] of [
      [client, broker],
      [broker, client],
    ]) {
      this.#sockets.add(one);
      one.setNoDelay(true);
      one.on('error', () => one.destroy());
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
    client.on('data', (bytes) => this.#later(broker, bytes));
    let rest = Buffer.alloc(0);
    broker.on('data', (bytes) => {
      const { answers, left } = split(Buffer.concat([rest, bytes]));
      rest = left;
      for (const answer of answers) this.#later(client, this.#translate(answer));
    });
  }

  /** Timers of the same delay keep their order. */
  #later(socket, bytes) {
    const write = () => !socket.destroyed && socket.write(bytes);
    if (this.delayMs === 0) write();
    else setTimeout(write, this.delayMs);
  }

  #translate(answer) {
    for (const { from, to } of this.#addresses)
      for (let at = answer.indexOf(from); at !== -1; at = answer.indexOf(from, at + from.length)) to.copy(answer, at);
    return answer;
  }
}

/** An address as answers have it: the length of the host's name, the name, the port. */
function addressOf(port) {
  const host = Buffer.from('127.0.0.1');
  const bytes = Buffer.alloc(2 + host.length + 4);
  bytes.writeInt16BE(host.length, 0);
  host.copy(bytes, 2);
  bytes.writeInt32BE(port, 2 + host.length);
  return bytes;
}

/** Each answer stands behind its length in four bytes. */
function split(bytes) {
  const answers = [];
  let at = 0;
  while (at + 4 <= bytes.length) {
    const length = bytes.readInt32BE(at) + 4;
    if (length < 4 || length > ANSWER_BYTES_MAX) throw new Error(`a broker announced an answer of ${length} bytes`);
    if (at + length > bytes.length) break;
    answers.push(bytes.subarray(at, at + length));
    at += length;
  }
  return { answers, left: bytes.subarray(at) };
}
