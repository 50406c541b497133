import type { Database, Querier } from '@vafa/persistence';
import type { Actor } from '@vafa/service';
import type { InboxAction, InboxStatus } from '../domain/inbox.js';
import { canonical, utc } from '../read-models/instants.js';
import type { ClaimKey, ClaimKind } from './claims.js';

/** How a person settled something, and whether what follows from it is done. */
export type Settlement = ClaimKey & {
  readonly settlementId: string;
  /** The claim's or the conflict's id. */
  readonly itemId: string;
  readonly was: InboxStatus | 'anonymous';
  readonly action: InboxAction | 'claim';
  /** The member, or the purchase of a return, that it was given to; null where the action needs none. */
  readonly target: string | null;
  readonly actor: Pick<Actor, 'subject' | 'role' | 'clientId'>;
  readonly reason: string;
  readonly decidedAt: string;
  /** Null while what follows is still to be done: the service goes on with it, also after a crash. */
  readonly finishedAt: string | null;
};

/** The record of what people settled. Nothing is ever taken out of it. */
export class Settlements {
  constructor(private readonly database: Database) {}

  /** Records a decision, in the transaction that carries it out or makes sure that it will be. */
  async add(work: Querier, settlement: Settlement): Promise<void> {
    const { settlementId, itemId, kind, source, naturalId, was, action, target, actor, reason } = settlement;
    await work.query(
      `insert into points.settlements (settlement_id, item_id, kind, source, natural_id, was, action, target, actor_subject, actor_role, actor_client, reason, decided_at, finished_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
      [
        ...[settlementId, itemId, kind, source, naturalId, was, action, target],
        ...[actor.subject, actor.role, actor.clientId, reason, settlement.decidedAt, settlement.finishedAt],
      ],
    );
  }

  /** Notes that everything that follows from a decision is done. */
  async finish(settlementId: string, finishedAt: string): Promise<void> {
    await this.database.query(
      'update points.settlements set finished_at = $2 where settlement_id = $1 and finished_at is null',
      [settlementId, finishedAt],
    );
  }

  /** Decisions of which something is still to be done, the oldest first. */
  async unfinished(limit: number): Promise<Settlement[]> {
    const rows = await this.database.query<SettlementRow>(
      `select ${COLUMNS} from points.settlements where finished_at is null order by settlement_id limit $1`,
      [limit],
    );
    return rows.map(settlementOf);
  }

  /** Replacements within a source of which something is still to be done. */
  async unfinishedReplacements(source: string): Promise<Settlement[]> {
    const rows = await this.database.query<SettlementRow>(
      `select ${COLUMNS} from points.settlements where finished_at is null and action = 'replace' and source = $1`,
      [source],
    );
    return rows.map(settlementOf);
  }

  /** The latest decision about an item, if there was one. */
  async latest(itemId: string): Promise<Settlement | undefined> {
    const [row] = await this.database.query<SettlementRow>(
      `select ${COLUMNS} from points.settlements where item_id = $1 order by settlement_id desc limit 1`,
      [itemId],
    );
    return row === undefined ? undefined : settlementOf(row);
  }

  /** How many purchases were claimed for a member since then. */
  async claimedSince(work: Querier, memberId: string, since: string): Promise<number> {
    const [row] = await work.query<{ count: number }>(
      `select count(*)::integer as count from points.settlements where action = 'claim' and target = $1 and decided_at > $2`,
      [memberId, since],
    );
    return row?.count ?? 0;
  }

  /** How often a member tried since then to claim what no purchase fitted. What is older is forgotten. */
  async missedSince(work: Querier, memberId: string, since: string): Promise<number> {
    await work.query('delete from points.missed_claims where member_id = $1 and missed_at <= $2', [memberId, since]);
    const [row] = await work.query<{ count: number }>(
      'select count(*)::integer as count from points.missed_claims where member_id = $1',
      [memberId],
    );
    return row?.count ?? 0;
  }

  async addMiss(work: Querier, memberId: string, at: string): Promise<void> {
    await work.query('insert into points.missed_claims (member_id, missed_at) values ($1, $2)', [memberId, at]);
  }
}

const COLUMNS = `settlement_id, item_id, kind, source, natural_id, was, action, target, actor_subject, actor_role, actor_client, reason,
  ${utc('decided_at')}, ${utc('finished_at')}`;

type SettlementRow = {
  settlement_id: string;
  item_id: string;
  kind: ClaimKind;
  source: string;
  natural_id: string;
  was: Settlement['was'];
  action: Settlement['action'];
  target: string | null;
  actor_subject: string;
  actor_role: Actor['role'];
  actor_client: string;
  reason: string;
  decided_at: string;
  finished_at: string | null;
};

const settlementOf = (row: SettlementRow): Settlement => ({
  settlementId: row.settlement_id,
  itemId: row.item_id,
  kind: row.kind,
  source: row.source,
  naturalId: row.natural_id,
  was: row.was,
  action: row.action,
  target: row.target,
  actor: { subject: row.actor_subject, role: row.actor_role, clientId: row.actor_client },
  reason: row.reason,
  decidedAt: canonical(row.decided_at),
  finishedAt: row.finished_at === null ? null : canonical(row.finished_at),
});
