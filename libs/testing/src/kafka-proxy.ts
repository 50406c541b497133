import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Longer than any request or answer of ours; what claims to be longer is none. */
const FRAME_BYTES_MAX = 64 * 1_024 * 1_024;

/** How long the half of an answer takes to arrive. */
const HALF_MS = 20;

/** Requests of Kafka's protocol, by the keys that they begin with. */
export const KAFKA_REQUEST = { fetch: 1, joinGroup: 11, syncGroup: 14 } as const;

/**
 * What becomes of a request: `lose` ends its connection before the broker sees it, `lose-answer` once the broker has it, `halve-answer` in the middle
 * of what it answers; `forget` leaves it without an answer, and the connection standing.
 */
export type RequestFate = 'pass' | 'lose' | 'lose-answer' | 'halve-answer' | 'forget';

type Address = { readonly from: Buffer; readonly to: Buffer };

/**
 * Stands between clients and brokers, cuts their connections, delays them, and loses requests or their answers. Brokers tell their clients where they
 * are; in their answers that is written over with where the proxy of each is, so that nobody goes around it. For plain connections only.
 */
export class KafkaProxy {
  private readonly sockets = new Set<Socket>();
  private addresses: readonly Address[] = [];
  private refusing = false;
  /** Milliseconds that bytes take longer, each way. */
  delayMs = 0;
  /** Decides about a request by its key. */
  fateOf: (request: number) => RequestFate = () => 'pass';

  private constructor(private readonly servers: readonly Server[]) {}

  /** Listens on ports of its own before each of the brokers, which are `127.0.0.1:port`. */
  static async open(brokers: readonly string[]): Promise<KafkaProxy> {
    const servers = brokers.map(() => createServer());
    const proxy = new KafkaProxy(servers);
    const addresses: Address[] = [];
    for (const [i, server] of servers.entries()) {
      const port = Number(brokers[i]?.split(':')[1]);
      server.on('connection', (socket) => proxy.serve(socket, port));
      await once(server.listen(0, '127.0.0.1'), 'listening');
      addresses.push({ from: addressOf(port), to: addressOf(portOf(server)) });
    }
    proxy.addresses = addresses;
    return proxy;
  }

  /** Where clients find the brokers. */
  get brokers(): string[] {
    return this.servers.map((server) => `127.0.0.1:${portOf(server)}`);
  }

  /** Breaks every connection, in the middle of whatever it carries, and takes no new ones until `mend`. */
  cut(): void {
    this.refusing = true;
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  mend(): void {
    this.refusing = false;
  }

  async close(): Promise<void> {
    this.cut();
    await Promise.all(
      this.servers.map(async (server) => {
        const closed = once(server, 'close');
        server.close();
        await closed;
      }),
    );
  }

  private serve(client: Socket, port: number): void {
    if (this.refusing) {
      client.destroy();
      return;
    }
    const broker = connect(port, '127.0.0.1');
    for (const [one, other] of [
      [client, broker],
      [broker, client],
    ] as const) {
      this.sockets.add(one);
      one.setNoDelay(true);
      one.on('error', () => one.destroy());
      one.on('close', () => {
        this.sockets.delete(one);
        other.destroy();
      });
    }
    let breaking: 'lose-answer' | 'halve-answer' | undefined;
    onFrames(client, (frame) => {
      const fate = this.fateOf(frame.readInt16BE(4));
      if (fate === 'lose') client.destroy();
      if (fate === 'lose' || fate === 'forget') return;
      if (fate !== 'pass') breaking ??= fate;
      this.later(broker, frame);
    });
    onFrames(broker, (frame) => {
      if (breaking === undefined) return this.later(client, this.translate(frame));
      if (breaking === 'lose-answer') return client.destroy();
      // Once it has them: a reset overtakes what was not sent yet.
      client.write(frame.subarray(0, frame.length >> 1), () => setTimeout(() => client.resetAndDestroy(), HALF_MS));
    });
  }

  /** Timers of the same delay keep their order. */
  private later(socket: Socket, bytes: Buffer): void {
    const write = (): void => {
      if (!socket.destroyed) socket.write(bytes);
    };
    if (this.delayMs === 0) write();
    else setTimeout(write, this.delayMs);
  }

  private translate(answer: Buffer): Buffer {
    for (const { from, to } of this.addresses)
      for (let at = answer.indexOf(from); at !== -1; at = answer.indexOf(from, at + from.length)) to.copy(answer, at);
    return answer;
  }
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

/** An address as answers have it: the length of the host's name, the name, the port. */
const addressOf = (port: number): Buffer => {
  const host = Buffer.from('127.0.0.1');
  const bytes = Buffer.alloc(2 + host.length + 4);
  bytes.writeInt16BE(host.length, 0);
  host.copy(bytes, 2);
  bytes.writeInt32BE(port, 2 + host.length);
  return bytes;
};

/** Each request and each answer stands behind its length in four bytes. */
const onFrames = (socket: Socket, take: (frame: Buffer) => void): void => {
  let left: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    left = left.length === 0 ? chunk : Buffer.concat([left, chunk]);
    let at = 0;
    while (at + 4 <= left.length && !socket.destroyed) {
      const length = left.readInt32BE(at) + 4;
      if (length < 4 || length > FRAME_BYTES_MAX) {
        // A fault of whoever speaks, not of whoever listens: it ends the connection, as a broker would.
        socket.destroy();
        return;
      }
      if (at + length > left.length) break;
      take(left.subarray(at, at + length));
      at += length;
    }
    left = left.subarray(at);
  });
};
