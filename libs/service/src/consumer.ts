import { decodeMessage } from '@vafa/contracts';
import { VafaTransport, type DeadLetters, type LetterSummary } from '@vafa/messaging';
import type { ServiceContext, ServiceDefinition } from './definition.js';
import type { Logger } from './logger.js';
import type { Metrics } from './metrics.js';

/** The transport that hands a service's topics to its handlers, with its metrics and its place in readiness. */
export const createConsumer = <Config>(
  definition: ServiceDefinition<Config>,
  { bus, deadLetters, eventStore, logger, metrics, health }: ServiceContext<Config>,
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
    areWell: () => eventStore.ping(),
    onDeadLetters: (letters) => {
      for (const { topic, kind } of letters) dead.inc({ topic, kind });
      tellLetters(logger, letters);
    },
    onStopped: (err) => logger.error({ err }, 'partitions stand still'),
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
  metrics.gauge({
    name: 'vafa_consumer_stopped_partitions',
    help: 'Partitions that stand still, since no further dead letter is kept',
    collect: (gauge) => gauge.set(transport.stoppedPartitions),
  });
  watchLetters(metrics, deadLetters, group);
  health.add('consumer', async () => {
    const lag = await transport.lag();
    const messagesBehind = [...lag.values()].reduce((sum, one) => sum + one, 0);
    // Told, but no reason to be taken out of service: it is over HTTP that letters are settled, and the others' partitions go on.
    return { messagesBehind, stoppedPartitions: transport.stoppedPartitions };
  });
  return transport;
};

/** Reasons of a page that are told; all of them stand with their letters. */
const REASONS_TOLD_MAX = 5;

/** One line for what a page sent there: a sender who breaks the contract breaks it with every message. */
export const tellLetters = (
  logger: Logger,
  letters: readonly { readonly topic: string; readonly kind: string; readonly reason: string }[],
): void => {
  const topics = [...new Set(letters.map(({ topic }) => topic))];
  const kinds = Object.fromEntries(
    [...Map.groupBy(letters, ({ kind }) => kind)].map(([kind, some]) => [kind, some.length]),
  );
  const reasons = [...new Set(letters.map(({ reason }) => reason))].slice(0, REASONS_TOLD_MAX);
  const messages = letters.length === 1 ? 'a message' : `${letters.length} messages`;
  logger.warn({ topics, kinds, reasons }, `${messages} went to the dead letters`);
};

/** A scrape asks once for both. */
const SUMMARY_KEPT_MS = 1_000;

/** How many letters wait and for how long. What no longer waits is no longer told of. */
const watchLetters = (metrics: Metrics, deadLetters: DeadLetters, group: string): void => {
  let kept: { readonly at: number; readonly summary: Promise<LetterSummary[]> } | undefined;
  const summary = (): Promise<LetterSummary[]> => {
    const at = performance.now();
    if (kept === undefined || at - kept.at > SUMMARY_KEPT_MS) kept = { at, summary: deadLetters.summary(group) };
    return kept.summary;
  };
  const gauge = (name: string, help: string, figure: (one: LetterSummary) => number): void =>
    void metrics.gauge({
      name,
      help,
      labels: ['topic', 'kind'],
      collect: async (shown) => {
        const found = await summary();
        shown.reset();
        for (const one of found) shown.set({ topic: one.topic, kind: one.kind }, figure(one));
      },
    });
  gauge('vafa_dead_letters_open', 'Dead letters that are neither replayed nor discarded', ({ open }) => open);
  gauge('vafa_dead_letters_oldest_seconds', 'Age of the oldest of them', ({ oldestSeconds }) => oldestSeconds);
};
