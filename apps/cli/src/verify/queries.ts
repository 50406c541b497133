/** Account streams, by range rather than by pattern, so that the index on (stream_id, revision) gives them in order. */
const STREAMS = `stream_id >= 'account-' and stream_id < 'account.'`;

const at = (column: string): string => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
const times = (...columns: string[]): string =>
  columns.map((column) => `coalesce(${at(column)}, '-')`).join(` || ' ' || `);

/** How far the read models have come. */
export const FOLDED = `select position, events::int as events from points.checkpoints where name = 'points'`;

/** Events of accounts behind a position of the log in this database. */
export const BEHIND = `select count(*)::int as behind from eventstore.events where ${STREAMS} and position > $1::bigint`;

/** A copy of a log that lies elsewhere, for as long as the connection. */
export const LEDGER_COPY = 'pg_temp.ledger';
export const LEDGER_COLUMNS = ['stream_id', 'revision', 'event_id', 'type', 'data', 'recorded_at'] as const;
export const CREATE_COPY = `
  create temp table ledger (
    stream_id text collate "C" not null, revision integer not null, event_id uuid not null, type text not null,
    data text not null, recorded_at timestamptz not null)`;
export const INDEX_COPY = 'create index on pg_temp.ledger (stream_id, revision)';
export const DROP_COPY = 'drop table if exists pg_temp.ledger';

/** The log up to the checkpoint, stream by stream. */
export const declareEvents = (table: string, upTo: string): string => `
  declare log no scroll cursor for
  select substr(stream_id, 9) as account, revision, event_id as id, type, data, ${at('recorded_at')} as recorded_at
  from ${table} where ${STREAMS} ${upTo} order by stream_id, revision`;

export const FETCH_EVENTS = 'fetch 2000 from log';

export const ACCOUNTS = `
  select account_id as id, member_id as member, revision, available, pending, held, debt, earned_total, redeemed_total, expired_total, reversed_total,
         ${at('last_effective_at')} as last_effective_at, state_revision, state
  from points.accounts where account_id = any($1::uuid[])`;

/** The beginnings of streams, each up to a revision: for accounts whose snapshot lags behind their row. */
export const beginnings = (table: string): string => `
  select substr(event.stream_id, 9) as account, event.revision, event.event_id as id, event.type, event.data, ${at('event.recorded_at')} as recorded_at
  from unnest($1::text[], $2::integer[]) as wanted(account, upto)
  join ${table} event on event.stream_id = 'account-' || wanted.account and event.revision <= wanted.upto
  order by event.stream_id, event.revision`;

export const LOTS = `
  select lot_id as id, account_id as account, revision, amount, remaining, ${times('earned_at', 'available_at', 'expires_at')} as times
  from points.lots where account_id = any($1::uuid[])`;

export const MOVEMENTS = `
  select transaction_id as id, account_id as account, revision, member_id as member, amount, written_off as "writtenOff", source, purchase_id, return_id,
         kind, rule_version as rules, explanation as why, ${times('occurred_at', 'effective_at', 'recorded_at')} as times
  from points.transactions where transaction_id = any($1::uuid[])`;

export const DRAWS = `
  select revision || ' ' || lot_id || ' ' || transaction_id as id, account_id as account, amount
  from points.lot_draws where account_id = any($1::uuid[])`;

/** The money that came back with returns, by line. */
export const RETURNED = `
  select return_claim as id, source, purchase_id, line_id, amount from points.returned_lines where return_claim = any($1::uuid[])`;

/** The claims behind movements, found by their natural key. */
export const CLAIMS = `
  select claim.kind, claim.source, claim.natural_id, claim.claim_id as id, claim.status, claim.account_id as account
  from unnest($1::text[], $2::text[], $3::text[]) as wanted(kind, source, natural_id)
  join points.claims claim on claim.kind = wanted.kind and claim.source = wanted.source and claim.natural_id = wanted.natural_id`;

