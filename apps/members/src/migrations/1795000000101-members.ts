import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who the members are, the requests that enrolled them, and what analysts see. */
export class Members1795000000101 implements MigrationInterface {
  readonly name = 'Members1795000000101';

  async up(runner: QueryRunner): Promise<void> {
    // Ids are compared byte by byte: two ids that a locale holds for equal are two members.
    await runner.query(`
      create table members.members (
        member_id    uuid           not null constraint members_pkey primary key,
        external_id  text           collate "C",
        card         text           collate "C",
        enrolled_at  timestamptz(3) not null,
        source       text,
        status       text           not null constraint members_status check (status in ('active'))
      );
      create unique index members_external_id on members.members (external_id);
      create unique index members_card on members.members (card);

      create table members.enrolment_requests (
        client_id       text        collate "C" not null,
        idempotency_key text        collate "C" not null,
        content_hash    text        not null,
        member_ids      uuid[]      not null,
        recorded_at     timestamptz not null default now(),
        constraint enrolment_requests_pkey primary key (client_id, idempotency_key)
      );
      comment on table members.enrolment_requests is
        'What an Idempotency-Key stood for, and the members that came of it, in the order asked for.';`);
    await runner.query(`
      create view analytics.members as
        select member_id, external_id, enrolled_at, source as enrolment_source, status from members.members;
      comment on view analytics.members is 'One row a member. No personal data.';
      comment on column analytics.members.member_id is 'The member, as in every other table.';
      comment on column analytics.members.external_id is 'The shop''s own id of the member, opaque; null where the shop gave none.';
      comment on column analytics.members.enrolled_at is 'When the member joined, to the millisecond.';
      comment on column analytics.members.enrolment_source is 'Where the member was enrolled, in the shop''s own words; null where it did not say.';
      comment on column analytics.members.status is 'active: takes part in the club.';
      grant select on analytics.members to analyst;`);
  }

  async down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}
