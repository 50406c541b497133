// A real Kafka for benchmarks: the brokers of VAFA_TEST_KAFKA_BROKERS, else one that is started on free ports by the script of VAFA_ENGINES
// (../shared/engines unless told) and cleaned away afterwards.
import { KafkaEngine, kafkaScript } from '../load/kafka-engine.mjs';

/**
 * @returns {Promise<{ brokers: string[], close(): Promise<void> } | undefined>} undefined where there is none
 */
export async function openKafka() {
  const given = process.env.VAFA_TEST_KAFKA_BROKERS ?? '';
  if (given !== '') return { brokers: given.split(','), close: async () => undefined };
  if (kafkaScript() === undefined) return undefined;
  const engine = new KafkaEngine({ nodes: 1 });
  await engine.start();
  return { brokers: engine.brokers, close: () => engine.dispose() };
}
