import { setTimeout as sleep } from 'node:timers/promises';
import { check, report } from '../tools/checker/check.mjs';
import { HttpClient } from '../tools/load/http-client.mjs';
import { settled } from '../tools/load/settled.mjs';
import { publish } from '../tools/load/topic-writer.mjs';
import { print } from './results.mjs';

const ENROL_PAGE = 500;
const ENROL_IN_FLIGHT = 4;
const PUBLISH_PAGE = 5_000;
const POLL_MS = 20;
const RUN_TIMEOUT_MS = 600_000;
const SETTLE_TIMEOUT_MS = 600_000;

/** Enrols members through the door, before anything is measured. @param {() => Promise<void>} atRest waits for what else is under way */
export async function enrol(installation, members, atRest = async () => undefined) {
  const http = new HttpClient({ api: installation.run.api, token: await installation.token('service') });
  const pages = [];
  for (let i = 0; i < members.length; i += ENROL_PAGE) pages.push(members.slice(i, i + ENROL_PAGE));
  const lane = async () => {
    for (let page = pages.pop(); page !== undefined; page = pages.pop()) {
      const body = { members: page.map((externalId) => ({ externalId })) };
      const answer = await http.call({ path: '/v1/members/batch', body, timeoutMs: 60_000 });
      if (answer.status !== 200) throw new Error(`enrolling answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    }
  };
  await Promise.all(Array.from({ length: ENROL_IN_FLIGHT }, lane));
  http.close();
  const client = await installation.connect();
  await settled(client, SETTLE_TIMEOUT_MS);
  await atRest();
  await client.end();
}

/**
 * Bus → claim → ledger → read models and outgoing events: with the process stopped everything is put on the bus; then it goes on, and the time
 * counts until the last purchase is in the read models.
 * @param {import('./data.mjs').DataSet} set
 * @param {(messages: { key: string, value: Buffer }[]) => Promise<void>} [send] puts a page on the bus, where that is not in PostgreSQL
 */
export async function runPipeline(installation, set, source, send) {
  const client = await installation.connect();
  await client.query('checkpoint');
  const before = await position(client);
  await installation.signal('SIGSTOP');
  await publishAll(set.purchases(source), send ?? ((messages) => publish(client, 'commerce.purchases', messages)));
  const cpuBefore = installation.cpuSeconds;
  const started = performance.now();
  await installation.signal('SIGCONT');
  const { first, last } = await follow(client, before, before + BigInt(set.count));
  const cpu = installation.cpuSeconds;
  await settled(client, SETTLE_TIMEOUT_MS);
  await compare(client, set, source);
  await client.end();
  const seconds = (last - started) / 1_000;
  const line = {
    measure: 'pipeline',
    data: set.name,
    purchases: set.count,
    seconds: Number(seconds.toFixed(2)),
    perSecond: Math.round(set.count / seconds),
    firstVisibleMs: Math.round(first - started),
    nodeCpuSeconds: Number((cpu.node - cpuBefore.node).toFixed(2)),
    postgresCpuSeconds: Number((cpu.postgres - cpuBefore.postgres).toFixed(2)),
  };
  print(line);
  return line;
}

/**
 * The whole of each purchase of a run comes back, one return each: reservation → ledger → read models and outgoing events, timed like the purchases.
 * @param {import('./data.mjs').DataSet} set
 */
export async function runReturns(installation, set, source) {
  const client = await installation.connect();
  await client.query('checkpoint');
  const before = await position(client);
  await installation.signal('SIGSTOP');
  const returns = set.purchases(source).map(({ data: { purchaseId, member, occurredAt }, ...event }) => ({
    ...event,
    type: 'commerce.purchase.returned',
    data: { returnId: `return-${purchaseId}`, purchaseId, member, occurredAt, whole: true },
  }));
  await publishAll(returns, (messages) => publish(client, 'commerce.purchases', messages));
  const started = performance.now();
  await installation.signal('SIGCONT');
  const { last } = await follow(client, before, before + BigInt(set.count));
  await settled(client, SETTLE_TIMEOUT_MS);
  const { rows } = await client.query(
    `select coalesce(-sum(amount), 0)::int as points from points.transactions where source = $1 and kind = 'reversed'`,
    [source],
  );
  await client.end();
  if (rows[0].points !== set.expected.points)
    throw new Error(`${set.name}: ${rows[0].points} points came back and ${set.expected.points} should`);
  const seconds = (last - started) / 1_000;
  const perSecond = Math.round(set.count / seconds);
  print({ measure: 'returns', data: set.name, returns: set.count, seconds: Number(seconds.toFixed(2)), perSecond });
  return perSecond;
}

async function publishAll(events, send) {
  for (let i = 0; i < events.length; i += PUBLISH_PAGE) {
    const page = events.slice(i, i + PUBLISH_PAGE);
    const messages = page.map((event) => ({ key: event.data.member, value: Buffer.from(JSON.stringify(event)) }));
    await send(messages);
  }
}

/** The last event that is in the read models. */
async function position(client) {
  const { rows } = await client.query(
    'select coalesce(max(position::bigint), 0)::text as position from points.checkpoints',
  );
  return BigInt(rows[0].position);
}

/** When the first and the last of these events came into the read models. */
async function follow(client, before, wanted) {
  const until = performance.now() + RUN_TIMEOUT_MS;
  let first;
  for (;;) {
    const at = await position(client);
    const now = performance.now();
    if (at > before) first ??= now;
    if (at >= wanted) return { first, last: now };
    if (now > until)
      throw new Error(`${wanted - at} purchases are not in the read models after ${RUN_TIMEOUT_MS / 1_000} s`);
    await sleep(POLL_MS);
  }
}

/** Correctness belongs to every run: what the set is known to be worth is what the analysts' views say. */
async function compare(client, { expected, name }, source) {
  const { rows } = await client.query(
    `select count(*)::int as purchases, count(distinct member_id)::int as members, coalesce(sum(points), 0)::int as points
     from analytics.purchases where source = $1 and status = 'taken'`,
    [source],
  );
  const { rows: largest } = await client.query(
    'select coalesce(max(total), 0)::int as largest from (select sum(points) as total from analytics.purchases where source = $1 group by member_id) sums',
    [source],
  );
  const found = { ...rows[0], ...(expected.largest !== undefined && largest[0]) };
  for (const [what, value] of Object.entries(expected))
    if (found[what] !== value) throw new Error(`${name}: ${what} is ${found[what]} and should be ${value}`);
}

/** Has the checker prove the whole installation; a benchmark of wrong results is worth nothing. */
export async function prove(installation) {
  const { violations, counts } = await check({ url: installation.run.databaseOwner });
  print({ check: violations.length === 0 ? 'nothing found' : 'violations', ...counts });
  if (violations.length > 0) throw new Error(report(violations).join('\n'));
}
