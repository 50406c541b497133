export * from './message-bus.js';
export { MemoryMessageBus, type MemoryMessageBusOptions } from './memory/memory-message-bus.js';
export { murmur2, Partitioner, partitionOfKey } from './partitioner.js';
export { messagingMigrations } from './postgres/migrations.js';
export { PostgresMessageBus, type PostgresMessageBusOptions } from './postgres/postgres-message-bus.js';
export { connectTransport, HandlerErrorFilter, inWords, isTransientFailure } from './nest/handler-errors.js';
export { EventPagePattern } from './nest/event-page-pattern.js';
export { HandlerTimeout } from './nest/handler-call.js';
export { InboundContext, type Decode, type Decoded, type InboundEvent } from './nest/inbound.js';
export { VafaTransport, type VafaTransportOptions } from './nest/vafa-transport.js';
export {
  DEAD_LETTER_RETENTION_MS,
  DeadLetters,
  LETTERS_PER_LIST_MAX,
  type DeadLetter,
  type LetterFilter,
  type LetterKind,
  type LetterStatus,
  type NewLetter,
  type ParkedKey,
} from './postgres/dead-letters.js';
export type { LetterContent } from './postgres/letter-content.js';
export { REPLAY_HEADER, type Replay } from './replay-header.js';
export { enqueueEvents, type UnsequencedEvent } from './sequences.js';
