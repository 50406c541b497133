import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Which event of its account opened a lot, so that lots can be read as of then, and the periods that are closed. No index on the revision:
 * an account's lots are found by account, and the path of a purchase pays for every index there is.
 */
export class Times1795000000003 implements MigrationInterface {
  readonly name = 'Times1795000000003';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table points.lots add column revision integer');
    await runner.query(`
      update points.lots lot set revision = movement.revision
      from points.transactions movement where movement.transaction_id = lot.lot_id`);
    await runner.query('alter table points.lots alter column revision set not null');
    await runner.query(`
      create table points.period_closings (
        ends_at   timestamptz primary key,
        period    text        not null,
        known_at  timestamptz not null,
        closed_at timestamptz not null
      )`);
  }

  async down(): Promise<void> {
    throw new Error('Migrations go forward only: restore a backup instead.');
  }
}
