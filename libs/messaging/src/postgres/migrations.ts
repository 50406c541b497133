import type { MigrationSet } from '@vafa/persistence';
import type { MigrationInterface, QueryRunner } from 'typeorm';

class CreateMessaging1763800000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table messaging.topics (
        id smallint generated always as identity primary key,
        name text not null unique,
        partitions smallint not null,
        retention_ms bigint not null
      );

      -- One table for all topics: a topic is a range of the key, so that its readers meet nothing of the others,
      -- and a new topic is a row instead of a table.
      create table messaging.log (
        position bigint generated always as identity,
        at timestamptz not null default now(),
        topic smallint not null,
        partition smallint not null,
        key text,
        headers text,
        value bytea not null,
        primary key (topic, position)
      );

      create table messaging.offsets (
        group_name text not null,
        topic smallint not null references messaging.topics (id),
        partition smallint not null,
        position bigint not null,
        primary key (group_name, topic, partition)
      ) with (fillfactor = 20);

      create table messaging.sequences (
        topic text not null,
        key text not null,
        sequence bigint not null,
        primary key (topic, key)
      ) with (fillfactor = 80);

      create table messaging.parked_keys (
        group_name text not null,
        topic text not null,
        key text not null,
        state text not null check (state in ('parked', 'replaying')),
        round integer not null default 0,
        primary key (group_name, topic, key)
      );

      create table messaging.dead_letters (
        id uuid primary key,
        group_name text not null,
        topic text not null,
        partition integer not null,
        "offset" bigint not null,
        key text,
        kind text not null check (kind in ('invalid', 'unhandled', 'failed', 'behind')),
        status text not null check (status in ('waiting', 'replaying', 'replayed', 'discarded')),
        reason text not null,
        note text,
        content bytea not null,
        at timestamptz not null,
        settled_at timestamptz
      );
      create index on messaging.dead_letters (group_name, topic, key, "offset");
      create index on messaging.dead_letters (at);`);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

class BoundDeadLetters1795000000801 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- No two rounds bear one number, whatever became of their key in between.
      create sequence messaging.replay_rounds as integer;

      -- As exact as a place in a list is written.
      alter table messaging.dead_letters
        alter at type timestamptz(3), alter settled_at type timestamptz(3);
      create index dead_letters_open on messaging.dead_letters (group_name, topic, kind, at)
        where status in ('waiting', 'replaying');`);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

/** What the bus keeps in PostgreSQL. A service that enqueues in its own transactions inherits this role. */
export const messagingMigrations: MigrationSet = {
  schema: 'messaging',
  role: 'vafa_messaging',
  migrations: [CreateMessaging1763800000000, BoundDeadLetters1795000000801],
};
