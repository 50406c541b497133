import { join } from 'node:path';
import type { OidcOptions } from './auth/oidc.js';
import { oidcConfig, oidcOptions } from './auth/oidc-settings.js';
import { openVerifier } from './auth/open-verifier.js';
import { ConfigError, readConfigs, unknownSettings, type Environment } from './config.js';
import type { RunningService, ServiceDefinition } from './definition.js';
import { chooseEventStoreDb, eventStoreDbConfig, type EventStoreDbChoice } from './event-store-db.js';
import { answerBeforeReady } from './http/before-ready.js';
import { HttpDoor } from './http/http-door.js';
import { httpConfig, type HttpConfig } from './http/http-settings.js';
import { Installation, migrateInstallation } from './installation.js';
import { chooseKafka, kafkaConfig, type KafkaChoice } from './kafka.js';
import { openDeadLetterKey } from './key-file.js';
import { createLogger, type Logger } from './logger.js';
import { commonConfig, deadLetterSettings, serviceConfig, type CommonConfig, type ServiceConfig } from './settings.js';
import { stopSignal } from './stop-signal.js';
import { startService } from './start-service.js';

/** Ends of a process: it stopped as asked, it failed, or it was configured wrongly. */
export const EXIT = { done: 0, failed: 1, misconfigured: 2 } as const;

type Settings<Config> = {
  readonly common: CommonConfig;
  readonly oidc: OidcOptions | null;
  readonly http: HttpConfig;
  readonly service: ServiceConfig & { readonly databaseUrl: string };
  readonly kafka: KafkaChoice | undefined;
  readonly eventStoreDb: EventStoreDbChoice | undefined;
  readonly own: Config;
};

/**
 * Runs one service as a process of its own until SIGTERM or SIGINT, and answers with the exit code. The whole of a `main.ts`:
 * `process.exitCode = await runService(definition, process.env)`.
 */
export const runService = async <Config>(definition: ServiceDefinition<Config>, env: Environment): Promise<number> => {
  let settings: Settings<Config>;
  try {
    settings = readSettings(definition, env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return EXIT.misconfigured;
  }
  const logger = createLogger({ name: definition.name, level: settings.common.logLevel });
  for (const { name, nearest } of unknownSettings(env))
    logger.warn({ setting: name, nearest }, 'a variable that is no setting of this service');
  return serve(definition, settings, logger);
};

const readSettings = <Config>(definition: ServiceDefinition<Config>, env: Environment): Settings<Config> => {
  const definitions = {
    common: commonConfig,
    oidc: oidcConfig,
    http: httpConfig,
    service: serviceConfig,
    kafka: kafkaConfig,
    eventStoreDb: eventStoreDbConfig,
    own: definition.config,
  };
  const { common, oidc, http, service, kafka, eventStoreDb, own } = readConfigs(definitions, env);
  const { databaseUrl } = service;
  if (databaseUrl === null) {
    const detail = 'VAFA_DATABASE_URL is not set: a service on its own has no embedded database';
    throw new ConfigError([{ name: 'VAFA_DATABASE_URL', detail }]);
  }
  return {
    common,
    oidc: oidcOptions(oidc),
    http,
    service: { ...service, databaseUrl },
    kafka: chooseKafka(kafka),
    eventStoreDb: chooseEventStoreDb(eventStoreDb),
    own,
  };
};

const serve = async <Config>(
  definition: ServiceDefinition<Config>,
  settings: Settings<Config>,
  logger: Logger,
): Promise<number> => {
  const { common, service, own } = settings;
  const stop = stopSignal();
  // Nobody knows what state the process is in then. Node's own message would show the error with all its fields.
  const crash = (err: unknown): never => {
    logger.fatal({ err }, 'an exception that nobody caught');
    process.exit(EXIT.failed);
  };
  process.on('uncaughtException', crash);
  let installation: Installation | undefined;
  let running: RunningService | undefined;
  const starting = answerBeforeReady();
  const door = new HttpDoor((request, response) =>
    running === undefined ? starting(request, response) : running.handle(request, response),
  );
  try {
    // First, so that whoever watches the process hears that it lives while it waits for what it needs.
    const { url } = await door.listen(common.port, common.host);
    if (service.migrate) await migrateInstallation(service.databaseUrl, [definition], logger);
    installation = await openInstallation(settings, logger);
    running = await startService(definition, await installation.contextFor(definition, own, logger));
    logger.info({ url }, 'ready');
    logger.info({ signal: await Promise.race([stop.received, installation.lost]) }, 'stopping');
    return EXIT.done;
  } catch (err) {
    logger.fatal({ err }, 'the service cannot go on');
    return EXIT.failed;
  } finally {
    await Promise.all([running?.close(), door.close()]);
    await installation?.close();
    stop.release();
    process.off('uncaughtException', crash);
  }
};

const openInstallation = async (
  { common, oidc, http, service, kafka, eventStoreDb }: Settings<unknown>,
  logger: Logger,
): Promise<Installation> => {
  const folder = join(common.dataFolder, 'keys');
  const production = common.environment === 'production';
  return Installation.open({
    url: service.databaseUrl,
    poolSize: service.databasePoolSize,
    production,
    verifier: await openVerifier({ oidc, production, folder, logger }),
    http,
    deadLetterKey: await openDeadLetterKey(folder, service.deadLetterKey),
    deadLetters: deadLetterSettings(service),
    kafka,
    eventStoreDb,
    logger,
  });
};
