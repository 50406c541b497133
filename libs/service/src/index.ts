export { Accepts, BATCH_BYTES_MAX, BODY_BYTES_MAX, BodyLimit } from './http/bodies.js';
export { CLOUD_EVENTS_BATCH_TYPE, CLOUD_EVENT_TYPE, JSON_TYPE } from './http/bodies.js';
export { AUDIT_ACTIONS, type AuditAction } from './audit/actions.js';
export { AUDIT_PAGE_SIZE_MAX, Audit, REASON_LENGTH_MAX } from './audit/audit.js';
export type { Actor, AuditEntry, AuditFilter, AuditRecord } from './audit/audit.js';
export { AuditController } from './audit/audit.controller.js';
export { IsReason } from './audit/reason.js';
export {
  CurrentActor,
  CurrentPrincipal,
  Permission,
  Public,
  actorOf,
  ensureReaches,
  type Access,
} from './auth/access.js';
export { EMBEDDED_ISSUER, EmbeddedIssuer, type MintRequest } from './auth/issuer.js';
export { PERMISSIONS, ROLES, allows, isStaff, reaches } from './auth/permissions.js';
export type { PermissionName, Principal, Role } from './auth/permissions.js';
export { IssuerFault } from './auth/fetch-json.js';
export { OidcIssuer, type OidcOptions } from './auth/oidc.js';
export { oidcConfig, oidcOptions } from './auth/oidc-settings.js';
export { openVerifier } from './auth/open-verifier.js';
export { unauthenticated } from './auth/unauthenticated.js';
export { TokenVerifier, type TrustedIssuer } from './auth/verifier.js';
export { ClockRefusal, FixedClock, type Clock } from './clock/clock.js';
export { DatabaseClock, type DatabaseClockOptions } from './clock/database-clock.js';
export { SERVICE_ROLE, serviceMigrations } from './clock/migrations.js';
export { DeadLetterDesk } from './dead-letters/dead-letter-desk.js';
export { DeadLettersController } from './dead-letters/dead-letters.controller.js';
export { ConfigError, defineConfig, listSettings, readConfigs, registeredSettings } from './config.js';
export { setting, unknownSettings } from './config.js';
export { boolean, hex, integer, listOf, oneOf, text, url, withoutPassword } from './config.js';
export type { ConfigDefinition, ConfigOf, ConfigProblem, Environment } from './config.js';
export type { Parser, Setting, SettingListing } from './config.js';
export type { RunningService, ServiceContext, ServiceDefinition } from './definition.js';
export { Health, type CheckResult, type HealthCheck, type HealthFigures, type HealthReport } from './health.js';
export { decodeCursor, encodeCursor } from './http/cursor.js';
export { idempotencyKey, preferredLanguage, preferredWaitMs, requiredIdempotencyKey } from './http/headers.js';
export { httpConfig, type HttpConfig } from './http/http-settings.js';
export { NO_RATE_LIMITS, type RateLimits } from './http/rate-limits.js';
export { HttpDoor, type RequestListener } from './http/http-door.js';
export { JSON_DEPTH_MAX, escapePointer, parseJson } from './http/json.js';
export { PROBLEMS, PROBLEM_TYPE, ProblemException, defineProblems, problemBody, problemType } from './http/problems.js';
export type { FieldError, Language, ProblemKind, ProblemMore } from './http/problems.js';
export type { Route } from './http/route-table.js';
export { FieldsPipe, fieldErrors } from './http/validation.js';
export { Installation, migrateInstallation, migrationSets, type InstallationOptions } from './installation.js';
export { chooseEventStoreDb, eventStoreDbConfig, type EventStoreDbChoice } from './event-store-db.js';
export { chooseKafka, kafkaConfig, type KafkaChoice } from './kafka.js';
export { keyFile, openDeadLetterKey } from './key-file.js';
export { createLogger, silentLogger, type LogLevel, type Logger, type LoggerOptions } from './logger.js';
export { Metrics } from './metrics.js';
export { editDistance, nearest } from './nearest.js';
export type { RunFile } from './run-file.js';
export { EXIT, runService } from './run-service.js';
export { commonConfig, deadLetterSettings, serviceConfig, type CommonConfig, type ServiceConfig } from './settings.js';
export { startService } from './start-service.js';
export { stopSignal, type StopSignal } from './stop-signal.js';
