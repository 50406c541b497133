import type { Database, UnitOfWork } from '@vafa/persistence';
import { naturalKey } from './outcomes.js';

/**
 * `taken`: its event is in the ledger, or is being written by whoever registered it. `taking`: was waiting and is being taken up.
 * `waiting`: its member is unknown. `anonymous`: nobody's, recorded without points. `refused`: for good, with a reason.
 */
export type ClaimStatus = 'taken' | 'taking' | 'waiting' | 'anonymous' | 'refused';

/** The first thing that came in under a natural key, for ever. */
export type Claim = {
  readonly source: string;
  readonly purchaseId: string;
  /** Names the event that follows from it: decided once, here, so that every repeat writes the same event. */
  readonly claimId: string;
  /** SHA-256 of the canonical content without the member, in hexadecimal. */
  readonly hash: string;
  readonly status: ClaimStatus;
  readonly reason: string | null;
  /** The member as the sender named it. */
  readonly reference: string | null;
  readonly accountId: string | null;
  /** A revision of the account's stream before its event: whoever settles the claim looks for the event from here on. */
  readonly revision: number;
  /** What is kept of the purchase: JSON of its data without member and undeclared attributes. */
  readonly content: string;
};

/** A claim to register, with what the register is searched by. `total` is in minor units of `currency`. */
export type NewClaim = Claim & {
  readonly occurredAt: string;
  readonly receivedAt: string;
  readonly currency: string;
  readonly total: number;
};

/** What came in under a key that already stands for something else. */
export type Conflict = Pick<NewClaim, 'source' | 'purchaseId' | 'hash' | 'content' | 'reference' | 'receivedAt'>;

/** An award as the read models hold it. */
export type Award = { readonly transactionId: string; readonly points: number; readonly explanation: string };

const KIND = 'purchase';
export const TAKE_UP_PAGE_SIZE = 500;

/** The register of everything that came in. Every method is one statement, or two, whatever the number of claims. */
export class Claims {
  constructor(private readonly database: Database) {}

  /** Registers claims whose keys are free, in the caller's transaction. Answers with the claim ids that were. */
  async register(work: UnitOfWork, claims: readonly NewClaim[]): Promise<ReadonlySet<string>> {
    if (claims.length === 0) return new Set();
    const rows = await work.query<{ claim_id: string }>(
      `insert into points.claims (kind, source, natural_id, claim_id, hash, status, reason, reference, account_id, revision, occurred_at, received_at, currency, total, content)
       select '${KIND}', source, natural_id, claim_id, decode(hash, 'hex'), status, reason, reference, account_id, revision, occurred_at, received_at, currency, total, content
       from unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::uuid[], $9::integer[], $10::timestamptz[], $11::timestamptz[], $12::text[], $13::bigint[], $14::text[])
         as page(source, natural_id, claim_id, hash, status, reason, reference, account_id, revision, occurred_at, received_at, currency, total, content)
       on conflict do nothing returning claim_id`,
      [
        claims.map((claim) => claim.source),
        claims.map((claim) => claim.purchaseId),
        claims.map((claim) => claim.claimId),
        claims.map((claim) => claim.hash),
        claims.map((claim) => claim.status),
        claims.map((claim) => claim.reason),
        claims.map((claim) => claim.reference),
        claims.map((claim) => claim.accountId),
        claims.map((claim) => claim.revision),
        claims.map((claim) => claim.occurredAt),
        claims.map((claim) => claim.receivedAt),
        claims.map((claim) => claim.currency),
        claims.map((claim) => claim.total),
        claims.map((claim) => claim.content),
      ],
    );
    return new Set(rows.map((row) => row.claim_id));
  }

  /** The claims that stand under these keys, by `naturalKey`. */
  async find(
    keys: readonly { readonly source: string; readonly purchaseId: string }[],
  ): Promise<ReadonlyMap<string, Claim>> {
    if (keys.length === 0) return new Map();
    const rows = await this.database.query<ClaimRow>(
      `select ${COLUMNS} from unnest($1::text[], $2::text[]) as wanted(source, natural_id)
       join points.claims claim on claim.kind = '${KIND}' and claim.source = wanted.source and claim.natural_id = wanted.natural_id`,
      [keys.map((key) => key.source), keys.map((key) => key.purchaseId)],
    );
    return new Map(rows.map((row) => [naturalKey(row.source, row.natural_id), claimOf(row)]));
  }

