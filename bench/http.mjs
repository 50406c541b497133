import { HttpClient } from '../tools/load/http-client.mjs';
import { percentile, print } from './results.mjs';

const WAIT_SECONDS = 20;

/**
 * Purchases over HTTP, each outcome waited for.
 * @param {{ installation: object, set: import('./data.mjs').DataSet, source: string, perCall: number, inFlight: number, calls: number }} options
 */
export async function runHttp({ installation, set, source, perCall, inFlight, calls }) {
  const http = new HttpClient({ api: installation.run.api, token: await installation.token('service') });
  const events = set.purchases(source).slice(0, calls * perCall);
  const latencies = [];
  let next = 0;
  const lane = async () => {
    for (let from = next; from < events.length; from = next) {
      next += perCall;
      const started = performance.now();
      await send(http, events.slice(from, from + perCall), perCall);
      latencies.push(performance.now() - started);
    }
  };
  const cpuBefore = installation.cpuSeconds;
  const started = performance.now();
  await Promise.all(Array.from({ length: inFlight }, lane));
  const seconds = (performance.now() - started) / 1_000;
  const cpu = installation.cpuSeconds;
  http.close();
  latencies.sort((a, b) => a - b);
  const line = {
    measure: 'http',
    perCall,
    inFlight,
    purchases: events.length,
    perSecond: Math.round(events.length / seconds),
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    nodeCpuSeconds: Number((cpu.node - cpuBefore.node).toFixed(2)),
    postgresCpuSeconds: Number((cpu.postgres - cpuBefore.postgres).toFixed(2)),
  };
  print(line);
  return line;
}

async function send(http, events, perCall) {
  const headers = { prefer: `wait=${WAIT_SECONDS}` };
  const call =
    perCall === 1
      ? { path: '/v1/purchases', body: events[0], headers }
      : { path: '/v1/purchases/batch', body: events, headers };
  const { status, body } = await http.call({ ...call, timeoutMs: 60_000 });
  const results = perCall === 1 ? [body] : body.results;
  if (status !== 200 || results.some((result) => result.status !== 'taken'))
    throw new Error(`a purchase was not taken: ${status} ${JSON.stringify(body).slice(0, 500)}`);
}
