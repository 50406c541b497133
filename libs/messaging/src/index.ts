export * from './message-bus.js';
export { MemoryMessageBus, type MemoryMessageBusOptions } from './memory/memory-message-bus.js';
export { murmur2, Partitioner, partitionOfKey } from './partitioner.js';
