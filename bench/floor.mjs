// The floor: what this machine's PostgreSQL takes when one process does nothing but the writes that a purchase costs, into the tables of the
// real schema with their keys and indexes, in pages, over two connections. It decides nothing, checks nothing and survives nothing; how near the
// product comes to it is the figure that compares between machines.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { rmSync, mkdirSync, chmodSync } from 'node:fs';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { publish } from '../tools/load/topic-writer.mjs';
import { print } from './results.mjs';

const PAGE_SIZE = 2_000;
const PUBLISH_PAGE = 5_000;

/**
 * Takes a set once on a server of its own with fsync on.
 * @param {{ within: string, set: import('./data.mjs').DataSet }} options
 */
export async function runFloor({ within, set }) {
  const folder = join(within, `floor-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
  const { startEmbeddedPostgres } = await import('@vafa/persistence');
  const server = await startEmbeddedPostgres({ dataDir: join(folder, 'postgres'), port: 0, log: () => undefined });
  try {
    await prepare(server.url);
    const floor = new Floor(await connect(server.url), await connect(server.url));
    await floor.publish(set.purchases('/floor'));
    const started = performance.now();
    await floor.take();
    const seconds = (performance.now() - started) / 1_000;
    await floor.check(set.expected);
    await floor.close();
    const perSecond = Math.round(set.count / seconds);
    print({ measure: 'floor', data: set.name, purchases: set.count, seconds: Number(seconds.toFixed(2)), perSecond });
    return { perSecond };
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function prepare(url) {
  const [{ migrate }, { eventStoreMigrations }, { messagingMigrations }, { pointsService }] = await Promise.all([
    import('@vafa/persistence'),
    import('@vafa/event-sourcing'),
    import('@vafa/messaging'),
    import('@vafa/points'),
  ]);
  await migrate(url, [messagingMigrations, eventStoreMigrations, pointsService.migrations], () => undefined);
  const client = await connect(url);
  await client.query(
    `insert into messaging.topics (name, partitions, retention_ms) values ('commerce.purchases', 12, 86400000), ('loyalty.points', 12, 86400000)`,
  );
  await client.end();
}

async function connect(url) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

class Floor {
  #ledger;
  #projector;
  #accounts = new Map();
  #ids = 0;

  constructor(ledger, projector) {
    this.#ledger = ledger;
    this.#projector = projector;
  }

  async publish(events) {
    for (let i = 0; i < events.length; i += PUBLISH_PAGE) {
      const page = events.slice(i, i + PUBLISH_PAGE);
      const messages = page.map((event) => ({ key: event.data.member, value: Buffer.from(JSON.stringify(event)) }));
      await publish(this.#ledger, 'commerce.purchases', messages);
    }
    await this.#ledger.query('checkpoint');
  }

  /** One page is claimed and appended while the read models and outgoing events of the page before are written over the other connection. */
  async take() {
    let position = 0;
    let projecting;
    for (;;) {
      const { rows } = await this.#ledger.query({
        text: 'select position, key, value from messaging.log where topic = 1 and position > $1 order by position limit $2',
        values: [position, PAGE_SIZE],
        rowMode: 'array',
      });
      if (rows.length === 0) break;
      position = Number(rows.at(-1)[0]);
      const page = rows.map(([, , value]) => this.#decide(value));
      await this.#claimAndAppend(page, position);
      await projecting;
      projecting = this.#project(page, position);
    }
    await projecting;
  }

  #decide(value) {
    const { source, data } = JSON.parse(value.toString());
    const known = this.#accounts.get(data.member);
    const account = known ?? { id: this.#nextId(), revision: -1, available: 0, sequence: 0, lots: [] };
    if (known === undefined) this.#accounts.set(data.member, account);
    account.revision += 1;
    const points = Math.floor(data.total / 100);
    account.available += points;
    const id = this.#nextId();
    const lots = points === 0 ? [] : [{ lotId: id, amount: points, availableAt: data.occurredAt, expiresAt: null }];
    const component = {
      rule: 'base',
      version: 1,
      rate: [1, 100],
      base: data.total,
      points,
      rounding: 'floor',
      lines: ['1'],
    };
    const explanation = { programme: 1, currency: 'USD', components: points === 0 ? [] : [component], declined: [] };
    account.lots.push(...lots.map(({ lotId }) => [lotId, points, data.occurredAt, null]));
    return {
      id,
      source,
      data,
      points,
      account,
      revision: account.revision,
      available: account.available,
      hash: createHash('sha256').update(value).digest(),
      content: JSON.stringify(data),
      explanation: JSON.stringify(explanation),
      lots,
      event: JSON.stringify({
        ...{ transactionId: id, memberId: account.id, source, purchaseId: data.purchaseId },
        ...{ occurredAt: data.occurredAt, effectiveAt: data.occurredAt, amount: points, lots, explanation },
      }),
    };
  }

  /** Grows, as a uuidv7 does. */
  #nextId() {
    this.#ids += 1;
    return `01900000-0000-7000-8000-${this.#ids.toString(16).padStart(12, '0')}`;
  }

  async #claimAndAppend(page, position) {
    const client = this.#ledger;
    const now = new Date().toISOString();
    await client.query('begin');
    await client.query(CLAIM, [
      ...['source', 'id', 'hash'].map((name) => page.map((one) => one[name])),
      page.map(({ data }) => data.purchaseId),
      page.map(({ data }) => data.member),
      page.map(({ account }) => account.id),
      page.map(({ revision }) => revision - 1),
      page.map(({ data }) => data.occurredAt),
      page.map(({ data }) => data.total),
      page.map(({ content }) => content),
      now,
    ]);
    await client.query('select pg_advisory_xact_lock(1, 0)');
    await copy(
      client,
      'eventstore.events (stream_id, revision, event_id, type, data, metadata, recorded_at)',
      page,
      (one) => [...[`account-${one.account.id}`, one.revision, one.id, 'PointsEarned', one.event, '{"schema":1}', now]],
    );
    await client.query(OFFSET, [position]);
    await client.query('commit');
  }

  async #project(page, position) {
    const client = this.#projector;
    const now = new Date().toISOString();
    await client.query('begin');
    await copy(
      client,
      `points.transactions (${MOVEMENT})`,
      page,
      ({ id, account, revision, points, data, source, explanation }) => [
        ...[id, account.id, revision, account.id, 'earned', points, data.occurredAt, data.occurredAt, now, 1],
        ...[source, data.purchaseId, explanation],
      ],
    );
    const lots = page.filter(({ points }) => points > 0);
    await copy(client, `points.lots (${LOT})`, lots, ({ id, account, revision, points, data }) => [
      ...[id, account.id, points, points, data.occurredAt, data.occurredAt, null, revision],
    ]);
    await this.#writeAccounts(page);
    await this.#tell(page, now);
    await client.query(
      'insert into points.checkpoints (name, position) values ($1, $2) on conflict (name) do update set position = excluded.position, as_of = clock_timestamp()',
      ['points', String(position)],
    );
    await client.query('commit');
  }

  async #writeAccounts(page) {
    const latest = [...new Map(page.map((one) => [one.account.id, one])).values()];
    await this.#projector.query(ACCOUNTS, [
      latest.map(({ account }) => account.id),
      latest.map(({ revision }) => revision),
      latest.map(({ available }) => available),
      latest.map(({ data }) => data.occurredAt),
      latest.map(({ account }) => JSON.stringify({ available: account.available, lots: account.lots })),
    ]);
  }

  /** Two events a purchase, as the product tells: that it was accepted, and what it earned. */
  async #tell(page, now) {
    const counts = new Map();
    const messages = page.flatMap(({ id, account, source, data, points, available }) => {
      const purchase = { source, purchaseId: data.purchaseId, memberId: account.id, transactionId: id };
      const times = { occurredAt: data.occurredAt, effectiveAt: data.occurredAt };
      const accepted = {
        type: 'loyalty.purchase.accepted',
        data: { ...purchase, status: 'taken', points, reason: null },
      };
      const earned = {
        type: 'loyalty.points.earned',
        data: { ...purchase, ...times, accountId: account.id, amount: points, balance: available },
      };
      const told = points === 0 ? [accepted] : [accepted, earned];
      counts.set(account.id, (counts.get(account.id) ?? 0) + told.length);
      return told.map((event) => {
        account.sequence += 1;
        const envelope = {
          specversion: '1.0',
          id: `${id}:${event.type}`,
          source: '/vafa/points',
          time: now,
          datacontenttype: 'application/json',
        };
        return [account.id, JSON.stringify({ ...envelope, ...event, sequence: account.sequence })];
      });
    });
    await this.#projector.query(SEQUENCES, [[...counts.keys()], [...counts.values()]]);
    await this.#projector.query('select pg_advisory_xact_lock(2, 2)');
    await copy(this.#projector, 'messaging.log (topic, partition, key, headers, value)', messages, ([key, value]) => [
      ...[2, 0, key, '{"content-type":"application/cloudevents+json"}', `\\x${Buffer.from(value).toString('hex')}`],
    ]);
  }

  async check({ purchases, members, points }) {
    const { rows } = await this.#projector.query(`select sum(available)::int as points, count(*)::int as members,
      (select count(*)::int from eventstore.events) as purchases from points.accounts`);
    const [found] = rows;
    if (found.points !== points || found.members !== members || found.purchases !== purchases)
      throw new Error(`the floor wrote ${JSON.stringify(found)}`);
  }

  async close() {
    await this.#ledger.end();
    await this.#projector.end();
  }
}

const CLAIM = `
  insert into points.claims (kind, source, natural_id, claim_id, hash, status, reference, account_id, revision, occurred_at, received_at, currency, total, content)
  select 'purchase', source, natural_id, claim_id, hash, 'taken', reference, account_id, revision, occurred_at, $11::timestamptz, 'USD', total, content
  from unnest($1::text[], $2::uuid[], $3::bytea[], $4::text[], $5::text[], $6::uuid[], $7::int[], $8::timestamptz[], $9::bigint[], $10::text[])
    as page (source, claim_id, hash, natural_id, reference, account_id, revision, occurred_at, total, content)
  on conflict do nothing`;
const OFFSET = `
  insert into messaging.offsets (group_name, topic, partition, position) select 'floor', 1, partition, $1 from generate_series(0, 11) as p (partition)
  on conflict (group_name, topic, partition) do update set position = excluded.position`;
const MOVEMENT =
  'transaction_id, account_id, revision, member_id, kind, amount, occurred_at, effective_at, recorded_at, rule_version, source, purchase_id, explanation';
const LOT = 'lot_id, account_id, amount, remaining, earned_at, available_at, expires_at, revision';
const ACCOUNTS = `
  insert into points.accounts as a (account_id, member_id, revision, available, earned_total, last_effective_at, state_revision, state)
  select id, id, revision, available, available, at, revision, state
  from unnest($1::uuid[], $2::int[], $3::bigint[], $4::timestamptz[], $5::text[]) as page (id, revision, available, at, state)
  on conflict (account_id) do update set revision = excluded.revision, available = excluded.available, earned_total = excluded.earned_total,
    last_effective_at = excluded.last_effective_at, state_revision = excluded.state_revision, state = excluded.state`;
const SEQUENCES = `
  insert into messaging.sequences as s (topic, key, sequence) select 'loyalty.points', key, count from unnest($1::text[], $2::bigint[]) as page (key, count)
  on conflict (topic, key) do update set sequence = s.sequence + excluded.sequence`;

function copy(client, target, rows, toCells) {
  const text = rows.map((row) => `${toCells(row).map(cell).join('\t')}\n`).join('');
  return new Promise((resolve, reject) => {
    client
      .query(copyFrom(`copy ${target} from stdin`))
      .on('finish', resolve)
      .on('error', reject)
      .end(text);
  });
}

const cell = (value) => (value === null ? '\\N' : typeof value === 'string' ? value.replaceAll('\\', '\\\\') : value);
