export * from './decider.js';
export { DeadlinePassedError, DeciderRunner } from './decider-runner.js';
export { EventCodec, UnknownEventError } from './event-codec.js';
export { eventIdOf } from './event-id.js';
export * from './event-store.js';
export { LogReader, READER_PAGE_SIZE_MAX } from './log-reader.js';
export { MemoryEventStore, MemoryLog } from './memory/memory-event-store.js';
export { CheckpointMovedError, createCheckpointTable } from './postgres/checkpoints.js';
export { eventStoreMigrations } from './postgres/migrations.js';
export { PostgresEventStore } from './postgres/postgres-event-store.js';
export { StateCache } from './state-cache.js';

//# sourceMappingURL=index.js.map
