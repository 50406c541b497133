import type { MigrationSet } from '@vafa/persistence';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * `position` orders the log, (`stream_id`, `revision`) guards each stream. There is no index on `event_id`: a repeat is looked for where it would
 * stand, and an index on random values is the dearest there is, more so the longer the log grows.
 */
class CreateEvents1764000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table eventstore.events (
        position bigserial primary key,
        stream_id text collate "C" not null,
        revision integer not null check (revision >= 0),
        event_id uuid not null,
        type text not null,
        data text not null,
        metadata text not null,
        recorded_at timestamptz not null,
        unique (stream_id, revision)
      )`);
    await runner.query(
      `comment on table eventstore.events is 'The ledger: every event of every stream, in the order of commits'`,
    );
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

/**
 * Where the ledger lives, once it has been told to live elsewhere, and whether it is on its way. Services read it when they start; only a first
 * start on EventStoreDB and `vafa move` write it.
 */
class LedgerHome1796000000001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table eventstore.home (
        singleton boolean primary key default true check (singleton),
        store text not null check (store in ('postgres', 'eventstoredb')),
        installation uuid not null,
        moving_to text check (moving_to in ('postgres', 'eventstoredb') and moving_to <> store),
        moved_until text,
        since timestamptz not null default clock_timestamp()
      )`);
    await runner.query(`comment on table eventstore.home is 'Where the ledger lives; no row: in this database'`);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

/** The event store's schema; its role may read and add, and can change or remove nothing. */
export const eventStoreMigrations: MigrationSet = {
  schema: 'eventstore',
  role: 'vafa_eventstore',
  rights: 'append-only',
  migrations: [CreateEvents1764000000000, LedgerHome1796000000001],
};
