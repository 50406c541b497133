import { isNativeError } from 'node:util/types';
import { EventStoreUnavailableError } from '../event-store.js';

/** What an operator has to look at when the store does not answer as it should. */
export const SETTING = 'VAFA_EVENTSTOREDB_URL';

/** No answer came in time. */
export class DeadlineExceededError extends Error {
  override readonly name = 'DeadlineExceededError';
}

export type FailureKind =
  /** It may go well the next time; whether something was written is not known. */
  'passing' | 'conflict' | 'not-found' | 'deleted' | 'denied' | 'too-large' | 'certificate' | 'other';

/** gRPC's codes: CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, INTERNAL, UNAVAILABLE. */
const PASSING_CODES = new Set([1, 4, 8, 10, 13, 14]);
const PASSING_TYPES = new Set(['unavailable', 'deadline-exceeded', 'timeout', 'cancelled', 'not-leader']);
/** What the client and the server say in words only. */
const PASSING_WORDS =
  /not ready|too busy|is busy|no leader info|failed to discover|channel has been (shut down|closed)|write after end|cancelled on client/i;
const CERTIFICATE_WORDS =
  /certificate|self-signed|self signed|unable to verify|altnames|wrong version number|EPROTO|ssl|TLS ServerName/i;

const text = (error: unknown, name: string): string => {
  const value: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, name) : undefined;
  return typeof value === 'string' ? value : '';
};

const code = (error: unknown): number => {
  const value: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : undefined;
  return typeof value === 'number' ? value : 0;
};

/** The errors of client and transport come in several shapes and from several realms: they are told apart by what they say. */
export const kindOf = (error: unknown): FailureKind => {
  const type = text(error, 'type');
  const words = isNativeError(error) ? error.message : text(error, 'message');
  if (type === 'wrong-expected-version') return 'conflict';
  if (type === 'stream-not-found') return 'not-found';
  if (type === 'stream-deleted') return 'deleted';
  if (type === 'access-denied' || code(error) === 7 || code(error) === 16) return 'denied';
  if (type === 'maximum-append-size-exceeded') return 'too-large';
  if (error instanceof DeadlineExceededError) return 'passing';
  if (CERTIFICATE_WORDS.test(words) && code(error) === 14) return 'certificate';
  if (PASSING_TYPES.has(type) || PASSING_CODES.has(code(error)) || PASSING_WORDS.test(words)) return 'passing';
  // The batch path answers what it has no words for with an error that has neither code nor message.
  if (type === 'unknown') return 'passing';
  return 'other';
};

const reasonOf = (error: unknown): string => {
  const words = isNativeError(error) ? error.message : text(error, 'message');
  return words === '' ? text(error, 'type') || 'no reason given' : words;
};

/** A sentence for what a person has to put right, with the client's error as cause; never the connection string, which holds a password. */
export const explained = (error: unknown): Error => {
  switch (kindOf(error)) {
    // Both may befall a store that was let in before: a rotated password or a certificate that ran out is an outage, and no fault of the work.
    case 'denied':
      return new EventStoreUnavailableError(
        `EventStoreDB does not let us in: check user and password in ${SETTING}, and that the user may read $all`,
        { cause: error },
      );
    case 'certificate':
      return new EventStoreUnavailableError(
        `The certificate of EventStoreDB is not trusted, or it speaks no TLS (${reasonOf(error)}): ` +
          `name its authority by tlsCAFile in ${SETTING}, or say tls=false there`,
        { cause: error },
      );
    case 'passing':
      return new EventStoreUnavailableError(
        `EventStoreDB does not answer (${reasonOf(error)}): check that it runs and that ${SETTING} names it`,
        { cause: error },
      );
    case 'conflict':
    case 'not-found':
    case 'deleted':
    case 'too-large':
    case 'other':
    default:
      return isNativeError(error) ? error : new Error(reasonOf(error), { cause: error });
  }
};

/** Someone with rights to it has removed a stream of the ledger, which nothing of ours does. */
export const deletedStream = (streamId: string, cause?: unknown): Error =>
  new Error(`The stream ${streamId} was deleted or truncated in EventStoreDB: restore it from a backup`, { cause });
