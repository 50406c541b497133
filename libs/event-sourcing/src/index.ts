export * from './decider.js';
export { DeadlinePassedError, DeciderRunner, type DeciderRunnerOptions, type RunOptions } from './decider-runner.js';
export {
  EventCodec,
  UnknownEventError,
  type DecodedEvent,
  type DomainEvent,
  type EventForm,
  type EventMetadata,
  type JsonObject,
  type JsonValue,
  type Upcaster,
} from './event-codec.js';
export { eventIdOf } from './event-id.js';
export * from './event-store.js';
export { EventStoreDbEventStore, type EventStoreDbOptions } from './eventstoredb/eventstoredb-event-store.js';
export { connectionStringFault } from './eventstoredb/connection-string.js';
export type { AppendDone } from './eventstoredb/appender.js';
export {
  LogReader,
  READER_PAGE_SIZE_MAX,
  type LogReaderOptions,
  type LogReaderState,
  type PageApplied,
  type Projection,
} from './log-reader.js';
export {
  INSTALLATION_STREAM,
  STORE_NAMES,
  claim,
  installationOf,
  readHome,
  requireHomeInEventStoreDb,
  requireHomeInPostgres,
  type LedgerHome,
  type LedgerStore,
} from './ledger-home.js';
export * from './ledger-move.js';
export { LruMap } from './lru-map.js';
export { MemoryEventStore, MemoryLog } from './memory/memory-event-store.js';
export { addCheckpointGeneration, CheckpointMovedError, createCheckpointTable } from './checkpoint.js';
export {
  createRebuildTable,
  Rebuild,
  type RebuildOptions,
  type RebuildProgress,
  type RebuildState,
} from './rebuild.js';
export { eventStoreMigrations } from './postgres/migrations.js';
export type { AppendGroup } from './postgres/group-writer.js';
export { PostgresEventStore, type PostgresEventStoreOptions } from './postgres/postgres-event-store.js';
export { ReaderWatch, type ReaderLag, type ReaderWatchOptions } from './reader-watch.js';
export { StateCache, type StreamState } from './state-cache.js';
export type { CommandOutcome, CommittedEvent, StreamCommand } from './stream-work.js';
