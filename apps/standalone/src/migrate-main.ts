import { ConfigError, migrationSets } from '@vafa/service';
import { migrate, StartupError } from '@vafa/persistence';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect, parseArgs } from 'node:util';
import { complain, tell } from './announce.js';
import { openGivenServer } from './database-server.js';
import { loadServices } from './services.js';
import { readStandaloneConfig } from './standalone-config.js';

// What `vafa migrate` runs: the tables of every service, brought up to date before the services are started as processes of their own.
const ROOT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const EXIT = { failed: 1, misconfigured: 2 } as const;

const { values } = parseArgs({ options: { json: { type: 'boolean' } } });

try {
  const config = readStandaloneConfig(process.env, ROOT);
  if (config.databaseUrl === null)
    throw new ConfigError([
      {
        name: 'VAFA_DATABASE_URL',
        detail: 'VAFA_DATABASE_URL is not set: npm start brings the embedded database up to date itself',
      },
    ]);
  const server = await openGivenServer(config.databaseUrl, config.analystPassword);
  const options = server.analystPassword === undefined ? {} : { analystPassword: server.analystPassword };
  const migrated: string[] = [];
  const note = (name: string): void => {
    migrated.push(name);
    complain(`migrated ${name}`);
  };
  await migrate(server.ownerUrl, migrationSets(loadServices(process.env)), note, options);
  if (values.json === true) tell(JSON.stringify({ migrated }));
  else tell(migrated.length === 0 ? 'The database is up to date.' : `Up to date after ${migrated.length} migrations.`);
} catch (error) {
  process.exitCode = error instanceof ConfigError ? EXIT.misconfigured : EXIT.failed;
  complain(error instanceof ConfigError || error instanceof StartupError ? error.message : inspect(error));
}
