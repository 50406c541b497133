import type { FastifyInstance } from 'fastify';
import type { HttpParts } from './application.js';

const PUBLIC = { config: { access: 'public' as const } };

/** The routes for those who run the service: alive, ready, metrics. They need no token and say nothing of anybody. */
export const registerOperations = (fastify: FastifyInstance, parts: HttpParts): void => {
  fastify.get('/health/live', PUBLIC, async () => ({ live: true }));
  fastify.get('/health/ready', PUBLIC, async (_request, reply) => {
    const report = await parts.health.report();
    return reply.code(report.ready ? 200 : 503).send(report);
  });
  fastify.get('/metrics', PUBLIC, async (_request, reply) =>
    reply.type(parts.metrics.contentType).send(await parts.metrics.content()),
  );
};
