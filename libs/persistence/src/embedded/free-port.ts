import { createServer } from 'node:net';

/** Where the embedded database listens unless it is taken: beside PostgreSQL's own 5432, and below the ports systems hand out. */
export const DATABASE_PORT = 15_432;
const PORTS_TRIED = 100;

/** The first port from `wanted` on that nobody listens to on the loopback; 0 asks the system for any. */
export async function freePort(wanted: number): Promise<number> {
  if (wanted === 0) return listenOn(0);
  for (let port = wanted; port < wanted + PORTS_TRIED && port < 65_536; port++) {
    const got = await listenOn(port).catch(() => undefined);
    if (got !== undefined) return got;
  }
  return listenOn(0);
}

function listenOn(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port));
    });
  });
}
