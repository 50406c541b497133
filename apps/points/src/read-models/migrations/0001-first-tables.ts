import { createCheckpointTable } from '@vafa/event-sourcing';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The register of everything that came in (`claims`, `conflicts`), who is who (`account_references`), and the read models of the
 * ledger, with what analysts see of them. The tables on the path of a purchase carry only the indexes that are read: each costs.
 */
export class FirstTables1795000000001 implements MigrationInterface {
  readonly name = 'FirstTables1795000000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(REGISTER);
    await runner.query(READ_MODELS);
    await runner.query(createCheckpointTable('points.checkpoints'));
    await runner.query(ANALYTICS);
  }

  async down(): Promise<void> {
    throw new Error('Migrations go forward only: restore a backup instead.');
  }
}

/** Everything that ever came in, and who is who. */
const REGISTER = `
  create table points.claims (
    kind         text collate "C"        not null,
    source       text collate "C"        not null,
    natural_id   text collate "C"        not null,
    claim_id     uuid        not null,
    hash         bytea       not null,
    status       text        not null check (status in ('taken', 'taking', 'waiting', 'anonymous', 'refused')),
    reason       text,
    reference    text collate "C",
    account_id   uuid,
    revision     integer     not null,
    occurred_at  timestamptz not null,
    received_at  timestamptz not null,
    currency     text        not null,
    total        bigint      not null,
    content      text        not null,
    primary key (kind, source, natural_id)
  );
  create index claims_open on points.claims (reference, occurred_at) where status in ('waiting', 'taking');

  create table points.conflicts (
    kind         text collate "C"        not null,
    source       text collate "C"        not null,
    natural_id   text collate "C"        not null,
    hash         bytea       not null,
    reference    text collate "C"        not null,
    content      text        not null,
    received_at  timestamptz not null,
    primary key (kind, source, natural_id, hash, reference)
  );

  create table points.account_references (
    reference    text collate "C"        primary key,
    member_id    uuid        not null
  );
`;

/** What is folded of the ledger. */
const READ_MODELS = `
  create table points.accounts (
    account_id        uuid    primary key,
    member_id         uuid    not null,
    revision          integer not null,
    available         bigint  not null,
    pending           bigint  not null default 0,
    held              bigint  not null default 0,
    debt              bigint  not null default 0,
    earned_total      bigint  not null,
    redeemed_total    bigint  not null default 0,
    expired_total     bigint  not null default 0,
    reversed_total    bigint  not null default 0,
    last_effective_at timestamptz not null,
    state_revision    integer not null,
    state             text    not null
  );

  create table points.transactions (
    transaction_id uuid        primary key,
    account_id     uuid        not null,
    revision       integer     not null,
    member_id      uuid        not null,
    kind           text collate "C"        not null,
    amount         bigint      not null,
    occurred_at    timestamptz not null,
    effective_at   timestamptz not null,
    recorded_at    timestamptz not null,
    rule_version   integer     not null,
    source         text,
    purchase_id    text,
    explanation    text        not null
  );
  create unique index transactions_of_account on points.transactions (account_id, revision);

  create table points.lots (
    lot_id         uuid        primary key,
    account_id     uuid        not null,
    amount         bigint      not null,
    remaining      bigint      not null,
    earned_at      timestamptz not null,
    available_at   timestamptz not null,
    expires_at     timestamptz
  );
  create index lots_of_account on points.lots (account_id);
`;

