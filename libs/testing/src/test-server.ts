// The keeper of the PostgreSQL server that test runs share: a process of its own, so that it outlives the worker that happened to come first,
// whichever way that one ends. It stops the server and removes its data when nobody has been connected for a while.
//
//   node test-server.js <folder>
//
// Run by Node as it stands, also as TypeScript: source-hooks.mjs then finds the sources of what it imports.
import { startEmbeddedPostgres } from '@vafa/persistence/embedded';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';

const IDLE_MS = 20_000;
const CHECK_MS = 2_000;

const folder = process.argv[2];
if (folder === undefined) throw new Error('usage: test-server <folder>');

/** Beside leaving out what a power cut would need: small, and open to the many connections of suites that run at once. */
const SETTINGS = {
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_connections: '300',
  shared_buffers: '64MB',
  wal_buffers: '16MB',
};

const announcement = join(folder, 'server.json');

/** The file appears whole or not at all. */
const announce = async (): Promise<void> => {
  const draft = join(folder, `server.${process.pid}.json`);
  await writeFile(draft, announced());
  await rename(draft, announcement);
};

/** Out of sight, unless it is another server that is seen by now. */
const withdraw = async (): Promise<void> => {
  const seen = await readFile(announcement, 'utf8').catch(() => '');
  if (seen === announced()) await rm(announcement, { force: true });
};

const announced = (): string => JSON.stringify({ url: server.url, pid: process.pid });

await mkdir(folder, { recursive: true });
const parent = await mkdtemp(join(folder, 'data-'));
// The server runs as another user where we are root, and must be able to pass through.
await chmod(parent, 0o755);
const server = await startEmbeddedPostgres({
  dataDir: join(parent, 'postgres'),
  port: 0,
  durable: false,
  settings: SETTINGS,
  log: (line) => process.stderr.write(`${line}\n`),
});
const watcher = new pg.Client({ connectionString: server.url });
await watcher.connect();
await announce();

const connections = async (): Promise<number> => {
  const { rows } = await watcher.query<{ count: string }>(
    `select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`,
  );
  return Number(rows[0]?.count);
};

let stopping = false;
process.on('SIGTERM', () => (stopping = true));
for (let idleSince = Date.now(); !stopping;) {
  await pause(CHECK_MS);
  if ((await connections()) > 0) idleSince = Date.now();
  if (Date.now() - idleSince < IDLE_MS) continue;
  // First out of sight, then a last look: whoever connected before it is counted here, and whoever comes after it finds no announcement
  // any more and turns away. A server that is in use after all shows itself again.
  await withdraw();
  if ((await connections()) === 0) break;
  await announce();
  idleSince = Date.now();
}
await withdraw();
await watcher.end();
await server.stop({ hurry: true });
await rm(parent, { recursive: true, force: true });
process.exit(0);
