import { isNativeError } from 'node:util/types';

/** SQLSTATE classes and codes after which the same work may succeed: connection, resources, server going down or coming up, lost races. */
const TRANSIENT_CLASSES = ['08', '53'];
const TRANSIENT_CODES = new Set(['57P01', '57P02', '57P03', '57P05', '25P03', '40001', '40P01', '55P03']);
const TRANSIENT_SYSTEM_CODES = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);
/** What the driver says in words only; and TypeORM, which lets go of a connection that breaks between two statements. */
const TRANSIENT_MESSAGES =
  /connection terminated|connection error and is not queryable|timeout exceeded when trying to connect|timeout expired|client was closed and is not queryable|connection ended|query runner already released/i;

/**
 * True where the failure is one of the connection or of the moment (connection lost, server starting or stopping, too many connections,
 * deadlock, serialization) and not of the statement. What was under way may or may not have been committed: repeat only what can be repeated.
 */
export const isTransient = (error: unknown): boolean => {
  if (error instanceof AggregateError) return error.errors.some(isTransient);
  // Whatever realm it comes from: `instanceof` knows only our own.
  if (!isNativeError(error)) return false;
  // Our own errors of other parts say it themselves.
  if ('isTransient' in error && error.isTransient === true) return true;
  const code: unknown = 'code' in error ? error.code : undefined;
  if (typeof code === 'string') {
    if (TRANSIENT_CODES.has(code) || TRANSIENT_SYSTEM_CODES.has(code)) return true;
    if (code.length === 5 && TRANSIENT_CLASSES.includes(code.slice(0, 2))) return true;
  }
  if (TRANSIENT_MESSAGES.test(error.message)) return true;
  // TypeORM wraps the driver's error; our own errors name theirs as cause.
  const inner: unknown = 'driverError' in error ? error.driverError : error.cause;
  return inner !== undefined && inner !== error && isTransient(inner);
};
