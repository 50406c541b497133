import type { Database, UnitOfWork } from '@vafa/persistence';

/** What comes in. Each kind has its own natural keys. */
export const CLAIM_KINDS = ['purchase', 'return', 'activity'] as const;
export type ClaimKind = (typeof CLAIM_KINDS)[number];

/** What identifies an input for ever; `naturalId` is the purchase's, return's or activity's own id within its source. */
export type ClaimKey = { readonly kind: ClaimKind; readonly source: string; readonly naturalId: string };

/** A key as one text, to look things up by. */
export const keyText = ({ kind, source, naturalId }: ClaimKey): string => `${kind}\u0000${source}\u0000${naturalId}`;

/**
 * `taken`: its event is in the ledger, or is being written by whoever registered it; an activity has none. `taking`: did not count before and
 * is being taken up. `waiting`: what it belongs to is unknown. `anonymous`: nobody's, recorded without points. `quarantined`: a person has to
 * decide. `refused`: for good, with a reason.
 */
export type ClaimStatus = 'taken' | 'taking' | 'waiting' | 'anonymous' | 'quarantined' | 'refused';

/** The first thing that came in under a natural key, for ever. */
export type Claim = ClaimKey & {
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
  /** The purchase, within the same source, that a return is of; of what a person replaced, what counts instead. */
  readonly purchaseId: string | null;
  /** What is kept of it: JSON of its data without member and undeclared attributes. */
  readonly content: string;
};

/** A claim to register, with what the register is searched by. `total` is in minor units of `currency`, both null where it names none. */
export type NewClaim = Claim & {
  readonly occurredAt: string;
  readonly receivedAt: string;
  readonly currency: string | null;
  readonly total: number | null;
};

/** What came in under a key that already stands for something else; `claimId` names it from then on. */
export type Conflict = ClaimKey & Pick<NewClaim, 'claimId' | 'hash' | 'content' | 'reference' | 'receivedAt'>;

/** An award as the read models hold it. */
export type Award = { readonly transactionId: string; readonly points: number; readonly explanation: string };

export const TAKE_UP_PAGE_SIZE = 500;

/** The register of everything that came in. Every method is one statement, or two, whatever the number of claims. */
export class Claims {
  constructor(private readonly database: Database) {}

  /** Registers claims of one kind whose keys are free, in the caller's transaction. Answers with the claim ids that were. */
  async register(work: UnitOfWork, kind: ClaimKind, claims: readonly NewClaim[]): Promise<ReadonlySet<string>> {
    if (claims.length === 0) return new Set();
    const rows = await work.query<{ claim_id: string }>(
      `insert into points.claims (kind, source, natural_id, claim_id, hash, status, reason, reference, account_id, revision, purchase_id, occurred_at, received_at, currency, total, content)
       select $1, source, natural_id, claim_id, decode(hash, 'hex'), status, reason, reference, account_id, revision, purchase_id, occurred_at, received_at, currency, total, content
       from unnest($2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::uuid[], $10::integer[], $11::text[], $12::timestamptz[], $13::timestamptz[], $14::text[], $15::bigint[], $16::text[])
         as page(source, natural_id, claim_id, hash, status, reason, reference, account_id, revision, purchase_id, occurred_at, received_at, currency, total, content)
       on conflict do nothing returning claim_id`,
      [
        kind,
        claims.map((claim) => claim.source),
        claims.map((claim) => claim.naturalId),
        claims.map((claim) => claim.claimId),
        claims.map((claim) => claim.hash),
        claims.map((claim) => claim.status),
        claims.map((claim) => claim.reason),
        claims.map((claim) => claim.reference),
        claims.map((claim) => claim.accountId),
        claims.map((claim) => claim.revision),
        claims.map((claim) => claim.purchaseId),
        claims.map((claim) => claim.occurredAt),
        claims.map((claim) => claim.receivedAt),
        claims.map((claim) => claim.currency),
        claims.map((claim) => claim.total),
        claims.map((claim) => claim.content),
      ],
    );
    return new Set(rows.map((row) => row.claim_id));
  }

  /** The claims that stand under these keys, of whatever kinds, by `keyText`. */
  async find(keys: readonly ClaimKey[]): Promise<ReadonlyMap<string, Claim>> {
    if (keys.length === 0) return new Map();
    const rows = await this.database.query<ClaimRow>(
      `select ${CLAIM_COLUMNS} from unnest($1::text[], $2::text[], $3::text[]) as wanted(kind, source, natural_id)
       join points.claims claim on claim.kind = wanted.kind and claim.source = wanted.source and claim.natural_id = wanted.natural_id`,
      keyColumns(keys),
    );
    return new Map(rows.map(claimOf).map((claim) => [keyText(claim), claim]));
  }

