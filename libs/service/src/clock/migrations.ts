import type { MigrationSet } from '@vafa/persistence';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The role whose rights a service's own role inherits to read and move the clock. */
export const SERVICE_ROLE = 'vafa_service';

export class Clock1763800000000 implements MigrationInterface {
  readonly name = 'Clock1763800000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table service.clock (
        singleton boolean primary key default true check (singleton),
        offset_ms bigint not null check (offset_ms >= 0),
        changed_at timestamptz not null default now()
      )`);
    await runner.query('insert into service.clock (offset_ms) values (0)');
  }

  async down(): Promise<void> {
    throw new Error('Migrations go forward only');
  }
}

/** What libs/service keeps in the database, shared by all services: the clock. */
export const serviceMigrations: MigrationSet = {
  schema: 'service',
  role: SERVICE_ROLE,
  migrations: [Clock1763800000000],
};
