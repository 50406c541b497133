import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How often members tried to claim what no purchase fitted, so that nobody finds a neighbour's receipt by trying. A day's worth is kept. */
export class MissedClaims1795000000007 implements MigrationInterface {
  readonly name = 'MissedClaims1795000000007';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(MISSED_CLAIMS);
  }

  async down(): Promise<void> {
    throw new Error('Migrations go forward only: restore a backup instead.');
  }
}

const MISSED_CLAIMS = `
  create table points.missed_claims (
    member_id uuid        not null,
    missed_at timestamptz not null
  );
  create index missed_claims_of_member on points.missed_claims (member_id, missed_at);
`;
