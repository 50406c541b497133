import type { IncomingMessage, ServerResponse } from 'node:http';
import type { DynamicModule, Type } from '@nestjs/common';
import type { OpenAPIObject } from '@nestjs/swagger';
import type { EventStore } from '@vafa/event-sourcing';
import type { DeadLetters, MessageBus } from '@vafa/messaging';
import type { Database, MigrationSet } from '@vafa/persistence';
import type { Audit } from './audit/audit.js';
import type { TokenVerifier } from './auth/verifier.js';
import type { Clock } from './clock/clock.js';
import type { ConfigDefinition } from './config.js';
import type { Health, HealthReport } from './health.js';
import type { HttpConfig } from './http/http-settings.js';
import type { Route } from './http/route-table.js';
import type { Logger } from './logger.js';
import type { Metrics } from './metrics.js';

/** What a service is: the one thing its package exports for those who run it. */
export type ServiceDefinition<Config> = {
  readonly name: string;
  /** One sentence for the API's documentation. */
  readonly description: string;
  /** The URL paths it owns, matched without the query. Of several services the first that matches is asked. */
  readonly paths: readonly RegExp[];
  /** The composition root: builds the Nest module from what the service is given. */
  readonly module: (context: ServiceContext<Config>) => DynamicModule;
  /** The topics it reads; none where it reads none. */
  readonly topics: readonly string[];
  /** Types on these topics that it leaves alone. Any other type without a handler goes to the dead letters. */
  readonly ignoredTypes?: readonly string[];
  /** Its consumer group on the bus. */
  readonly group: string;
  readonly migrations: MigrationSet;
  /** TypeORM entities of its tables. */
  readonly entities: readonly (new () => object)[];
  readonly config: ConfigDefinition<Config>;
};

/** What a service is given. Whoever made it closes it, after the service. */
export type ServiceContext<Config> = {
  readonly config: Config;
  readonly database: Database;
  /** Where acts of staff are recorded, in the transaction of the act. */
  readonly audit: Audit;
  readonly bus: MessageBus;
  readonly deadLetters: DeadLetters;
  readonly eventStore: EventStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly health: Health;
  readonly verifier: TokenVerifier;
  /** How much one caller may ask for, and who callers are. */
  readonly http: HttpConfig;
};

/** A service that runs. */
export type RunningService = {
  readonly name: string;
  /** Answers a request that a front server got. Once closing has begun: 503. */
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Its OpenAPI 3.1 document, built when first asked for. */
  readonly openapi: OpenAPIObject;
  readonly metrics: Metrics;
  readonly routes: readonly Route[];
  ready(): Promise<HealthReport>;
  /** A provider of its module, for those who start it and for tests. */
  get<T>(provider: Type<T> | symbol | string): T;
  /** An HTTP server of its own; port 0 takes any free one. */
  listen(port: number, host: string): Promise<{ port: number; url: string }>;
  /**
   * Stops HTTP, lets requests under way end, stops consuming, drains and commits, then stops the module's own workers.
   * Database, bus and store are left to whoever opened them. Calling it again waits for the first call.
   */
  close(): Promise<void>;
};
