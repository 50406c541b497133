// Faults planted into the tables of a sound installation, each with the kind of violation that the checker must answer. They stand for what goes
// wrong in a product: an event lost or written twice, a read model that skipped a page, a checkpoint that ran ahead, a message never told.

/** @typedef {{ name: string, sql: string, finds: string }} PlantedFault */

const AN_EVENT = "(select position from eventstore.events where type = 'PointsEarned' order by position desc limit 1)";
const A_MIDDLE_EVENT = `(select position from eventstore.events e where revision = 0 and exists
  (select from eventstore.events n where n.stream_id = e.stream_id and n.revision = 1) limit 1)`;
const A_MOVEMENT =
  "(select transaction_id from points.transactions where kind = 'earned' and amount > 0 order by recorded_at desc, transaction_id limit 1)";
const TAKEN =
  "(select claim_id from points.claims where status = 'taken' and kind = 'purchase' order by claim_id limit 1)";
const OUT = "(select id from messaging.topics where name = 'loyalty.points')";
const AN_ACCOUNT = '(select account_id from points.accounts where available > 0 order by account_id limit 1)';

const TOLD = "(select id from messaging.topics where name = 'loyalty.members')";
const OF_CEM = `convert_from(value, 'UTF8') like '%"externalId":"cem"%'`;

const A_REVERSAL =
  "(select position from eventstore.events where type = 'PointsReversed' order by position desc limit 1)";

