import type { Database } from '@vafa/persistence';
import { INBOX_STATUSES, type InboxStatus } from '../domain/inbox.js';
import { canonical, utc } from '../read-models/instants.js';
import { UNKNOWN_MEMBER } from './claiming.js';
import type { ClaimKey, ClaimKind } from './claims.js';

/** Something that a person may settle, or has settled. */
export type InboxItem = ClaimKey & {
  /** The claim's id, or the conflict's. Grows with the time of arrival. */
  readonly itemId: string;
  readonly status: InboxStatus;
  /** Why it is here, as a code. */
  readonly reason: string;
  /** The member as the sender named it. */
  readonly reference: string | null;
  /** The purchase that a return is of. */
  readonly purchaseId: string | null;
  readonly receivedAt: string;
  readonly hash: string;
  /** What is kept of it, as JSON. */
  readonly content: string;
  /** Whether it still is to be settled. */
  readonly open: boolean;
};

export type InboxFilter = {
  readonly kind?: ClaimKind | undefined;
  readonly status?: InboxStatus | undefined;
  readonly reason?: string | undefined;
  readonly source?: string | undefined;
};

export type InboxCount = { readonly status: InboxStatus; readonly count: number; readonly oldest: string | null };

/** What waits for a person, from the register and its conflicts. */
export class InboxItems {
  constructor(private readonly database: Database) {}

  /** Open items in the order in which they came, after the id given (`null`: from the first), `limit` at most. */
  async list(filter: InboxFilter, limit: number, after: string | null): Promise<InboxItem[]> {
    const statuses = filter.status === undefined ? INBOX_STATUSES : [filter.status];
    const parts = statuses.map((status) => `(${OPEN[status]} order by item_id limit $1)`);
    const rows = await this.database.query<ItemRow>(
      `select * from (${parts.join(' union all ')}) as items order by item_id limit $1`,
      [limit, after ?? FIRST_ID, filter.kind ?? null, filter.reason ?? null, filter.source ?? null],
    );
    return rows.map(itemOf);
  }

  /** One item, open or settled; `undefined` where there never was one, or where it settled itself. */
  async find(itemId: string): Promise<InboxItem | undefined> {
    const [row] = await this.database.query<ItemRow>(
      `select * from (
         select ${CONFLICT} where conflict.conflict_id = $1
         union all select ${CLAIM} where claim.status = 'waiting' and claim.claim_id = $1
         union all select ${CLAIM} where claim.status = 'quarantined' and claim.claim_id = $1
         union all select ${SETTLED}
       ) as found order by open desc limit 1`,
      [itemId],
    );
    return row === undefined ? undefined : itemOf(row);
  }

  /** How many items lie open, and since when the oldest does. */
  async counts(): Promise<InboxCount[]> {
    const rows = await this.database.query<{ status: InboxStatus; count: number; oldest: string | null }>(COUNTS);
    return rows.map(({ status, count, oldest }) => ({
      status,
      count,
      oldest: oldest === null ? null : canonical(oldest),
    }));
  }
}

const FIRST_ID = '00000000-0000-0000-0000-000000000000';

const CLAIM = `claim.claim_id as item_id, claim.kind, claim.source, claim.natural_id, claim.status, claim.reason,
  claim.reference, claim.purchase_id, ${utc('claim.received_at')}, encode(claim.hash, 'hex') as hash, claim.content, true as open
  from points.claims claim`;

const CONFLICT = `conflict.conflict_id as item_id, conflict.kind, conflict.source, conflict.natural_id, 'conflict' as status,
  case when claim.hash = conflict.hash then 'other-member' else 'other-content' end as reason, nullif(conflict.reference, '') as reference,
  null as purchase_id, ${utc('conflict.received_at')}, encode(conflict.hash, 'hex') as hash, conflict.content,
  conflict.settled_at is null as open
  from points.conflicts conflict join points.claims claim using (kind, source, natural_id)`;

/** A claim that somebody settled, as it lay here before. One that was taken has no reason any more, and waited for its member. */
const SETTLED = `settled.item_id, claim.kind, claim.source, claim.natural_id, settled.was as status, coalesce(claim.reason, '${UNKNOWN_MEMBER}') as reason,
  claim.reference, claim.purchase_id, ${utc('claim.received_at')}, encode(claim.hash, 'hex') as hash, claim.content, false as open
  from points.settlements settled join points.claims claim using (kind, source, natural_id)
  where settled.item_id = $1 and settled.was in ('waiting', 'quarantined')`;

const openClaims = (status: 'waiting' | 'quarantined'): string =>
  `select ${CLAIM} where claim.status = '${status}' and claim.claim_id > $2 and ($3::text is null or claim.kind = $3)
   and ($4::text is null or claim.reason = $4) and ($5::text is null or claim.source = $5)`;

/** Each from an index of its own, in the order of ids. */
const OPEN: Readonly<Record<InboxStatus, string>> = {
  waiting: openClaims('waiting'),
  conflict: `select ${CONFLICT} where conflict.settled_at is null and conflict.conflict_id > $2 and ($3::text is null or conflict.kind = $3)
   and ($4::text is null or case when claim.hash = conflict.hash then 'other-member' else 'other-content' end = $4)
   and ($5::text is null or conflict.source = $5)`,
  quarantined: openClaims('quarantined'),
};

const countOf = (status: 'waiting' | 'quarantined'): string => `
  select '${status}' as status, (select count(*) from points.claims where status = '${status}')::integer as count,
    (select ${utc('received_at')} from points.claims where status = '${status}' order by claim_id limit 1) as oldest`;

const COUNTS = `${countOf('waiting')} union all ${countOf('quarantined')} union all
  select 'conflict', (select count(*) from points.conflicts where settled_at is null)::integer,
    (select ${utc('received_at')} from points.conflicts where settled_at is null order by conflict_id limit 1)`;

type ItemRow = {
  item_id: string;
  kind: ClaimKind;
  source: string;
  natural_id: string;
  status: InboxStatus;
  reason: string;
  reference: string | null;
  purchase_id: string | null;
  received_at: string;
  hash: string;
  content: string;
  open: boolean;
};

const itemOf = (row: ItemRow): InboxItem => ({
  itemId: row.item_id,
  kind: row.kind,
  source: row.source,
  naturalId: row.natural_id,
  status: row.status,
  reason: row.reason,
  reference: row.reference,
  purchaseId: row.purchase_id,
  receivedAt: canonical(row.received_at),
  hash: row.hash,
  content: row.content,
  open: row.open,
});
