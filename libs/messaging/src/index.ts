export * from './message-bus.js';
export { MemoryMessageBus, type MemoryMessageBusOptions } from './memory/memory-message-bus.js';
export { murmur2, Partitioner, partitionOfKey } from './partitioner.js';
export { messagingMigrations } from './postgres/migrations.js';
export { PostgresMessageBus, type PostgresMessageBusOptions } from './postgres/postgres-message-bus.js';
