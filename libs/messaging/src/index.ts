export * from './dead-letters.js';
export * from './message-bus.js';
export { faultOf, KafkaFault, type KafkaFaultKind } from './kafka/kafka-faults.js';
export { KafkaMessageBus, type KafkaMessageBusOptions } from './kafka/kafka-message-bus.js';
export {
  KAFKA_DEFAULTS,
  KAFKA_MECHANISMS,
  KAFKA_SESSION_TIMEOUT_MS,
  type KafkaMechanism,
  type KafkaSasl,
  type KafkaSettings,
  type KafkaTls,
} from './kafka/kafka-settings.js';
export type { KafkaActivity } from './kafka/kafka-subscription.js';
export { MemoryMessageBus, type MemoryMessageBusOptions } from './memory/memory-message-bus.js';
export { murmur2, Partitioner, partitionOfKey } from './partitioner.js';
export { messagingMigrations } from './postgres/migrations.js';
export { PostgresMessageBus, type PostgresMessageBusOptions } from './postgres/postgres-message-bus.js';
export { connectTransport, HandlerErrorFilter } from './nest/connect-transport.js';
export { inWords, isTransientFailure } from './nest/handler-errors.js';
export { EventPagePattern } from './nest/event-page-pattern.js';
export { HandlerTimeout } from './nest/handler-call.js';
export { InboundContext, type Decode, type Decoded, type InboundEvent } from './nest/inbound.js';
export { VafaTransport, type VafaTransportOptions } from './nest/vafa-transport.js';
export { PostgresDeadLetters, type DeadLetterSettings } from './postgres/postgres-dead-letters.js';
export { REPLAY_HEADER, type Replay } from './replay-header.js';
export { inTrace, TRACE_HEADER, traceOf } from './trace-context.js';
export { enqueueEvents, type UnsequencedEvent } from './sequences.js';
