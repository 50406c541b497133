import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The register takes returns and activities as well: what names no money has none, a return names its purchase, and what a person has to
 * decide on is quarantined. The new indexes leave purchases that are taken out: they cost the path of a purchase nothing.
 */
export class EveryKind1795000000002 implements MigrationInterface {
  readonly name = 'EveryKind1795000000002';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(REGISTER);
    await runner.query(ANALYTICS);
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

/** Activities earn nothing yet, so they have no movement to join. */
const ANALYTICS = `
  create view analytics.activities as
    select source, natural_id as activity_id, content::jsonb->>'activity' as activity, account_id as member_id, occurred_at, received_at,
           0::bigint as points, case status when 'taking' then 'taken' else status end as status, reason
    from points.claims where kind = 'activity';
  comment on view analytics.activities is 'Every activity that came in, whatever became of it. Written by points.';
  comment on column analytics.activities.source is 'Who sent it.';
  comment on column analytics.activities.activity_id is 'Its id, unique within the source.';
  comment on column analytics.activities.activity is 'What was done, such as review.written.';
  comment on column analytics.activities.member_id is 'The member, as in analytics.members; null while unknown.';
  comment on column analytics.activities.occurred_at is 'When it was done, as the source said.';
  comment on column analytics.activities.received_at is 'When it came in.';
  comment on column analytics.activities.points is 'Points earned.';
  comment on column analytics.activities.status is 'taken, waiting (its member is unknown) or refused.';
  comment on column analytics.activities.reason is 'Why it was refused or earned nothing, as a code.';
`;
