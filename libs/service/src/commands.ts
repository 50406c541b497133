// What a command needs of this library and a service has besides: loaded without the framework, which takes longer to load
// than most commands take to run.
export { Audit, type AuditRecord } from './audit/audit.js';
export { EMBEDDED_ISSUER, EmbeddedIssuer, type MintRequest } from './auth/issuer.js';
export { ROLES, type Role } from './auth/permissions.js';
export { ClockRefusal, type Clock } from './clock/clock.js';
export { DatabaseClock } from './clock/database-clock.js';
export { listSettings, unknownSettings, type SettingListing } from './config.js';
export { silentLogger } from './logger.js';
export { claim, copyLog, placeAfter, proveLog, requireSame } from '@vafa/event-sourcing';
export type { LogProof, Place, Position } from '@vafa/event-sourcing';
export { openLedger, type OpenLedger } from './open-ledger.js';
export type { RunFile } from './run-file.js';
export { commonConfig, serviceConfig } from './settings.js';
