import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type RequestListener = (request: IncomingMessage, response: ServerResponse) => void;

const HEADERS_TIMEOUT_MS = 15_000;
const REQUEST_TIMEOUT_MS = 120_000;
const KEEP_ALIVE_MS = 72_000;
const DRAIN_MS = 10_000;
const IDLE_POLL_MS = 20;

/** One HTTP server: it hands requests to a listener, and closes without dropping those under way. */
export class HttpDoor {
  private readonly server: Server;

  constructor(listener: RequestListener) {
    this.server = createServer(
      {
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        // Small answers go out at once rather than wait for more.
        noDelay: true,
      },
      listener,
    );
  }

  /** Listens; port 0 takes any free one. Answers with the address. @throws the system's error, e.g. EADDRINUSE. */
  async listen(port: number, host: string): Promise<{ port: number; url: string }> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, () => {
        this.server.off('error', reject);
        resolve();
      });
    });
    const address = this.server.address() as AddressInfo;
    const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return { port: address.port, url: `http://${shown}:${address.port}` };
  }

  /** Takes no new connection, lets the requests under way end, and cuts off after `drainMs` (10 s) those that have not. */
  async close(drainMs: number = DRAIN_MS): Promise<void> {
    if (!this.server.listening) return;
    const cutOff = setTimeout(() => this.server.closeAllConnections(), drainMs);
    // A connection whose last answer has gone out would otherwise be kept for the next request.
    const idle = setInterval(() => this.server.closeIdleConnections(), IDLE_POLL_MS);
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
    clearInterval(idle);
    clearTimeout(cutOff);
  }
}
