import type { MigrationSet } from '@vafa/persistence';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The role whose rights a service's own role inherits to add to the audit and to read it. */
export const AUDIT_ROLE = 'vafa_audit';

/**
 * Nobody changes an entry: the role of the services has no right to, and a trigger refuses it to everybody else, the owner
 * included, so that only somebody who takes the trigger away first could.
 */
export class Audit1795000000701 implements MigrationInterface {
  readonly name = 'Audit1795000000701';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table audit.entries (
        id            bigint         generated always as identity constraint entries_pkey primary key,
        recorded_at   timestamptz(3) not null default now(),
        actor_subject text           collate "C" not null,
        actor_role    text           collate "C" not null,
        actor_client  text           collate "C" not null,
        request_id    text           collate "C",
        service       text           collate "C" not null,
        action        text           collate "C" not null,
        subject       text           collate "C" not null,
        reason        text,
        details       json           not null
      );
      create index entries_subject on audit.entries (subject, id);
      create index entries_actor on audit.entries (actor_subject, id);
      comment on table audit.entries is
        'What staff did, one row an act, written in the transaction of the act. Rows are never changed and never removed.';

      create function audit.refuse_change() returns trigger language plpgsql as $$
      begin
        raise exception 'the audit is append-only' using errcode = 'insufficient_privilege';
      end $$;
      create trigger entries_append_only before update or delete or truncate on audit.entries
        for each statement execute function audit.refuse_change();`);
  }

  async down(): Promise<void> {
    throw new Error('Migrations go forward only');
  }
}

/** The audit's schema; its role may read and add, and can change or remove nothing. */
export const auditMigrations: MigrationSet = {
  schema: 'audit',
  role: AUDIT_ROLE,
  rights: 'append-only',
  migrations: [Audit1795000000701],
};
