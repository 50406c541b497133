import { decodeMessage } from '@vafa/contracts';
import { VafaTransport } from '@vafa/messaging';
import type { ServiceContext, ServiceDefinition } from './definition.js';

/** The transport that hands a service's topics to its handlers, with its metrics and its place in readiness. */
export const createConsumer = <Config>(
  definition: ServiceDefinition<Config>,
  { bus, deadLetters, logger, metrics, health }: ServiceContext<Config>,
): VafaTransport => {
  const { topics, group, ignoredTypes = [] } = definition;
  const dead = metrics.counter({
    name: 'vafa_dead_letters_total',
    help: 'Messages that went to the dead letters',
    labels: ['topic', 'kind'],
  });
  const transport = new VafaTransport({
    bus,
    group,
    topics,
    ignoredTypes,
    deadLetters,
    decode: decodeMessage,
    onDeadLetters: (letters) => {
      for (const { topic, kind, reason } of letters) {
        dead.inc({ topic, kind });
        logger.warn({ topic, kind, reason }, 'a message went to the dead letters');
      }
    },
    onError: (err) => logger.warn({ err }, 'a message could not be handled'),
  });
  metrics.gauge({
    name: 'vafa_consumer_lag_messages',
    help: 'Messages not yet taken',
    labels: ['group', 'topic'],
    collect: async (gauge) => {
      for (const [topic, lag] of await transport.lag()) gauge.set({ group, topic }, lag);
    },
  });
  health.add('consumer', async () => {
    const lag = await transport.lag();
    return { messagesBehind: [...lag.values()].reduce((sum, one) => sum + one, 0) };
  });
  return transport;
};
