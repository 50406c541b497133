import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { OpenAPIObject } from '@nestjs/swagger';
import { connectTransport } from '@vafa/messaging';
import { createApplication, type Application } from './application.js';
import { createConsumer } from './consumer.js';
import type { RunningService, ServiceContext, ServiceDefinition } from './definition.js';
import { HttpDoor } from './http/http-door.js';
import { openApiOf } from './http/openapi.js';
import type { Route } from './http/route-table.js';
import { PROBLEMS, PROBLEM_TYPE, ProblemException, problemBody } from './http/problems.js';

/** The one of the whole repository, which stands in its `package.json`. */
const { version: VERSION } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const DRAIN_MS = 10_000;
const DRAIN_POLL_MS = 20;

/** Builds a service's Nest application on what it is given, and starts its consumers. @throws where any part does not start; nothing is left running then. */
export const startService = async <Config>(
  definition: ServiceDefinition<Config>,
  context: ServiceContext<Config>,
): Promise<RunningService> => {
  addHealthChecks(context);
  const application = await createApplication(definition.module(context), context);
  const { app, fastify, routes } = application;
  try {
    if (definition.topics.length > 0) connectTransport(app, createConsumer(definition, context));
    await app.init();
    await fastify.ready();
    refuseUndeclared(routes.all());
    // Last, so that handlers find everything they use at work.
    await app.startAllMicroservices();
  } catch (error) {
    await app.close();
    throw error;
  }
  return new NestService(definition, context, application);
};

const refuseUndeclared = (routes: readonly Route[]): void => {
  const undeclared = routes.filter(({ access }) => access === undefined).map(({ method, path }) => `${method} ${path}`);
  if (undeclared.length > 0)
    throw new Error(`Every route declares its permission, or that it is public: ${undeclared.join(', ')}`);
};

const addHealthChecks = <Config>({ health, database, bus, eventStore, verifier }: ServiceContext<Config>): void => {
  health.add('database', () => database.ping());
  health.add('bus', () => bus.ping());
  health.add('event-store', () => eventStore.ping());
  for (const issuer of verifier.issuers)
    if (issuer.check) health.add('issuer', () => issuer.check?.() ?? Promise.resolve());
};

class NestService<Config> implements RunningService {
  readonly name: string;
  private underWay = 0;
  private closing: Promise<void> | null = null;
  private document: OpenAPIObject | null = null;
  private readonly doors: HttpDoor[] = [];

  constructor(
    private readonly definition: ServiceDefinition<Config>,
    private readonly context: ServiceContext<Config>,
    private readonly application: Application,
  ) {
    this.name = definition.name;
  }

  get metrics(): ServiceContext<Config>['metrics'] {
    return this.context.metrics;
  }

  get routes(): RunningService['routes'] {
    return this.application.routes.all();
  }

  get openapi(): OpenAPIObject {
    const { name, description } = this.definition;
    const { app, routes } = this.application;
    this.document ??= openApiOf(app, routes, { title: `Vafa ${name}`, description, version: VERSION });
    return this.document;
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    if (this.closing) return refuse(response);
    this.underWay++;
    response.once('close', () => this.underWay--);
    this.application.fastify.routing(request, response);
  }

  ready(): ReturnType<ServiceContext<Config>['health']['report']> {
    return this.context.health.report();
  }

  get<T>(provider: Parameters<RunningService['get']>[0]): T {
    return this.application.app.get<T>(provider, { strict: false });
  }

  async listen(port: number, host: string): Promise<{ port: number; url: string }> {
    const door = new HttpDoor((request, response) => this.handle(request, response));
    const address = await door.listen(port, host);
    this.doors.push(door);
    return address;
  }

  close(): Promise<void> {
    this.closing ??= this.stop();
    return this.closing;
  }

  private async stop(): Promise<void> {
    this.context.health.stop();
    await Promise.all(this.doors.map((door) => door.close()));
    await this.drain();
    // Before the module's own workers, which its handlers may be waiting for.
    await Promise.all(this.application.app.getMicroservices().map((consumer) => consumer.close()));
    await this.application.app.close();
  }

  private async drain(): Promise<void> {
    const deadline = performance.now() + DRAIN_MS;
    while (this.underWay > 0 && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    if (this.underWay > 0) this.context.logger.warn({ underWay: this.underWay }, 'requests were cut off');
  }
}

const refuse = (response: ServerResponse): void => {
  response.writeHead(503, { 'content-type': PROBLEM_TYPE, 'retry-after': '1', connection: 'close' });
  response.end(problemBody(new ProblemException(PROBLEMS.unavailable, { detail: 'The service is stopping.' }), 'en'));
};
