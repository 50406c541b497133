export * from './decider.js';
export * from './event-store.js';
export { MemoryEventStore, MemoryLog } from './memory/memory-event-store.js';
export { eventStoreMigrations } from './postgres/migrations.js';
export { PostgresEventStore } from './postgres/postgres-event-store.js';
