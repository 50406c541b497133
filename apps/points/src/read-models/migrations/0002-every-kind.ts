import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The register takes returns and activities as well: what names no money has none, a return names its purchase, and what a person has to
 * decide on is quarantined. The new indexes leave purchases that are taken out: they cost the path of a purchase nothing.
 */
export class EveryKind1795000000002 implements MigrationInterface {
  readonly name = 'EveryKind1795000000002';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(REGISTER);
  }

  async down(): Promise<void> {
    throw new Error('Migrations go forward only: restore a backup instead.');
  }
}

const REGISTER = `
  alter table points.claims
    add column purchase_id text collate "C",
    alter column currency drop not null,
    alter column total drop not null,
    drop constraint claims_status_check,
    add constraint claims_status_check check (status in ('taken', 'taking', 'waiting', 'anonymous', 'quarantined', 'refused'));
  create index claims_of_purchase on points.claims (source, purchase_id, occurred_at) where purchase_id is not null;

  alter table points.conflicts add column conflict_id uuid not null default gen_random_uuid();
  alter table points.conflicts alter column conflict_id drop default;
  create unique index conflicts_by_id on points.conflicts (conflict_id);
`;