  /**
   * The keys that count for these: themselves, or what a person replaced them by, in their order. Amid a replacement nothing may stand under
   * such a key yet.
   */
  async counting(keys: readonly ClaimKey[]): Promise<ClaimKey[]> {
    const counting = [...keys];
    for (let open = [...keys.keys()]; open.length > 0;) {
      const found = await this.find(open.map((index) => counting[index] as ClaimKey));
      open = open.filter((index) => {
        const { kind, source, naturalId } = counting[index] as ClaimKey;
        const replaced = found.get(keyText({ kind, source, naturalId }))?.purchaseId ?? null;
        if (replaced !== null) counting[index] = { kind, source, naturalId: replaced };
        return replaced !== null;
      });
    }
    return counting;
  }

  /** Everything that counted under a key, one after the other: itself, and what replaced it. */
  async replacements(key: ClaimKey): Promise<ClaimKey[]> {
    const chain = [key];
    for (let last = key; ;) {
      const replaced = (await this.find([last])).get(keyText(last))?.purchaseId ?? null;
      if (replaced === null) return chain;
      last = { ...last, naturalId: replaced };
      chain.push(last);
    }
  }

  /** Claims of a kind that wait, or whose taking up was cut off, for any of these references: oldest first, a page of them. */
  async open(kind: ClaimKind, references: readonly string[]): Promise<Claim[]> {
    const rows = await this.database.query<ClaimRow>(
      `select ${CLAIM_COLUMNS} from points.claims claim
       where reference = any($2) and status in ('waiting', 'taking') and kind = $1
       order by occurred_at, source, natural_id limit ${TAKE_UP_PAGE_SIZE}`,
      [kind, references],
    );
    return rows.map(claimOf);
  }

  /**
   * Moves claims from waiting to taking for the accounts given. One that somebody else is taking already keeps the account and
   * revision that were noted then; both go on to look for its event first, and the expected revision lets one of them write it.
   */
  async beginTaking(claims: readonly Claim[]): Promise<void> {
    await this.database.query(
      `update points.claims claim set status = 'taking', reason = null, account_id = taking.account_id, revision = taking.revision
       from unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::integer[]) as taking(kind, source, natural_id, account_id, revision)
       where claim.kind = taking.kind and claim.source = taking.source and claim.natural_id = taking.natural_id and claim.status = 'waiting'`,
      [...keyColumns(claims), claims.map((claim) => claim.accountId), claims.map((claim) => claim.revision)],
    );
  }

  /** Takes claims that wait and that the ledger has no event for, as their account and reason say; answers those that still waited. */
  async takeWaiting(work: UnitOfWork, claims: readonly Claim[]): Promise<Claim[]> {
    const rows = await work.query<{ claim_id: string }>(
      `update points.claims claim set status = 'taken', account_id = taken.account_id, reason = taken.reason
       from unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::text[]) as taken(kind, source, natural_id, account_id, reason)
       where claim.kind = taken.kind and claim.source = taken.source and claim.natural_id = taken.natural_id and claim.status = 'waiting'
       returning claim.claim_id`,
      [...keyColumns(claims), claims.map((claim) => claim.accountId), claims.map((claim) => claim.reason)],
    );
    const taken = new Set(rows.map((row) => row.claim_id));
    return claims.filter(({ claimId }) => taken.has(claimId)).map((claim) => ({ ...claim, status: 'taken' }));
  }

  /** Notes that the events of these claims are in the ledger. */
  async finishTaking(claims: readonly Claim[]): Promise<void> {
    await this.database.query(
      `update points.claims claim set status = 'taken'
       from unnest($1::text[], $2::text[], $3::text[]) as taken(kind, source, natural_id)
       where claim.kind = taken.kind and claim.source = taken.source and claim.natural_id = taken.natural_id and claim.status = 'taking'`,
      keyColumns(claims),
    );
  }

  /** Returns of these purchases that are still to be settled, or that may be since their purchase has a member; a page of them by their ids. */
  async openReturns(purchases: readonly ClaimKey[], after: string): Promise<Claim[]> {
    const rows = await this.database.query<ClaimRow>(
      `select ${CLAIM_COLUMNS} from unnest($1::text[], $2::text[]) as wanted(source, purchase_id)
       join points.claims claim on claim.source = wanted.source and claim.purchase_id = wanted.purchase_id
       where claim.kind = 'return' and claim.status in ('waiting', 'taking', 'anonymous') and claim.claim_id > $3
       order by claim.claim_id limit ${TAKE_UP_PAGE_SIZE}`,
      [purchases.map(({ source }) => source), purchases.map(({ naturalId }) => naturalId), after],
    );
    return rows.map(claimOf);
  }

  /** Returns still to be settled that name one of these references; a page of them by their ids. */
  async openReturnsFor(references: readonly string[], after: string): Promise<Claim[]> {
    const rows = await this.database.query<ClaimRow>(
      `select ${CLAIM_COLUMNS} from points.claims claim
       where reference = any($1) and kind = 'return' and status in ('waiting', 'taking') and claim_id > $2
       order by claim_id limit ${TAKE_UP_PAGE_SIZE}`,
      [references, after],
    );
    return rows.map(claimOf);
  }

