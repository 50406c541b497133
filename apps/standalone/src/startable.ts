import {
  startService,
  type Environment,
  type Installation,
  type Logger,
  type RunningService,
  type ServiceDefinition,
} from '@vafa/service';
import type { MigrationSet } from '@vafa/persistence';

/** A service whose settings have been read, ready to be started. */
export type Startable = {
  readonly name: string;
  readonly description: string;
  readonly paths: readonly RegExp[];
  readonly migrations: MigrationSet;
  readonly entities: readonly (new () => object)[];
  /** Starts it on what the installation shares, with connections of its own. */
  start(installation: Installation, logger: Logger): Promise<RunningService>;
};

/** Reads the service's settings. @throws ConfigError before anything is started */
export function configure<Config>(definition: ServiceDefinition<Config>, env: Environment): Startable {
  const config = definition.config(env);
  const { name, description, paths, migrations, entities } = definition;
  return {
    name,
    description,
    paths,
    migrations,
    entities,
    start: async (installation, logger) =>
      startService(definition, await installation.contextFor(definition, config, logger)),
  };
}
