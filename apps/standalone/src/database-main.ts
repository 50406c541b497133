import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { migrate } from '@vafa/persistence';
import { migrationSets } from '@vafa/service';
import { complain, tell } from './announce.js';
import { openDatabaseServer } from './database-server.js';
import { lockFolder } from './instance-lock.js';
import { MigrationCount } from './migration-count.js';
import { loadServices } from './services.js';
import { readStandaloneConfig } from './standalone-config.js';
import { prepareFolder } from './standalone.js';

// The database alone, for a command that works while the club is stopped: up to date, its owner's address on standard output, until standard
// input ends. A club that runs in the same folder is told to be stopped first.
const ROOT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const PEOPLE = new Set(['StartupError', 'ConfigError']);

try {
  await using cleanup = new AsyncDisposableStack();
  const config = readStandaloneConfig(process.env, ROOT);
  prepareFolder(config.folder);
  const lock = await lockFolder(config.folder);
  cleanup.defer(() => lock.release());
  const database = await openDatabaseServer({ ...config, port: config.databasePort, log: complain });
  cleanup.defer(() => database.stop());
  const told = new MigrationCount();
  await migrate(database.ownerUrl, migrationSets(loadServices(process.env)), told.take);
  told.tell(complain);
  tell(JSON.stringify({ databaseOwner: database.ownerUrl }));
  const ended = new Promise<void>((resolve) => process.stdin.once('end', resolve).once('close', resolve).resume());
  // Ctrl-C reaches this process as well; the command ends first.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  await ended;
} catch (error) {
  process.exitCode = 1;
  complain(error instanceof Error && PEOPLE.has(error.name) ? error.message : inspect(error));
}
process.exit();
