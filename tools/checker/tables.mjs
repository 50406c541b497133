import pg from 'pg';

/** Rows fetched at a time: a table is walked, never held. */
const FETCH_ROWS = 5_000;

/** Microseconds of a timestamptz as text, whatever zone and style the session has. */
const micros = (column) => `(extract(epoch from ${column}) * 1000000)::bigint::text as ${column}`;

const CLAIMS = `select kind, source, natural_id, claim_id, encode(hash, 'hex') as hash, status, reason, reference, account_id, revision,
  ${micros('occurred_at')}, ${micros('received_at')}, currency, total::text, content from points.claims where kind = 'purchase' order by source, natural_id`;
const RETURNS = `select source, natural_id, claim_id, status, reason, reference, account_id, purchase_id, content,
  (select min(position) from points.returned_lines line where line.return_claim = claim.claim_id) as position from points.claims claim where kind = 'return'`;
const CONFLICTS = `select source, natural_id, encode(hash, 'hex') as hash, reference, content from points.conflicts where kind = 'purchase'`;
const REFERENCES = `select reference, member_id from points.account_references`;
const EVENTS = `select e.position::text, stream_id, revision, event_id, type, data, ${micros('recorded_at')} from eventstore.events e order by e.position`;
const TRANSACTIONS = `select transaction_id, account_id, revision, member_id, kind, amount::text, written_off::text, return_id, ${micros('occurred_at')}, ${micros('effective_at')},
  ${micros('recorded_at')}, source, purchase_id, explanation from points.transactions`;
const DRAWS = `select account_id, revision, lot_id, amount::text, transaction_id from points.lot_draws`;
const LOTS = `select lot_id, account_id, amount::text, remaining::text, ${micros('earned_at')}, ${micros('available_at')}, expires_at from points.lots`;
const ACCOUNTS = `select account_id, member_id, revision, available::text, pending::text, held::text, debt::text, earned_total::text, redeemed_total::text,
  expired_total::text, reversed_total::text, ${micros('last_effective_at')} from points.accounts`;
const CHECKPOINTS = `select name, position from points.checkpoints`;
const BALANCES = `select member_id, balance::text, available::text, earned_total::text from analytics.points_balances`;
const VIEW_COUNTS = `select
  (select count(*) from analytics.points_transactions)::text as transactions, (select coalesce(sum(amount), 0) from analytics.points_transactions)::text as points,
  (select count(*) from analytics.purchases)::text as purchases, (select coalesce(sum(points), 0) from analytics.purchases)::text as purchase_points,
  (select coalesce(sum(remaining), 0) from analytics.points_lots)::text as remaining`;
const TOPIC = `topic = (select id from messaging.topics where name = `;
const OUTGOING = `select position::text, partition, key, value from messaging.log l where ${TOPIC} 'loyalty.points') order by l.position`;
const SEQUENCES = `select key, sequence::text from messaging.sequences where topic = 'loyalty.points'`;
const MEMBERS = `select member_id, external_id, card, ${micros('enrolled_at')}, source, status from members.members`;
const MEMBERS_VIEW = `select member_id, external_id, ${micros('enrolled_at')}, enrolment_source, status from analytics.members`;
const ENROLMENTS = `select position::text, partition, key, value from messaging.log l where ${TOPIC} 'loyalty.members') order by l.position`;
const ENROLMENT_SEQUENCES = `select key, sequence::text from messaging.sequences where topic = 'loyalty.members'`;
const INCOMING = `select position::text, partition, key, value from messaging.log l where ${TOPIC} 'commerce.purchases') order by l.position`;
const DEAD_LETTERS = `select topic, partition, "offset"::text as position, reason, octet_length(content) as bytes from messaging.dead_letters`;
const LAG = `select g.group_name, t.name as topic, count(*)::int as behind
  from (select distinct group_name, topic from messaging.offsets) g join messaging.topics t on t.id = g.topic join messaging.log l on l.topic = g.topic
  left join messaging.offsets o on o.group_name = g.group_name and o.topic = l.topic and o.partition = l.partition
  where l.position > coalesce(o.position, 0) group by 1, 2`;

export const STATEMENTS = {
  claims: CLAIMS,
  returns: RETURNS,
  conflicts: CONFLICTS,
  references: REFERENCES,
  events: EVENTS,
  transactions: TRANSACTIONS,
  lots: LOTS,
  draws: DRAWS,
  accounts: ACCOUNTS,
  checkpoints: CHECKPOINTS,
  balances: BALANCES,
  viewCounts: VIEW_COUNTS,
  outgoing: OUTGOING,
  sequences: SEQUENCES,
  members: MEMBERS,
  membersView: MEMBERS_VIEW,
  enrolments: ENROLMENTS,
  enrolmentSequences: ENROLMENT_SEQUENCES,
  incoming: INCOMING,
  deadLetters: DEAD_LETTERS,
  lag: LAG,
};

/** The tables as they stood at one moment, read in one transaction that sees nothing of what happens meanwhile. */
export class Tables {
  #client;
  #bus;
  #ledger;

  constructor(client, { bus, ledger }) {
    this.#client = client;
    this.#bus = bus;
    this.#ledger = ledger;
  }

  /** True where the relay to a broker may send again what it has sent. */
  get mayResend() {
    return this.#bus !== undefined;
  }

  /**
   * @param {string} url of a login that may read every schema
   * @param {{ bus?: import('./kafka-tables.mjs').KafkaTables, ledger?: import('./eventstoredb-tables.mjs').EventStoreDbTables }} elsewhere
   *   what has the topics, and what has the events, where they are not in PostgreSQL
   */
  static async open(url, elsewhere = {}) {
    const client = new pg.Client({ connectionString: url, application_name: 'vafa-checker' });
    await client.connect();
    await client.query('begin transaction isolation level repeatable read, read only');
    return new Tables(client, elsewhere);
  }

  /** The rows of one of `STATEMENTS`, in its order. */
  async *rows(name) {
    if (this.#ledger?.has(name)) return yield* this.#ledger.rows(name, this.#walk(name));
    if (this.#bus?.has(name)) yield* this.#bus.rows(name);
    if (!this.#bus?.replaces(name)) yield* this.#walk(name);
  }

  async *#walk(name) {
    await this.#client.query(`declare walk no scroll cursor for ${STATEMENTS[name]}`);
    for (;;) {
      const { rows } = await this.#client.query(`fetch ${FETCH_ROWS} from walk`);
      yield* rows;
      if (rows.length < FETCH_ROWS) break;
    }
    await this.#client.query('close walk');
  }

  async close() {
    await this.#client.end();
  }
}
