import { STATUS_CODES, createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { PROBLEMS, PROBLEM_TYPE, ProblemException, problemBody, type ProblemKind } from './problems.js';

export type RequestListener = (request: IncomingMessage, response: ServerResponse) => void;

const HEADERS_TIMEOUT_MS = 15_000;
const REQUEST_TIMEOUT_MS = 120_000;
const KEEP_ALIVE_MS = 72_000;
/** Open connections at most; one more is closed at once. */
const CONNECTIONS_MAX = 10_000;
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
    this.server.maxConnections = CONNECTIONS_MAX;
    this.server.on('clientError', refuseConnection);
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

const CLIENT_ERRORS: Readonly<Record<string, ProblemKind>> = {
  HPE_HEADER_OVERFLOW: PROBLEMS['headers-too-large'],
  ERR_HTTP_REQUEST_TIMEOUT: PROBLEMS['request-timeout'],
};

// What is not HTTP reaches no service: it is answered here, and the connection ends.
const refuseConnection = (error: Error & { readonly code?: string }, socket: Duplex): void => {
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
  const kind = CLIENT_ERRORS[error.code ?? ''] ?? PROBLEMS['malformed-request'];
  const body = problemBody(new ProblemException(kind), 'en');
  socket.end(
    `HTTP/1.1 ${kind.status} ${STATUS_CODES[kind.status]}\r\nContent-Type: ${PROBLEM_TYPE}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
};
