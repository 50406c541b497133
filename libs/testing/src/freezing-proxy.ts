import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/**
 * Stands between a client and a PostgreSQL server and falls asleep when told: from then on nothing passes in either direction, and no connection ends.
 * To the server the client is then what a frozen process is, or one whose network is cut.
 */
export class FreezingProxy {
  private readonly sockets = new Set<Socket>();
  private frozen = false;
  private wanted: { readonly text: Buffer; readonly reached: () => void } | undefined;

  private constructor(
    private readonly server: Server,
    /** What the client is to be given. */
    readonly url: string,
  ) {}

  /** Listens on a port of its own before the server of a URL. */
  static async open(url: string): Promise<FreezingProxy> {
    const { hostname, port } = new URL(url);
    const server = createServer();
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const own = new URL(url);
    own.hostname = '127.0.0.1';
    own.port = String((server.address() as AddressInfo).port);
    const proxy = new FreezingProxy(server, own.href);
    server.on('connection', (near) => proxy.join(near, connect(Number(port), hostname)));
    return proxy;
  }

  freeze(): void {
    this.frozen = true;
    for (const socket of this.sockets) socket.pause();
  }

  /** Wakes up: what was sent meanwhile arrives. */
  thaw(): void {
    this.frozen = false;
    for (const socket of this.sockets) socket.resume();
  }

  /** Freezes when this text has passed, right behind it. Resolves then. It has to come in one piece. */
  freezeAt(text: string): Promise<void> {
    return new Promise((reached) => (this.wanted = { text: Buffer.from(text), reached }));
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private join(near: Socket, far: Socket): void {
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.sockets.add(from);
      from.on('data', (chunk: Buffer) => this.pass(chunk, to));
      from.on('error', () => undefined);
      from.on('close', () => {
        this.sockets.delete(from);
        if (!this.frozen) to.destroy();
      });
      if (this.frozen) from.pause();
    }
  }

  private pass(chunk: Buffer, to: Socket): void {
    if (this.frozen) return;
    const at = this.wanted === undefined ? -1 : chunk.indexOf(this.wanted.text);
    if (this.wanted === undefined || at < 0) {
      to.write(chunk);
      return;
    }
    to.write(chunk.subarray(0, at + this.wanted.text.length));
    this.freeze();
    this.wanted.reached();
  }
}
