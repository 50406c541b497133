import { resolve } from 'node:path';
import {
  chooseEventStoreDb,
  chooseKafka,
  commonConfig,
  eventStoreDbConfig,
  httpConfig,
  kafkaConfig,
  oidcConfig,
  oidcOptions,
  readConfigs,
  serviceConfig,
  type CommonConfig,
  type Environment,
  type EventStoreDbChoice,
  type HttpConfig,
  type KafkaChoice,
  type OidcOptions,
  type ServiceConfig,
} from '@vafa/service';
import { standaloneConfig, type StandaloneSettings } from './settings.js';

/** Everything the process as a whole reads; the services read their own besides. */
export type StandaloneConfig = Omit<CommonConfig, 'dataFolder'> &
  Omit<ServiceConfig, 'migrate'> &
  StandaloneSettings & {
    /** The data folder as an absolute path. */
    readonly folder: string;
    /** Absent where the bus is in PostgreSQL. */
    readonly kafka?: KafkaChoice | undefined;
    /** Absent where the ledger is in PostgreSQL. */
    readonly eventStoreDb?: EventStoreDbChoice | undefined;
    readonly oidc: OidcOptions | null;
    readonly http: HttpConfig;
  };

/**
 * Reads the environment. A data folder that is not absolute lies in `root`, the checkout, wherever the command was given.
 *
 * @throws ConfigError that names everything that is wrong, not only the first
 */
export function readStandaloneConfig(env: Environment, root: string): StandaloneConfig {
  const definitions = {
    common: commonConfig,
    oidc: oidcConfig,
    http: httpConfig,
    service: serviceConfig,
    kafka: kafkaConfig,
    eventStoreDb: eventStoreDbConfig,
    standalone: standaloneConfig,
  };
  const { common, oidc, http, service, kafka, eventStoreDb, standalone } = readConfigs(definitions, env);
  const { dataFolder, ...rest } = common;
  const { migrate: _always, ...shared } = service;
  return Object.freeze({
    ...rest,
    ...shared,
    ...standalone,
    folder: resolve(root, dataFolder),
    oidc: oidcOptions(oidc),
    http,
    kafka: chooseKafka(kafka),
    eventStoreDb: chooseEventStoreDb(eventStoreDb),
  });
}
