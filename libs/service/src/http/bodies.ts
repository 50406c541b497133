import { applyDecorators } from '@nestjs/common';
import { ApiConsumes } from '@nestjs/swagger';
import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify';
import { parseJson } from './json.js';
import { PROBLEMS, ProblemException } from './problems.js';
import { routeConfig } from './route-config.js';

export const JSON_TYPE = 'application/json';
export const CLOUD_EVENT_TYPE = 'application/cloudevents+json';
export const CLOUD_EVENTS_BATCH_TYPE = 'application/cloudevents-batch+json';

/** One event, and any other body, in bytes. */
export const BODY_BYTES_MAX = 256 * 1024;
/** A batch of events in bytes: 1,000 events of the usual size many times over, but not 1,000 of the largest. */
export const BATCH_BYTES_MAX = 32 * 1024 * 1024;

type BodyType = typeof JSON_TYPE | typeof CLOUD_EVENT_TYPE | typeof CLOUD_EVENTS_BATCH_TYPE;

/** The content types a route takes; without it only `application/json`. Any other is answered with 415. */
export const Accepts = (...types: readonly BodyType[]): MethodDecorator =>
  applyDecorators(ApiConsumes(...types), routeConfig({ accepts: types }));

/** The bytes a route's body may have, where that is not `BODY_BYTES_MAX`. A larger one is answered with 413, unread. */
export const BodyLimit = (bytes: number): MethodDecorator => routeConfig({ bodyBytesMax: bytes });

/** Teaches Fastify our content types, the limits of each route, and to keep the raw bytes beside what was parsed. */
export const registerBodies = (fastify: FastifyInstance): void => {
  fastify.decorateRequest('rawBody', null);
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser(
    [JSON_TYPE, CLOUD_EVENT_TYPE, CLOUD_EVENTS_BATCH_TYPE],
    { parseAs: 'buffer' },
    (request, body, done) => {
      try {
        request.rawBody = body as Buffer;
        done(null, parseJson(request.rawBody));
      } catch (error) {
        done(error as Error);
      }
    },
  );
  fastify.addHook('onRoute', (route) => {
    const limit = route.config?.bodyBytesMax;
    if (limit !== undefined) route.bodyLimit = limit;
  });
  fastify.addHook('onRequest', refuseOtherTypes);
};

const ONLY_JSON: readonly string[] = [JSON_TYPE];
const WITH_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

const refuseOtherTypes = (request: FastifyRequest, _reply: FastifyReply, done: HookHandlerDoneFunction): void => {
  if (request.headers['content-encoding'] !== undefined) return done(refusedEncoding());
  const given = request.headers['content-type'];
  if (given === undefined || request.is404 || !WITH_BODY.has(request.method)) return done();
  const accepted = request.routeOptions.config.accepts ?? ONLY_JSON;
  if (accepted.includes(given)) return done();
  const type = given.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (accepted.includes(type)) return done();
  done(
    new ProblemException(PROBLEMS['unsupported-media-type'], {
      detail: `This takes ${accepted.join(', ')}.`,
      headers: { accept: accepted.join(', ') },
    }),
  );
};

const refusedEncoding = (): ProblemException =>
  new ProblemException(PROBLEMS['unsupported-media-type'], {
    detail: 'Bodies are taken as they are, without a Content-Encoding.',
    headers: { 'accept-encoding': 'identity' },
  });
