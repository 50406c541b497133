import { randomBytes } from 'node:crypto';
import { inTrace } from '@vafa/messaging';
import type { IncomingMessage } from 'node:http';
import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { identityHook, permissionHook } from './auth/access.js';
import type { ServiceContext } from './definition.js';
import { BODY_BYTES_MAX, registerBodies } from './http/bodies.js';
import { ProblemFilter } from './http/problem-filter.js';
import { RateLimiter } from './http/rate-limits.js';
import { RouteTable } from './http/route-table.js';
import { FieldsPipe } from './http/validation.js';
import { nestLogger } from './nest-logger.js';
import { registerOperations } from './operations.js';

const PATH_PARAMETER_LENGTH_MAX = 512;

/** What the HTTP side of a service needs. */
type HttpParts = Pick<ServiceContext<unknown>, 'verifier' | 'http' | 'logger' | 'metrics' | 'health'>;

export type Application = {
  readonly app: NestFastifyApplication;
  readonly fastify: FastifyInstance;
  readonly routes: RouteTable;
};

/** A Nest application on Fastify with our doors: access, bodies, validation, problems, health and metrics. Not yet initialised. */
export const createApplication = async (module: DynamicModule, parts: HttpParts): Promise<Application> => {
  const routes = new RouteTable();
  const filter = new ProblemFilter(parts.logger, routes);
  const adapter = createAdapter(filter, parts.http.trustedProxies);
  const fastify = adapter.getInstance<FastifyInstance>();
  routes.watch(fastify);
  prepareFastify(fastify, parts);
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    logger: nestLogger(parts.logger),
    bodyParser: false,
    abortOnError: false,
  });
  app.useGlobalFilters(filter);
  app.useGlobalPipes(new FieldsPipe());
  return { app, fastify, routes };
};

const createAdapter = (filter: ProblemFilter, trustedProxies: readonly string[]): FastifyAdapter => {
  const prefix = randomBytes(6).toString('base64url');
  let count = 0;
  return new FastifyAdapter({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    trustProxy: trustedProxies.length > 0 && [...trustedProxies],
    // No Nest middleware is used, and every request would pay for its absence.
    skipMiddie: true,
    routerOptions: { maxParamLength: PATH_PARAMETER_LENGTH_MAX, ignoreTrailingSlash: true },
    genReqId: ({ headers }: IncomingMessage) =>
      requestId(headers['x-request-id']) ?? traceId(headers['traceparent']) ?? `${prefix}${(count++).toString(36)}`,
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) =>
      filter.answer(error, request, reply),
  });
};

/** A caller's own request id, if it is fit for logs. */
const requestId = (given: string | string[] | undefined): string | null =>
  typeof given === 'string' && /^[\w.:-]{1,64}$/.test(given) ? given : null;

/** The trace of W3C Trace Context that the request belongs to. */
const traceId = (given: string | string[] | undefined): string | null =>
  typeof given === 'string' ? (/^[\da-f]{2}-([\da-f]{32})-[\da-f]{16}-[\da-f]{2}/.exec(given)?.[1] ?? null) : null;

const prepareFastify = (fastify: FastifyInstance, parts: HttpParts): void => {
  fastify.decorateRequest('principal', null);
  fastify.addHook('onRequest', (request, reply, done) => {
    reply.headers({ 'x-request-id': request.id, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    done();
  });
  const limiter = new RateLimiter(parts.http, parts.metrics);
  limiter.register(fastify);
  fastify.addHook('onRequest', identityHook(parts.verifier, parts.logger, limiter));
  fastify.addHook('onRequest', limiter.hook);
  fastify.addHook('onRequest', permissionHook);
  registerBodies(fastify);
  // After the body is read, which would lose it: what a handler publishes belongs to the request's trace.
  fastify.addHook('preHandler', (request, _reply, done) => inTrace(request.headers['traceparent'], done));
  fastify.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unknown';
    parts.metrics.observeRequest(request.method, route, reply.statusCode, reply.elapsedTime / 1_000);
    done();
  });
  registerOperations(fastify, parts);
};