/** Sums that must equal those of the fold, in the tables and in what analysts see. */
export const TOTALS = `
  select (select count(*) from points.accounts)::text as accounts,
         (select count(*) from points.transactions)::text as movements,
         (select count(*) from points.lots)::text as lots,
         (select count(*) from points.lot_draws)::text as draws,
         (select coalesce(sum(amount), 0) from points.transactions)::text as points,
         (select coalesce(sum(remaining), 0) from points.lots)::text as remaining,
         (select count(*) from points.claims claim join points.transactions movement on movement.transaction_id = claim.claim_id)::text as claimed,
         (select count(*) from analytics.points_balances)::text as "analytics.points_balances",
         (select coalesce(sum(balance), 0) from analytics.points_balances)::text as "analytics.points_balances.balance",
         (select coalesce(sum(earned_total), 0) from analytics.points_balances)::text as "analytics.points_balances.earned_total",
         (select count(*) from analytics.points_transactions)::text as "analytics.points_transactions",
         (select coalesce(sum(amount), 0) from analytics.points_transactions)::text as "analytics.points_transactions.amount",
         (select coalesce(sum(remaining), 0) from analytics.points_lots)::text as "analytics.points_lots.remaining",
         (select coalesce(sum(points), 0) from analytics.purchases)::text as "analytics.purchases.points"`;

/** Claims that are taken and whose event the read models do not have; whether the ledger has it is asked there. Activities have none. */
export const UNSETTLED = `
  select claim.kind, claim.source, claim.natural_id, claim.claim_id as id, claim.status, 'account-' || claim.account_id as stream, claim.revision
  from points.claims claim
  where claim.status in ('taken', 'taking') and claim.kind <> 'activity'
    and not exists (select 1 from points.transactions movement where movement.transaction_id = claim.claim_id)
  limit 1000`;

/** References that do not lead to the member that members knows, and members that have none. */
export const REFERENCES = `
  with wanted as (
    select 'member:' || member_id as reference, member_id from members.members
    union all select 'external:' || external_id, member_id from members.members where external_id is not null
    union all select 'card:' || card, member_id from members.members where card is not null)
  select coalesce(wanted.reference, known.reference) as reference, wanted.member_id as expected, known.member_id as found
  from wanted full join points.account_references known on known.reference = wanted.reference
  where wanted.member_id is distinct from known.member_id
  limit 1000`;

/**
 * What waits although its member is known, and returns that wait although their purchase is settled, unless that is being replaced. A return of
 * somebody whom nobody knows waits for him, too.
 */
export const FORGOTTEN = `
  select claim.kind, claim.source, claim.natural_id, claim.reference
  from points.claims claim left join points.account_references known on known.reference = claim.reference
  left join points.claims purchase on purchase.kind = 'purchase' and purchase.source = claim.source and purchase.natural_id = claim.purchase_id
  where claim.status = 'waiting' and case
    when claim.kind <> 'return' or claim.purchase_id is null then known.reference is not null
    when purchase.status in ('anonymous', 'refused') then true
    else purchase.status = 'taken'
      and (known.reference is not null or claim.reference is null or claim.reference = purchase.reference or claim.reason = 'approved')
    end
    and not exists (
      select 1 from points.settlements under_way
      where under_way.finished_at is null and under_way.source = claim.source and under_way.natural_id in (claim.natural_id, claim.purchase_id))
  limit 1000`;

/** Every closing of a period, with its instants as the ledger has them. */
export const CLOSINGS = `
  select period, ${at('ends_at')} as ends_at, ${at('known_at')} as known_at, ${at('closed_at')} as closed_at
  from points.period_closings closing order by closing.ends_at`;

/** Lines that gave back more than they cost, or more than there was of them. */
export const OVERDRAWN = `
  with bought as (
    select claim.source, claim.natural_id as purchase_id, line->>'lineId' as line_id, (line->>'amount')::bigint as amount,
      coalesce((line->>'quantity')::numeric, 1) as quantity
    from (select distinct source, purchase_id from points.returned_lines) returned
    join points.claims claim on claim.kind = 'purchase' and claim.source = returned.source and claim.natural_id = returned.purchase_id
    cross join lateral jsonb_array_elements(claim.content::jsonb->'lines') line),
  back as (
    select source, purchase_id, line_id, sum(amount) as amount, sum(quantity) as quantity
    from points.returned_lines group by 1, 2, 3)
  select back.source, back.purchase_id, back.line_id, bought.amount as cost, back.amount as returned
  from back left join bought using (source, purchase_id, line_id)
  where bought.amount is null or back.quantity > bought.quantity or back.amount not between least(0, bought.amount) and greatest(0, bought.amount)
  limit 1000`;

/** Lines that are reserved for a return that is not taken, or for none. */
export const RESERVED = `
  select line.return_claim as id, claim.status
  from (select distinct return_claim from points.returned_lines) line left join points.claims claim on claim.claim_id = line.return_claim
  where claim.status is null or claim.kind <> 'return' or claim.status not in ('taken', 'taking', 'anonymous')
  limit 1000`;