  /** Makes locked claims what was decided of them, in the transaction that decided it. */
  async decide(work: UnitOfWork, claims: readonly Claim[]): Promise<void> {
    if (claims.length === 0) return;
    await work.query(
      `update points.claims claim set status = decided.status, reason = decided.reason, account_id = decided.account_id, revision = decided.revision
       from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::integer[])
         as decided(kind, source, natural_id, status, reason, account_id, revision)
       where claim.kind = decided.kind and claim.source = decided.source and claim.natural_id = decided.natural_id`,
      [
        ...keyColumns(claims),
        claims.map((claim) => claim.status),
        claims.map((claim) => claim.reason),
        claims.map((claim) => claim.accountId),
        claims.map((claim) => claim.revision),
      ],
    );
  }

  /** Turns a claim that the account refused into a refusal; answers false where it was one already. */
  async refuse(work: UnitOfWork, claim: Claim, reason: string): Promise<boolean> {
    const rows = await work.query(
      `update points.claims set status = 'refused', reason = $4
       where kind = $1 and source = $2 and natural_id = $3 and status in ('taken', 'taking') returning 1`,
      [claim.kind, claim.source, claim.naturalId, reason],
    );
    return rows.length > 0;
  }

  /** Makes a claim what a person decided, if it still is as that person saw it; answers whether it was. */
  async settle(work: UnitOfWork, seen: Claim, change: Partial<Claim>): Promise<boolean> {
    const { kind, source, naturalId, status, reason, accountId, revision, purchaseId } = { ...seen, ...change };
    const rows = await work.query(
      `update points.claims set status = $6, reason = $7, account_id = $8, revision = $9, purchase_id = $10
       where kind = $1 and source = $2 and natural_id = $3 and status = $4 and purchase_id is not distinct from $5 returning 1`,
      [kind, source, naturalId, seen.status, seen.purchaseId, status, reason, accountId, revision, purchaseId],
    );
    return rows.length > 0;
  }

  /** Has returns that were not decided yet be of the purchase that replaced theirs. */
  async redirectReturns(work: UnitOfWork, { source, naturalId }: ClaimKey, purchaseId: string): Promise<void> {
    await work.query(
      `update points.claims set purchase_id = $3
       where kind = 'return' and source = $1 and purchase_id = $2 and status in ('waiting', 'quarantined')`,
      [source, naturalId, purchaseId],
    );
  }

  /** Closes a conflict, unless somebody did before; answers whether it was open. */
  async closeConflict(work: UnitOfWork, conflictId: string, settledAt: string): Promise<boolean> {
    const rows = await work.query(
      'update points.conflicts set settled_at = $2 where conflict_id = $1 and settled_at is null returning 1',
      [conflictId, settledAt],
    );
    return rows.length > 0;
  }

  /** Keeps what came in under a key that stands for something else. Answers the claim ids of those that had not been kept before. */
  async keepConflicts(work: UnitOfWork, conflicts: readonly Conflict[]): Promise<ReadonlySet<string>> {
    const rows = await work.query<{ conflict_id: string }>(
      `insert into points.conflicts (kind, source, natural_id, conflict_id, hash, reference, content, received_at)
       select kind, source, natural_id, conflict_id, decode(hash, 'hex'), reference, content, received_at
       from unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::timestamptz[])
         as page(kind, source, natural_id, conflict_id, hash, reference, content, received_at)
       on conflict do nothing returning conflict_id`,
      [
        ...keyColumns(conflicts),
        conflicts.map((conflict) => conflict.claimId),
        conflicts.map((conflict) => conflict.hash),
        conflicts.map((conflict) => conflict.reference ?? ''),
        conflicts.map((conflict) => conflict.content),
        conflicts.map((conflict) => conflict.receivedAt),
      ],
    );
    return new Set(rows.map((row) => row.conflict_id));
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

export const keyColumns = (keys: readonly ClaimKey[]): [string[], string[], string[]] => [
  keys.map((key) => key.kind),
  keys.map((key) => key.source),
  keys.map((key) => key.naturalId),
];

export type ClaimRow = {
  kind: ClaimKind;
  source: string;
  natural_id: string;
  claim_id: string;
  hash: string;
  status: ClaimStatus;
  reason: string | null;
  reference: string | null;
  account_id: string | null;
  revision: number;
  purchase_id: string | null;
  content: string;
};

export const CLAIM_COLUMNS = `claim.kind, claim.source, claim.natural_id, claim.claim_id, encode(claim.hash, 'hex') as hash, claim.status, claim.reason, claim.reference,
  claim.account_id, claim.revision, claim.purchase_id, claim.content`;

export const claimOf = (row: ClaimRow): Claim => ({
  kind: row.kind,
  source: row.source,
  naturalId: row.natural_id,
  claimId: row.claim_id,
  hash: row.hash,
  status: row.status,
  reason: row.reason,
  reference: row.reference,
  accountId: row.account_id,
  revision: row.revision,
  purchaseId: row.purchase_id,
  content: row.content,
});
