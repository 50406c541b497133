import { accessSync, constants, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileProblem, migrate, StartupError } from '@vafa/persistence';
import {
  HttpDoor,
  Installation,
  migrationSets,
  openDeadLetterKey,
  openVerifier,
  deadLetterSettings,
  type Logger,
  type RunFile,
  type RunningService,
} from '@vafa/service';
import type { StandaloneConfig } from './standalone-config.js';
import { openDatabaseServer, type DatabaseServer } from './database-server.js';
import { Front } from './front.js';
import { lockFolder } from './instance-lock.js';
import { openLog, type Log } from './log.js';
import { MigrationCount } from './migration-count.js';
import { removeRunFile, writeRunFile } from './run-file.js';
import type { Startable } from './startable.js';

export type StandaloneOptions = {
  readonly config: StandaloneConfig;
  /** Of several services that claim a path the first one gets it. */
  readonly services: readonly Startable[];
  readonly version: string;
  /** Takes the few lines that a person may want to read while it starts. */
  readonly say: (line: string) => void;
};

/** A running customer club. */
export type Standalone = {
  readonly run: RunFile;
  readonly database: DatabaseServer;
  readonly services: readonly RunningService[];
  /** Rejects when something shared cannot go on for good. */
  readonly lost: Promise<never>;
  /** Stops taking in, lets what is under way end, commits, closes; PostgreSQL last. Calling it again waits for the first call. */
  stop(): Promise<void>;
};

/**
 * Starts everything in this process, and answers when requests are served. Where a part does not start, what was started
 * is stopped again.
 *
 * @throws StartupError with a sentence for the person at the keyboard, or the error of a part
 */
export async function startStandalone(options: StandaloneOptions): Promise<Standalone> {
  const { config } = options;
  prepareFolder(config.folder);
  await using cleanup = new AsyncDisposableStack();
  const log = openLog({ folder: config.folder, to: config.logTo, level: config.logLevel });
  cleanup.defer(() => log.flush());
  const lock = await lockFolder(config.folder);
  cleanup.defer(() => lock.release());
  await removeRunFile(config.folder);
  cleanup.defer(() => removeRunFile(config.folder));

  const logger = log.loggerFor('standalone');
  const front = new Front(options.version, (err) => logger.error({ err }, 'a request failed'));
  const door = new HttpDoor((request, response) => front.handle(request, response));
  // Before the database, since a taken port is the likeliest thing to go wrong.
  const api = await listen(door, config);
  cleanup.defer(() => door.close());

  const database = await openDatabaseServer({ ...config, port: config.databasePort, log: options.say });
  cleanup.defer(() => database.stop());
  await migrateAll(options, database, logger);
  const shared = await openShared(config, database.ownerUrl, log, cleanup);
  const services = await startServices(options.services, shared, log, cleanup);
  front.open(services.map(({ running, startable: { paths, description } }) => ({ running, paths, description })));
  // Closed first, with the services still there to finish what is under way.
  cleanup.defer(() => door.close());

  const run = runFileOf(options, api, database);
  await writeRunFile(config.folder, run);
  const stack = cleanup.move();
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopping ??= stack.disposeAsync());
  return { run, database, services: services.map(({ running }) => running), lost: shared.lost, stop };
}

/** Makes the data folder where it is missing. @throws StartupError where it cannot be written */
export function prepareFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw fileProblem(error, folder) ?? error;
  }
}

async function listen(door: HttpDoor, { port, host }: StandaloneConfig): Promise<string> {
  try {
    return (await door.listen(port, host)).url;
  } catch (error) {
    throw listenProblem(error, port, host) ?? error;
  }
}

function listenProblem(error: unknown, port: number, host: string): StartupError | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE')
    return new StartupError(
      `Port ${port} is taken by another program: stop it, or choose another port, as in VAFA_PORT=${port + 1} npm start.`,
    );
  if (code === 'EACCES')
    return new StartupError(
      `This user may not listen on port ${port}: choose one from 1024 on, as in VAFA_PORT=3000 npm start.`,
    );
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return new StartupError(
      `This machine has no address ${host}: set VAFA_HOST to one it has, or leave it out for 127.0.0.1.`,
    );
  return undefined;
}

async function migrateAll(
  { services, say }: StandaloneOptions,
  database: DatabaseServer,
  logger: Logger,
): Promise<void> {
  const analystPassword = database.analystPassword;
  const options = analystPassword === undefined ? {} : { analystPassword };
  const told = new MigrationCount((name) => logger.info(`migrated ${name}`));
  await migrate(database.ownerUrl, migrationSets(services), told.take, options);
  told.tell(say);
}

async function openShared(
  config: StandaloneConfig,
  url: string,
  log: Log,
  cleanup: AsyncDisposableStack,
): Promise<Installation> {
  const production = config.environment === 'production';
  const folder = join(config.folder, 'keys');
  const logger = log.loggerFor('standalone');
  const shared = await Installation.open({
    url,
    poolSize: config.databasePoolSize,
    production,
    verifier: await openVerifier({ oidc: config.oidc, production, folder, logger }),
    http: config.http,
    deadLetterKey: await openDeadLetterKey(folder, config.deadLetterKey),
    deadLetters: deadLetterSettings(config),
    kafka: config.kafka,
    eventStoreDb: config.eventStoreDb,
    logger,
  });
  cleanup.defer(() => shared.close());
  return shared;
}

type Started = { readonly running: RunningService; readonly startable: Startable };

async function startServices(
  services: readonly Startable[],
  shared: Installation,
  log: Log,
  cleanup: AsyncDisposableStack,
): Promise<Started[]> {
  const starting = services.map(async (startable): Promise<Started> => {
    return { running: await startable.start(shared, log.loggerFor(startable.name)), startable };
  });
  // All are waited for, also where one fails: what runs must be known to be stopped.
  const outcomes = await Promise.allSettled(starting);
  const started = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  cleanup.defer(async () => {
    await Promise.all(started.map(({ running }) => running.close()));
  });
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  return started;
}

function runFileOf({ services, version }: StandaloneOptions, api: string, database: DatabaseServer): RunFile {
  const addresses = services.map(({ name }) => [
    name,
    { health: `${api}/health/ready/${name}`, metrics: `${api}/metrics/${name}` },
  ]);
  return {
    pid: process.pid,
    startedAt: Temporal.Now.instant().toString({ smallestUnit: 'millisecond' }),
    version,
    api,
    database: database.analystUrl,
    databaseOwner: database.ownerUrl,
    services: Object.fromEntries(addresses) as RunFile['services'],
  };
}
