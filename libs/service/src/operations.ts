import type { FastifyInstance } from 'fastify';
import type { ServiceContext } from './definition.js';

const PUBLIC = { config: { access: 'public' as const } };

/** The routes for those who run the service: alive, ready, metrics. They need no token and say nothing of anybody. */
export const registerOperations = (
  fastify: FastifyInstance,
  parts: Pick<ServiceContext<unknown>, 'health' | 'metrics'>,
): void => {
  fastify.get('/health/live', PUBLIC, async () => ({ live: true }));
  fastify.get('/health/ready', PUBLIC, async (_request, reply) => {
    const report = await parts.health.report();
    return reply.code(report.ready ? 200 : 503).send(report);
  });
  fastify.get('/metrics', PUBLIC, async (_request, reply) =>
    reply.type(parts.metrics.contentType).send(await parts.metrics.content()),
  );
};
