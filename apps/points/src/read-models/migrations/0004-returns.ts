import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Returns: which lines came back in which order (`returned_lines`, the reservation that decides what a return takes), what movements drew
 * from lots (`lot_draws`), and what analysts see of both. A return writes to them; a purchase does not.
 */
export class Returns1795000000004 implements MigrationInterface {
  readonly name = 'Returns1795000000004';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(RESERVATION);
    await runner.query(READ_MODELS);
    await runner.query(ANALYTICS);
  }

  async down(): Promise<void> {
    throw new Error('Migrations go forward only: restore a backup instead.');
  }
}

/**
 * One row a line that a return takes. `position` orders the returns of a purchase, from 1; amounts in minor units of the purchase's
 * currency, negative where a points payment is undone with the whole of its purchase.
 */
const RESERVATION = `
  create table points.returned_lines (
    source       text collate "C" not null,
    purchase_id  text collate "C" not null,
    position     integer not null check (position > 0),
    line_id      text collate "C" not null,
    amount       bigint  not null,
    quantity     numeric not null check (quantity >= 0),
    return_claim uuid    not null,
    primary key (source, purchase_id, position, line_id)
  );
  create index returned_lines_of_return on points.returned_lines (return_claim);
`;

const READ_MODELS = `
  alter table points.transactions alter column rule_version drop not null;
  alter table points.transactions add column return_id text;
  alter table points.transactions add column written_off bigint not null default 0;

  create table points.lot_draws (
    account_id     uuid    not null,
    revision       integer not null,
    lot_id         uuid    not null,
    amount         bigint  not null check (amount > 0),
    transaction_id uuid    not null,
    primary key (account_id, revision, lot_id)
  );
`;

const ANALYTICS = `
  create or replace view analytics.points_transactions as
    select transaction_id, member_id, kind, amount, occurred_at, effective_at, recorded_at, rule_version, source, purchase_id, explanation::jsonb as explanation,
           return_id, written_off
    from points.transactions;
  comment on view analytics.points_transactions is 'Every movement of points, one row each, also purchases that earned none and returns that took none. Written by points.';
  comment on column analytics.points_transactions.kind is 'What moved the points: earned, reversed (by a return), or written-off (what a return should have taken and could not).';
  comment on column analytics.points_transactions.amount is 'Points; positive adds to the balance, negative takes from it. Their sum is the balance.';
  comment on column analytics.points_transactions.rule_version is 'Version of the programme that decided; null where no single one did.';
  comment on column analytics.points_transactions.source is 'Who sent the purchase or the return, null where neither stands behind it.';
  comment on column analytics.points_transactions.purchase_id is 'The purchase, unique within its source; null where a return went back over several.';
  comment on column analytics.points_transactions.explanation is 'Why. Of earned: programme, currency, components (rule, version, rate, base in minor units, points, rounding, lines) and what was declined. Of reversed: what was kept before and after of each component.';
  comment on column analytics.points_transactions.return_id is 'The return, unique within its source; null where none stands behind it.';
  comment on column analytics.points_transactions.written_off is 'Points that the shop bears; they move no balance.';

  create or replace view analytics.purchases as
    select claim.source, claim.natural_id as purchase_id, claim.account_id as member_id, claim.occurred_at, claim.currency, claim.total,
           coalesce(back.amount, 0)::bigint as returned, coalesce(movement.amount, 0) as points,
           case claim.status when 'taking' then 'taken' else claim.status end as status, claim.received_at
    from points.claims claim left join points.transactions movement on movement.transaction_id = claim.claim_id
      left join lateral (
        select sum(amount) as amount from points.returned_lines line where line.source = claim.source and line.purchase_id = claim.natural_id
      ) back on true
    where claim.kind = 'purchase';
  comment on column analytics.purchases.points is 'Points earned, before any return.';

  create or replace view analytics.purchase_lines as
    select claim.source, claim.natural_id as purchase_id, line.position::integer as position, line.value->>'lineId' as line_id, line.value->>'sku' as sku,
           coalesce(line.value->>'kind', 'goods') as kind, (line.value->>'quantity')::numeric as quantity, (line.value->>'amount')::bigint as amount,
           coalesce(back.amount, 0)::bigint as returned, coalesce(back.quantity, 0) as returned_quantity
    from points.claims claim cross join lateral jsonb_array_elements(claim.content::jsonb->'lines') with ordinality as line(value, position)
      left join lateral (
        select sum(amount) as amount, sum(quantity) as quantity from points.returned_lines taken
        where taken.source = claim.source and taken.purchase_id = claim.natural_id and taken.line_id = line.value->>'lineId'
      ) back on true
    where claim.kind = 'purchase';
  comment on column analytics.purchase_lines.returned is 'What was given back for the line, in minor units of the currency.';
  comment on column analytics.purchase_lines.returned_quantity is 'How many or how much of the line came back.';
`;