/** @type {readonly PlantedFault[]} */
export const PLANTED_FAULTS = [
  {
    name: 'a return took a point too many',
    sql: `update eventstore.events set data = replace(data, '"amount":', '"amount":1') where position = ${A_REVERSAL}`,
    finds: 'reversal-differs',
  },
  {
    name: 'a return was worked out on what had come back before',
    sql: `update eventstore.events set data = jsonb_set(data::jsonb, '{reversals,0,components,0,points}', '0')::text where position = ${A_REVERSAL}`,
    finds: 'kept-differs',
  },
  {
    name: 'a return took the money of fewer pieces than came back',
    sql: `update points.claims set content = jsonb_set(content::jsonb, '{lines,0,quantity}', '"1.5"')::text
      where kind = 'return' and status = 'taken' and natural_id = 'r-cheaper'`,
    finds: 'kept-differs',
  },
  {
    name: 'more pieces came back than were bought',
    sql: `update points.claims set content = jsonb_set(content::jsonb, '{lines,0,quantity}', '"2.5"')::text
      where kind = 'return' and status = 'taken' and natural_id = 'r-half'`,
    finds: 'returned-twice',
  },
  {
    name: 'a return reached the ledger twice',
    sql: `insert into eventstore.events (stream_id, revision, event_id, type, data, metadata, recorded_at)
      select stream_id, (select max(revision) + 1 from eventstore.events e where e.stream_id = again.stream_id), id, type,
        jsonb_set(data::jsonb, '{transactionId}', to_jsonb(id::text))::text, metadata, recorded_at
      from (select e.*, gen_random_uuid() as id from eventstore.events e where position = ${A_REVERSAL}) again`,
    finds: 'event-unclaimed',
  },
  {
    name: 'a return is lost',
    sql: `delete from points.claims where kind = 'return' and status = 'waiting'`,
    finds: 'claim-missing',
  },
  {
    name: 'a return was forgotten when its purchase came',
    sql: `update points.claims set status = 'waiting' where kind = 'return' and status = 'taken'`,
    finds: 'return-forgotten',
  },
  {
    name: 'a draw of a lot is missing',
    sql: `delete from points.lot_draws where transaction_id = (select transaction_id from points.lot_draws limit 1)`,
    finds: 'draw-missing',
  },
  {
    name: 'a lot was not drawn from',
    sql: `update points.lots set remaining = amount where remaining < amount`,
    finds: 'lot-differs',
  },
  {
    name: 'a reversal was never told',
    sql: `delete from messaging.log where topic = ${OUT} and convert_from(value, 'UTF8') like '%loyalty.points.reversed%'`,
    finds: 'outgoing-missing',
  },
  {
    name: 'an event is lost',
    sql: `delete from eventstore.events where position = ${AN_EVENT}`,
    finds: 'event-missing',
  },
  {
    name: 'an event is lost from the middle of a stream',
    sql: `delete from eventstore.events where position = ${A_MIDDLE_EVENT}`,
    finds: 'revision-gap',
  },
  {
    name: 'an event is written twice, under the same id',
    sql: `insert into eventstore.events (stream_id, revision, event_id, type, data, metadata, recorded_at)
      select stream_id, (select max(revision) + 1 from eventstore.events e where e.stream_id = events.stream_id), event_id, type, data, metadata, recorded_at
      from eventstore.events where position = ${AN_EVENT}`,
    finds: 'event-id-repeated',
  },
  {
    name: 'an event is written twice, under a random id',
    sql: `insert into eventstore.events (stream_id, revision, event_id, type, data, metadata, recorded_at)
      select stream_id, (select max(revision) + 1 from eventstore.events e where e.stream_id = again.stream_id), id, type,
        jsonb_set(data::jsonb, '{transactionId}', to_jsonb(id::text))::text, metadata, recorded_at
      from (select e.*, gen_random_uuid() as id from eventstore.events e where position = ${AN_EVENT}) again`,
    finds: 'event-unclaimed',
  },
  {
    name: 'an award has one point more',
    sql: `update eventstore.events set data = jsonb_set(data::jsonb, '{amount}', to_jsonb((data::jsonb->>'amount')::int + 1))::text where position = ${AN_EVENT}`,
    finds: 'points-differ',
  },
  {
    name: 'an account goes back in time',
    sql: `update eventstore.events set data = jsonb_set(data::jsonb, '{effectiveAt}', '"1999-01-01T00:00:00Z"')::text where position = ${AN_EVENT}`,
    finds: 'effective-time-differs',
  },
  { name: 'a claim is lost', sql: `delete from points.claims where claim_id = ${TAKEN}`, finds: 'claim-missing' },
  {
    name: 'a claim waits and its event is in the ledger',
    sql: `update points.claims set status = 'waiting' where claim_id = ${TAKEN}`,
    finds: 'event-of-untaken',
  },
  {
    name: 'a claim has the hash of other content',
    sql: `update points.claims set hash = sha256('other') where claim_id = ${TAKEN}`,
    finds: 'claim-invented',
  },
  {
    name: 'a claim belongs to another account',
    sql: `update points.claims set account_id = gen_random_uuid() where claim_id = ${TAKEN}`,
    finds: 'event-differs',
  },
  {
    name: 'taking up a waiting claim was forgotten',
    sql: `insert into points.account_references select reference, gen_random_uuid() from points.claims where status = 'waiting' on conflict do nothing`,
    finds: 'status-differs',
  },
  { name: 'a conflict is dropped', sql: `delete from points.conflicts`, finds: 'conflict-lost' },
  {
    name: 'a lot is doubled',
    sql: `update points.lots set amount = amount * 2 where lot_id = ${A_MOVEMENT}`,
    finds: 'lot-differs',
  },
  { name: 'a lot is missing', sql: `delete from points.lots where lot_id = ${A_MOVEMENT}`, finds: 'lot-missing' },
  {
    name: 'a page of the log was skipped',
    sql: `delete from points.transactions where transaction_id = ${A_MOVEMENT}`,
    finds: 'transaction-missing',
  },
  {
    name: 'a page was folded twice into the balances',
    sql: `update points.accounts set available = available + 1, earned_total = earned_total + 1 where account_id = ${AN_ACCOUNT}`,
    finds: 'account-differs',
  },
  {
    name: 'the checkpoint ran ahead of the log',
    sql: `update points.checkpoints set position = (position::bigint + 1)::text`,
    finds: 'checkpoint-ahead',
  },
  {
    name: 'the checkpoint was not written',
    sql: `update points.checkpoints set position = (position::bigint - 1)::text`,
    finds: 'checkpoint-behind',
  },
  {
    name: 'an outgoing event is lost',
    sql: `delete from messaging.log where topic = ${OUT} and position = (select max(position) from messaging.log where topic = ${OUT})`,
    finds: 'outgoing-missing',
  },
  {
    name: 'an outgoing event is lost and the next took its number',
    sql: `update messaging.log set value = replace(convert_from(value, 'UTF8'), ':loyalty.purchase.accepted"', ':other"')::bytea
      where topic = ${OUT} and position = (select min(position) from messaging.log where topic = ${OUT} and convert_from(value, 'UTF8') like '%:loyalty.purchase.accepted"%')`,
    finds: 'outgoing-invented',
  },
  {
    name: 'a number of a sequence is left out',
    sql: `delete from messaging.log where topic = ${OUT} and position = (select min(a.position) from messaging.log a where topic = ${OUT}
      and exists (select from messaging.log b where b.topic = a.topic and b.key = a.key and b.position > a.position))`,
    finds: 'sequence-gap',
  },
  {
    name: 'a counter of a sequence went back',
    sql: `update messaging.sequences set sequence = sequence - 1 where topic = 'loyalty.points'`,
    finds: 'sequence-differs',
  },
  {
    name: 'a message was left on the bus',
    sql: `update messaging.offsets set position = position - 1 where position > 0`,
    finds: 'not-taken',
  },
  { name: 'a dead letter is swallowed', sql: `delete from messaging.dead_letters`, finds: 'dead-letter-missing' },
  {
    name: 'a member changed hands',
    sql: `update points.account_references set member_id = gen_random_uuid() where reference = (select reference from points.claims where status = 'taken' and kind = 'purchase' limit 1)`,
    finds: 'account-differs',
  },
  {
    name: 'a member was given two purchases in another order than the bus had them',
    sql: `update messaging.log l set value = o.value from messaging.log o where o.topic = l.topic and o.key = l.key and o.position <> l.position
      and (select array_agg(position) from (select position from messaging.log where topic = l.topic and key = 'external:bob' order by 1 limit 2) two)
        @> array[l.position, o.position]`,
    finds: 'order-broken',
  },
  {
    name: 'a member is lost',
    sql: `delete from members.members where external_id = 'cem'`,
    finds: 'member-lost',
  },
  {
    name: 'a member was never told of',
    sql: `delete from messaging.log where topic = ${TOLD} and ${OF_CEM}`,
    finds: 'member-untold',
  },
  {
    name: 'a member was told of twice',
    sql: `insert into messaging.log (topic, partition, key, headers, value)
      select topic, partition, key, headers, replace(convert_from(value, 'UTF8'), '"sequence":1', '"sequence":2')::bytea
      from messaging.log where topic = ${TOLD} and ${OF_CEM}`,
    finds: 'member-told-twice',
  },
  {
    name: 'somebody was told of who is no member',
    sql: `delete from members.members where external_id = 'cem'`,
    finds: 'member-invented',
  },
  {
    name: 'a member was told of with the id of another',
    sql: `update members.members set external_id = 'eve' where external_id = 'cem'`,
    finds: 'member-told-differs',
  },
  {
    name: 'a member does not belong to his references',
    sql: `update points.account_references set member_id = gen_random_uuid() where reference = 'external:cem'`,
    finds: 'reference-differs',
  },
  {
    name: 'a counter of the members went back',
    sql: `update messaging.sequences set sequence = sequence - 1 where topic = 'loyalty.members'`,
    finds: 'sequence-differs',
  },
  {
    name: 'a member is kept from the analysts',
    sql: `create or replace view analytics.members as select member_id, external_id, enrolled_at, source as enrolment_source, status
      from members.members where external_id <> 'cem'`,
    finds: 'members-view-differs',
  },
];
