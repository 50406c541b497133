import { setTimeout as sleep } from 'node:timers/promises';
import { print } from './results.mjs';

const POLL_MS = 20;
const TIMEOUT_MS = 600_000;

/**
 * A rebuild of all read models of points, from the request to the swap: creating the tables, folding every event, making the indexes.
 */
export async function runRebuild(installation) {
  const token = await installation.token('admin');
  const ask = async (method, path) => {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`${installation.run.api}/v1/read-models/points${path}`, { method, headers });
    if (!answer.ok) throw new Error(`the rebuild answered ${answer.status}: ${await answer.text()}`);
    return (await answer.json()).rebuild;
  };
  const started = performance.now();
  let rebuild = await ask('POST', '/rebuild');
  while (!['done', 'failed', 'interrupted'].includes(rebuild.state)) {
    if (performance.now() - started > TIMEOUT_MS) throw new Error(`the rebuild is ${rebuild.state} still`);
    await sleep(POLL_MS);
    rebuild = await ask('GET', '');
  }
  if (rebuild.state !== 'done') throw new Error(`the rebuild ${rebuild.state}: ${rebuild.failure}`);
  const seconds = (performance.now() - started) / 1_000;
  const line = {
    measure: 'rebuild',
    events: rebuild.events,
    seconds: Number(seconds.toFixed(2)),
    perSecond: Math.round(rebuild.events / seconds),
  };
  print(line);
  return line;
}
