import type { Querier } from '@vafa/persistence';
import type { Principal, Role } from '../auth/permissions.js';
import type { AuditAction } from './actions.js';

/** Characters of a reason at most. */
export const REASON_LENGTH_MAX = 1_000;
/** Entries of a page at most. */
export const AUDIT_PAGE_SIZE_MAX = 500;

const SUBJECT_LENGTH_MAX = 1_024;
const DETAILS_LENGTH_MAX = 65_536;

/** Who did something: a caller of the API, or `operator` for somebody at the command line of the installation itself. */
export type Actor = Pick<Principal, 'subject' | 'clientId'> & {
  readonly role: Role | 'operator';
  /** The request that it was done by, as in `x-request-id` and the log; null where it was none. */
  readonly requestId: string | null;
};

/** What is recorded of an act: ids, codes and numbers, never names, contacts or what a person wrote about themselves. */
export type AuditRecord = {
  readonly actor: Actor;
  readonly action: AuditAction;
  /** What it was done to, 1 to 1,024 characters: `<kind>:<id>`, e.g. `member:<uuid>`, `purchase:<source>/<purchaseId>`. */
  readonly subject: string;
  /** Why, in the actor's own words, up to `REASON_LENGTH_MAX` characters. */
  readonly reason?: string | null;
  /** What else tells the act from another of its kind: JSON of 64 Ki characters at most. */
  readonly details?: Readonly<Record<string, unknown>>;
};

/** An entry as it is read. */
export type AuditEntry = {
  /** Grows with every entry; gaps mean acts that were rolled back. */
  readonly id: number;
  /** System time, a canonical UTC instant. */
  readonly recordedAt: string;
  readonly actor: Actor;
  /** The service that carried it out, or `cli`. */
  readonly service: string;
  readonly action: string;
  readonly subject: string;
  readonly reason: string | null;
  readonly details: Readonly<Record<string, unknown>>;
};

export type AuditFilter = {
  readonly action?: string | undefined;
  readonly subject?: string | undefined;
  /** The actor's subject. */
  readonly actor?: string | undefined;
  readonly role?: string | undefined;
  /** From this instant on, RFC 3339. */
  readonly from?: string | undefined;
  /** Before this instant, RFC 3339. */
  readonly to?: string | undefined;
  /** Entries older than this one. */
  readonly before?: number | undefined;
  /** 1 to `AUDIT_PAGE_SIZE_MAX`. */
  readonly limit: number;
};

const INSERT = `
  insert into audit.entries
    (actor_subject, actor_role, actor_client, request_id, service, action, subject, reason, details)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`;

const SELECT = `
  select id, to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as recorded_at,
    json_build_object('subject', actor_subject, 'role', actor_role, 'clientId', actor_client, 'requestId', request_id) as actor,
    service, action, subject, reason, details
  from audit.entries
  where ($1::text is null or action = $1) and ($2::text is null or subject = $2)
    and ($3::text is null or actor_subject = $3) and ($4::text is null or actor_role = $4)
    and ($5::timestamptz is null or recorded_at >= $5) and ($6::timestamptz is null or recorded_at < $6)
    and ($7::bigint is null or id < $7)
  order by id desc limit $8`;

/** The append-only record of what staff did. */
export class Audit {
  /** @param service that carries the acts out, as its entries say. */
  constructor(
    private readonly service: string,
    private readonly database: Querier,
  ) {}

  /**
   * Records an act in `work`, the transaction of the act itself, so that there is neither one without the other.
   * @throws RangeError for what is longer than it may be, and whatever the database says; the act is then not to be done.
   */
  async record(work: Querier, { actor, action, subject, reason = null, details = {} }: AuditRecord): Promise<void> {
    const text = JSON.stringify(details);
    assertLength('subject', subject, 1, SUBJECT_LENGTH_MAX);
    assertLength('details', text, 2, DETAILS_LENGTH_MAX);
    if (reason !== null) assertLength('reason', reason, 1, REASON_LENGTH_MAX);
    const { subject: by, role, clientId, requestId } = actor;
    await work.query(INSERT, [by, role, clientId, requestId, this.service, action, subject, reason, text]);
  }

  /** A page of the entries that a filter lets through, the latest first. `next` is for `before` of the next page, null on the last one. */
  async list(filter: AuditFilter): Promise<{ entries: AuditEntry[]; next: number | null }> {
    const { action, subject, actor, role, from, to, before, limit } = filter;
    if (!Number.isInteger(limit) || limit < 1 || limit > AUDIT_PAGE_SIZE_MAX)
      throw new RangeError(`limit must be 1 to ${AUDIT_PAGE_SIZE_MAX}`);
    // PostgreSQL knows fewer offsets than RFC 3339: it is asked in UTC.
    const times = [from, to].map((time) => (time === undefined ? undefined : Temporal.Instant.from(time).toString()));
    const given = [action, subject, actor, role, ...times, before].map((value) => value ?? null);
    const rows = await this.database.query<Omit<AuditEntry, 'recordedAt'> & { recorded_at: string }>(SELECT, [
      ...given,
      limit + 1,
    ]);
    const entries = rows
      .slice(0, limit)
      .map(({ id, recorded_at: at, ...entry }) => ({ id, recordedAt: Temporal.Instant.from(at).toString(), ...entry }));
    return { entries, next: rows.length > limit ? (entries.at(-1)?.id ?? null) : null };
  }
}

const assertLength = (name: string, text: string, min: number, max: number): void => {
  if (text.length < min || text.length > max || text.includes('\0'))
    throw new RangeError(`The ${name} of an audit entry has ${min} to ${max} characters, none of them U+0000`);
};