/** Views, so that nothing is written twice; their owner may read the tables, and the role analyst only these. */
const ANALYTICS = `
  create view analytics.points_balances as
    select member_id, available + held - debt as balance, available, pending, held, debt, earned_total, redeemed_total, expired_total, reversed_total
    from points.accounts;
  comment on view analytics.points_balances is 'Points of each member who has any movement, now. Written by points.';
  comment on column analytics.points_balances.member_id is 'The member, as in analytics.members.';
  comment on column analytics.points_balances.balance is 'Points: available + held - debt. Pending points stand apart.';
  comment on column analytics.points_balances.available is 'Points that can be spent now.';
  comment on column analytics.points_balances.pending is 'Points earned that cannot be spent yet.';
  comment on column analytics.points_balances.held is 'Points set aside for a redemption under way.';
  comment on column analytics.points_balances.debt is 'Points owed after a return; the next credits pay it first.';
  comment on column analytics.points_balances.earned_total is 'All points ever earned.';
  comment on column analytics.points_balances.redeemed_total is 'All points ever redeemed.';
  comment on column analytics.points_balances.expired_total is 'All points ever expired.';
  comment on column analytics.points_balances.reversed_total is 'All points ever taken back for returns.';

  create view analytics.points_transactions as
    select transaction_id, member_id, kind, amount, occurred_at, effective_at, recorded_at, rule_version, source, purchase_id, explanation::jsonb as explanation
    from points.transactions;
  comment on view analytics.points_transactions is 'Every movement of points, one row each, also purchases that earned none. Written by points.';
  comment on column analytics.points_transactions.transaction_id is 'The movement; also the id of its event in the ledger.';
  comment on column analytics.points_transactions.member_id is 'The member, as in analytics.members.';
  comment on column analytics.points_transactions.kind is 'What moved the points: earned.';
  comment on column analytics.points_transactions.amount is 'Points; positive adds to the balance.';
  comment on column analytics.points_transactions.occurred_at is 'When it happened, as the source said.';
  comment on column analytics.points_transactions.effective_at is 'When it counts for the account: occurred_at, or the account''s own time where that was later.';
  comment on column analytics.points_transactions.recorded_at is 'When the ledger took it.';
  comment on column analytics.points_transactions.rule_version is 'Version of the programme that decided.';
  comment on column analytics.points_transactions.source is 'Who sent the purchase, null where no purchase stands behind it.';
  comment on column analytics.points_transactions.purchase_id is 'The purchase, unique within its source.';
  comment on column analytics.points_transactions.explanation is 'Why: programme, currency, components (rule, version, rate, base in minor units, points, rounding, lines) and what was declined.';

  create view analytics.points_lots as
    select lot.lot_id, account.member_id, lot.amount, lot.remaining, lot.earned_at, lot.available_at, lot.expires_at
    from points.lots lot join points.accounts account using (account_id);
  comment on view analytics.points_lots is 'Points by origin, with what is left of each. Written by points.';
  comment on column analytics.points_lots.lot_id is 'The lot; for points earned it is the transaction''s id.';
  comment on column analytics.points_lots.member_id is 'The member, as in analytics.members.';
  comment on column analytics.points_lots.amount is 'Points at the beginning.';
  comment on column analytics.points_lots.remaining is 'Points left.';
  comment on column analytics.points_lots.earned_at is 'When the points were earned.';
  comment on column analytics.points_lots.available_at is 'From when they may be spent.';
  comment on column analytics.points_lots.expires_at is 'Until when, null for ever.';

  create view analytics.purchases as
    select claim.source, claim.natural_id as purchase_id, claim.account_id as member_id, claim.occurred_at, claim.currency, claim.total, 0::bigint as returned,
           coalesce(movement.amount, 0) as points, case claim.status when 'taking' then 'taken' else claim.status end as status, claim.received_at
    from points.claims claim left join points.transactions movement on movement.transaction_id = claim.claim_id
    where claim.kind = 'purchase';
  comment on view analytics.purchases is 'Every purchase that came in, whatever became of it. Written by points.';
  comment on column analytics.purchases.source is 'Who sent it.';
  comment on column analytics.purchases.purchase_id is 'Its id, unique within the source.';
  comment on column analytics.purchases.member_id is 'The member, null while unknown or anonymous.';
  comment on column analytics.purchases.occurred_at is 'When it was made.';
  comment on column analytics.purchases.currency is 'ISO 4217.';
  comment on column analytics.purchases.total is 'What was paid, in minor units of the currency.';
  comment on column analytics.purchases.returned is 'What was given back, in minor units of the currency.';
  comment on column analytics.purchases.points is 'Points earned.';
  comment on column analytics.purchases.status is 'taken, waiting (its member is unknown), anonymous or refused.';
  comment on column analytics.purchases.received_at is 'When it came in.';

  create view analytics.purchase_lines as
    select claim.source, claim.natural_id as purchase_id, line.position::integer as position, line.value->>'lineId' as line_id, line.value->>'sku' as sku,
           coalesce(line.value->>'kind', 'goods') as kind, (line.value->>'quantity')::numeric as quantity, (line.value->>'amount')::bigint as amount
    from points.claims claim cross join lateral jsonb_array_elements(claim.content::jsonb->'lines') with ordinality as line(value, position)
    where claim.kind = 'purchase';
  comment on view analytics.purchase_lines is 'The lines of every purchase. Written by points.';
  comment on column analytics.purchase_lines.source is 'Who sent the purchase.';
  comment on column analytics.purchase_lines.purchase_id is 'The purchase, unique within its source.';
  comment on column analytics.purchase_lines.position is 'The line''s place on the receipt, from 1.';
  comment on column analytics.purchase_lines.line_id is 'The line''s own id.';
  comment on column analytics.purchase_lines.sku is 'What was bought.';
  comment on column analytics.purchase_lines.kind is 'goods, service, shipping, gift-card, fee or points-payment.';
  comment on column analytics.purchase_lines.quantity is 'How many or how much.';
  comment on column analytics.purchase_lines.amount is 'What was paid for the line, in minor units of the currency, after discounts.';

  create view analytics.freshness as
    select name as "table", position, as_of from points.checkpoints;
  comment on view analytics.freshness is 'How far each group of tables has followed the ledger.';
  comment on column analytics.freshness."table" is 'Which read models.';
  comment on column analytics.freshness.position is 'The last event of the ledger that is in them; opaque.';
  comment on column analytics.freshness.as_of is 'When that event was recorded.';

`;