  /** Claims that wait, or whose taking up was cut off, for any of these references: oldest purchase first, a page of them. */
  async open(references: readonly string[]): Promise<Claim[]> {
    const rows = await this.database.query<ClaimRow>(
      `select ${COLUMNS} from points.claims claim
       where reference = any($1) and status in ('waiting', 'taking') order by occurred_at, source, natural_id limit ${TAKE_UP_PAGE_SIZE}`,
      [references],
    );
    return rows.map(claimOf);
  }

  /**
   * Moves claims from waiting to taking for the accounts given. One that somebody else is taking already keeps the account and
   * revision that were noted then; both go on to look for its event first, and the expected revision lets one of them write it.
   */
  async beginTaking(claims: readonly Claim[]): Promise<void> {
    await this.database.query(
      `update points.claims claim set status = 'taking', account_id = taking.account_id, revision = taking.revision
       from unnest($1::text[], $2::text[], $3::uuid[], $4::integer[]) as taking(source, natural_id, account_id, revision)
       where claim.kind = '${KIND}' and claim.source = taking.source and claim.natural_id = taking.natural_id and claim.status = 'waiting'`,
      [
        claims.map((claim) => claim.source),
        claims.map((claim) => claim.purchaseId),
        claims.map((claim) => claim.accountId),
        claims.map((claim) => claim.revision),
      ],
    );
  }

  /** Notes that the events of these claims are in the ledger. */
  async finishTaking(claims: readonly Claim[]): Promise<void> {
    await this.database.query(
      `update points.claims claim set status = 'taken'
       from unnest($1::text[], $2::text[]) as taken(source, natural_id)
       where claim.kind = '${KIND}' and claim.source = taken.source and claim.natural_id = taken.natural_id and claim.status = 'taking'`,
      [claims.map((claim) => claim.source), claims.map((claim) => claim.purchaseId)],
    );
  }

  /** Turns a claim that the account refused into a refusal; answers false where it was one already. */
  async refuse(work: UnitOfWork, claim: Claim, reason: string): Promise<boolean> {
    const rows = await work.query(
      `update points.claims set status = 'refused', reason = $3
       where kind = '${KIND}' and source = $1 and natural_id = $2 and status in ('taken', 'taking') returning 1`,
      [claim.source, claim.purchaseId, reason],
    );
    return rows.length > 0;
  }

  /** Keeps what came in under a key that stands for something else. Answers the hashes that had not been kept before. */
  async keepConflicts(work: UnitOfWork, conflicts: readonly Conflict[]): Promise<ReadonlySet<string>> {
    const rows = await work.query<{ source: string; natural_id: string }>(
      `insert into points.conflicts (kind, source, natural_id, hash, reference, content, received_at)
       select '${KIND}', source, natural_id, decode(hash, 'hex'), reference, content, received_at
       from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[]) as page(source, natural_id, hash, reference, content, received_at)
       on conflict do nothing returning source, natural_id`,
      [
        conflicts.map((conflict) => conflict.source),
        conflicts.map((conflict) => conflict.purchaseId),
        conflicts.map((conflict) => conflict.hash),
        conflicts.map((conflict) => conflict.reference ?? ''),
        conflicts.map((conflict) => conflict.content),
        conflicts.map((conflict) => conflict.receivedAt),
      ],
    );
    return new Set(rows.map((row) => naturalKey(row.source, row.natural_id)));
  }

  /** The awards of these claims that the read models know: the proof that a claim's event is in the ledger. */
  async awards(claimIds: readonly string[]): Promise<ReadonlyMap<string, Award>> {
    if (claimIds.length === 0) return new Map();
    const rows = await this.database.query<{ transaction_id: string; amount: string; explanation: string }>(
      'select transaction_id, amount, explanation from points.transactions where transaction_id = any($1)',
      [claimIds],
    );
    return new Map(
      rows.map((row) => [
        row.transaction_id,
        { transactionId: row.transaction_id, points: Number(row.amount), explanation: row.explanation },
      ]),
    );
  }
}

type ClaimRow = {
  source: string;
  natural_id: string;
  claim_id: string;
  hash: string;
  status: ClaimStatus;
  reason: string | null;
  reference: string | null;
  account_id: string | null;
  revision: number;
  content: string;
};

const COLUMNS = `claim.source, claim.natural_id, claim.claim_id, encode(claim.hash, 'hex') as hash, claim.status, claim.reason, claim.reference,
  claim.account_id, claim.revision, claim.content`;

const claimOf = (row: ClaimRow): Claim => ({
  source: row.source,
  purchaseId: row.natural_id,
  claimId: row.claim_id,
  hash: row.hash,
  status: row.status,
  reason: row.reason,
  reference: row.reference,
  accountId: row.account_id,
  revision: row.revision,
  content: row.content,
});
