import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What people decide about inputs that wait, conflict or are quarantined. Nothing is removed: an item that is settled keeps its content, and
 * `settlements` says who settled it, how, when and why. The index of the inbox leaves out what is taken, so that a purchase does not pay for it.
 */
export class Inbox1795000000006 implements MigrationInterface {
  readonly name = 'Inbox1795000000006';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(INBOX);
  }

  async down(): Promise<void> {
    throw new Error('Migrations go forward only: restore a backup instead.');
  }
}

const INBOX = `
  create index claims_inbox on points.claims (status, claim_id) where status in ('waiting', 'quarantined');

  alter table points.conflicts add column settled_at timestamptz;
  create index conflicts_inbox on points.conflicts (conflict_id) where settled_at is null;

  create table points.settlements (
    settlement_id uuid        primary key,
    item_id       uuid        not null,
    kind          text collate "C" not null,
    source        text collate "C" not null,
    natural_id    text collate "C" not null,
    was           text        not null check (was in ('waiting', 'conflict', 'quarantined', 'anonymous')),
    action        text        not null check (action in ('keep', 'replace', 'attach', 'approve', 'discard', 'claim')),
    target        text,
    actor_subject text        not null,
    actor_role    text        not null,
    actor_client  text        not null,
    reason        text        not null,
    decided_at    timestamptz not null,
    finished_at   timestamptz
  );
  create index settlements_of_item on points.settlements (item_id, settlement_id);
  create index settlements_unfinished on points.settlements (settlement_id) where finished_at is null;
  create index settlements_of_claimant on points.settlements (target, decided_at) where action = 'claim';
`;
