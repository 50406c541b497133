import { HttpClient } from '../tools/load/http-client.mjs';
import { Random } from '../tools/load/random.mjs';
import { percentile, print } from './results.mjs';

const PER_CALL = 500;

/** One account with all purchases of a set: what reads of its past are measured on. */
export async function fillAccount(installation, set) {
  const http = new HttpClient({ api: installation.run.api, token: await installation.token('service') });
  const events = set.purchases('/bench/past');
  for (let from = 0; from < events.length; from += PER_CALL) {
    const body = events.slice(from, from + PER_CALL);
    const answer = await http.call({
      path: '/v1/purchases/batch',
      body,
      headers: { prefer: 'wait=30' },
      timeoutMs: 60_000,
    });
    const { results } = answer.body;
    if (answer.status !== 200 || results.some(({ status }) => status !== 'taken'))
      throw new Error(`not everything was taken: ${answer.status}`);
  }
  http.close();
}

/**
 * What the returns of everybody else leave in the ledger's draws, put there without their purchases: nothing is proved where this was done.
 * A read of one account's past must not feel them.
 */
export async function fillOthers(installation, draws) {
  const client = await installation.connect();
  await client.query(
    `insert into points.lot_draws (account_id, revision, lot_id, amount, transaction_id)
     select gen_random_uuid(), 1, gen_random_uuid(), 1, gen_random_uuid() from generate_series(1, $1)`,
    [draws],
  );
  await client.query('analyze points.lot_draws');
  await client.end();
}

/**
 * Reads of an account as of moments all over its history, one at a time. Each balance is compared with the sum of what had been earned by then.
 * @param {{ installation: object, set: import('./data.mjs').DataSet, reads: number, path: '' | '/lots' | '/transactions' }} options
 */
export async function runPast({ installation, set, reads, path }) {
  const http = new HttpClient({ api: installation.run.api, token: await installation.token('support') });
  const random = new Random(reads);
  const earned = set.purchases('/bench/past').map(({ data }) => [data.occurredAt, Math.floor(data.total / 100)]);
  const latencies = [];
  for (let read = 0; read < reads; read++) {
    const nth = random.between(0, earned.length - 1);
    const [asOf] = earned[nth];
    const started = performance.now();
    const answer = await http.call({
      method: 'GET',
      path: `/v1/members/external:${set.members[0]}/points${path}?asOf=${asOf}`,
    });
    latencies.push(performance.now() - started);
    if (answer.status !== 200) throw new Error(`the past answered ${answer.status}`);
    const expected = earned.slice(0, nth + 1).reduce((sum, [, points]) => sum + points, 0);
    if (path === '' && answer.body.balance !== expected)
      throw new Error(`${answer.body.balance} points as of ${asOf} instead of ${expected}`);
  }
  http.close();
  latencies.sort((a, b) => a - b);
  const line = { measure: 'past', path, reads, p50Ms: percentile(latencies, 0.5), p99Ms: percentile(latencies, 0.99) };
  print(line);
  return line;
}
