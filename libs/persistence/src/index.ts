export { ArchiveError, ArchiveReader, ArchiveWriter, freeBytes } from './archive/archive-file.js';
export { dumpDatabase, type Manifest } from './archive/dump.js';
export { checkArchive, loadDatabase, readManifest, type LoadOptions } from './archive/load.js';
export { assertName, connectClient, parseInt8, type ConnectionOptions } from './connection.js';
export { copyCell, copyLine, copyRows, copyStatement, quoteName } from './copy.js';
export { Database, type DatabaseOptions, type Querier } from './database.js';
export { ANALYST_ROLE, ANALYTICS_SCHEMA, migrate, type MigrateOptions, type MigrationSet } from './migrate.js';
export { OrderedLog, type OrderedLogOptions, type ReadLog } from './ordered-log.js';
export { pause } from './pause.js';
export { isTransient } from './transient.js';
export type { CopyCell, CopyColumns, UnitOfWork } from './unit-of-work.js';
export {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
} from './embedded/embedded-postgres.js';
export { freePort } from './embedded/free-port.js';
export { fileProblem, StartupError } from './embedded/startup-error.js';
export {
  SERVICE_SESSIONS,
  StalledSessions,
  type StalledSession,
  type StalledSessionsOptions,
} from './stalled-sessions.js';
export { acquireSessionLock, type SessionLock } from './session-lock.js';
export { whileAlive } from './while-alive.js';
export {
  createTwins,
  dropTwins,
  finishTwins,
  olderReaders,
  SwapBusyError,
  swapTwins,
  type Twins,
  type TwinTable,
} from './twin-tables.js';
