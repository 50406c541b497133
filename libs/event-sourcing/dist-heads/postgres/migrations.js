/**
 * `position` orders the log, (`stream_id`, `revision`) guards each stream. There is no index on `event_id`: a repeat is looked for where it would
 * stand, and an index on random values is the dearest there is, more so the longer the log grows.
 */ let CreateEvents1764000000000 = class CreateEvents1764000000000 {
    async up(runner) {
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
        await runner.query(`comment on table eventstore.events is 'The ledger: every event of every stream, in the order of commits'`);
    }
    async down() {
        throw new Error('migrations go forward only');
    }
};
/** The event store's schema; its role may read and add, and can change or remove nothing. */ export const eventStoreMigrations = {
    schema: 'eventstore',
    role: 'vafa_eventstore',
    rights: 'append-only',
    migrations: [
        CreateEvents1764000000000
    ]
};

//# sourceMappingURL=migrations.js.map
