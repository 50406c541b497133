import { addCheckpointGeneration, createRebuildTable } from '@vafa/event-sourcing';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a rebuild of the read models and the measuring of their lag need, and what analysts see of the latter. */
export class Rebuilds1795000000005 implements MigrationInterface {
  readonly name = 'Rebuilds1795000000005';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(addCheckpointGeneration('points.checkpoints'));
    await runner.query(createRebuildTable('points.rebuilds'));
    await runner.query(LAG);
    await runner.query(FRESHNESS);
    await runner.query(BALANCES_DAILY);
  }

  async down(): Promise<void> {
    throw new Error('Migrations go forward only: restore a backup instead.');
  }
}

const LAG = `
  create table points.reader_lag (
    name          text        primary key,
    events_behind integer     not null,
    measured_at   timestamptz not null
  );`;

const FRESHNESS = `
  create or replace view analytics.freshness as
    select relation.name as "table", checkpoint.position, checkpoint.as_of, checkpoint.events, lag.events_behind, lag.measured_at
    from points.checkpoints checkpoint
    cross join (values ('balances_daily'), ('points_balances'), ('points_lots'), ('points_transactions'), ('purchases')) as relation (name)
    left join points.reader_lag lag on lag.name = checkpoint.name
    where checkpoint.name = 'points';
  comment on view analytics.freshness is 'How far each table that follows the ledger has followed it; a table that is not in it is always current. Written by points.';
  comment on column analytics.freshness."table" is 'The table; of purchases the points alone follow the ledger.';
  comment on column analytics.freshness.events is 'How many events of the ledger are in it.';
  comment on column analytics.freshness.events_behind is 'Events of the ledger that were not in it yet when that was last looked at; 5,000 stands for that many or more.';
  comment on column analytics.freshness.measured_at is 'When that was: every few seconds while the service runs.';`;

/** A view, since a table would cost a write for each purchase; a day without movements has no row. */
const BALANCES_DAILY = `
  create view analytics.balances_daily as
    select member_id, date, transactions, change, (sum(change) over (partition by member_id order by date))::bigint as balance
    from (
      select member_id, (effective_at at time zone 'UTC')::date as date, count(*) as transactions, sum(amount)::bigint as change
      from points.transactions group by 1, 2
    ) as day;
  comment on view analytics.balances_daily is 'Points of each member at the end of each day on which they moved; on the days in between the balance stays. Days are those of UTC. Worked out when asked for: name a member where one is enough. Written by points.';
  comment on column analytics.balances_daily.member_id is 'The member, as in analytics.members.';
  comment on column analytics.balances_daily.date is 'The day, in UTC, by the time that counts for the account (effective_at).';
  comment on column analytics.balances_daily.transactions is 'How many movements the day had.';
  comment on column analytics.balances_daily.change is 'Points that the day added, or took away where negative.';
  comment on column analytics.balances_daily.balance is 'Points at the end of the day: the sum of all changes up to it.';`;
