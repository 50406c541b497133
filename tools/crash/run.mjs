import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { check } from '../checker/check.mjs';
import { contentHash, keptOf, pointsFor } from '../checker/model.mjs';
import { HttpClient } from '../load/http-client.mjs';
import { InputLog } from '../load/input-log.mjs';
import { Installation } from '../load/installation.mjs';
import { PostgresBus } from '../load/postgres-bus.mjs';
import { Random } from '../load/random.mjs';
import { settled } from '../load/settled.mjs';
import { LedgerInEventStoreDb, LedgerInPostgres } from './eventstoredb-ledger.mjs';
import { FAULTS } from './faults.mjs';
import { Importer } from './importer.mjs';
import { Senders } from './senders.mjs';
import { Workload } from './workload.mjs';

const WORKERS = 8;
const PAUSE_MS = 250;
const FAULT_EVERY_MS = { low: 1_500, high: 6_000 };
const SETTLE_TIMEOUT_MS = 120_000;
const REPEATS = 2_000;
/** How long the tail of repeats may take once there are no faults any more. */
const DRAIN_TIMEOUT_MS = 120_000;

/**
 * Runs the load against a real installation and does to it what `FAULTS` says, for so many minutes; then lets it come to rest and checks it.
 * With `eventstoredb` the ledger is in the stand-in for EventStoreDB, a process of its own, and that is harmed at the same time.
 * @param {{ seed: number, minutes: number, keep: boolean, eventstoredb: boolean, say: (line: string) => void }} options
 * @returns {Promise<{ violations: object[], counts: object, faults: Record<string, number>, faultsTold: number, imports: object, folder: string }>}
 *   `faultsTold`: answers 500 while something was broken; `imports`: files that came in whole, and how often their importer was killed or gave up
 */
export async function run({ seed, minutes, keep, eventstoredb, say }) {
  const ledger = eventstoredb ? await LedgerInEventStoreDb.start() : new LedgerInPostgres();
  const installation = new Installation({ env: ledger.env });
  const stop = () => void installation.dispose({ keep }).finally(() => process.exit(130));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop);
  let sound = false;
  try {
    const result = await new CrashRun({ installation, ledger, seed, minutes, say }).run();
    sound = result.violations.length === 0;
    return { ...result, folder: installation.folder };
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, stop);
    await installation.dispose({ keep: keep || !sound });
    await ledger.close();
  }
}

class CrashRun {
  #installation;
  #ledger;
  #seed;
  #random;
  #workload;
  #minutes;
  #say;
  #log;
  #senders;
  #importer;
  #http;
  #repeats = [];
  #sending = true;
  /** Whether nobody is to go on any more, be it with what was unanswered. */
  #over = false;
  #faults = {};
  #done = 0;

  constructor({ installation, ledger, seed, minutes, say }) {
    this.#installation = installation;
    this.#ledger = ledger;
    this.#seed = seed;
    this.#random = new Random(seed);
    this.#workload = new Workload(new Random(seed ^ 0x5bf03635));
    this.#minutes = minutes;
    this.#say = say;
  }

  async run() {
    try {
      return await this.#runAll();
    } finally {
      this.#sending = false;
      this.#over = true;
      await this.#importer?.stop();
      this.#http?.close();
      await this.#log?.close();
    }
  }

  async #runAll() {
    const installation = this.#installation;
    this.#log = new InputLog(join(installation.folder, 'inputs.ndjson'));
    this.#say(`first start: ${Math.round(await installation.start())} ms, in ${installation.folder}`);
    this.#http = new HttpClient({ api: installation.run.api, token: await installation.token('service') });
    this.#senders = Array.from({ length: WORKERS }, () => this.#newSenders());
    const random = new Random(this.#seed ^ 0x2545f491);
    this.#importer = new Importer({ installation, log: this.#log, random, say: this.#say });
    const importing = this.#importer.work(() => this.#sending);
    const workers = Promise.all([importing, ...this.#senders.map((senders) => this.#work(senders))]);
    // A worker that throws ends the run at once; otherwise it is awaited below.
    await this.#ledger.harm(this.#seed);
    const disturbing = this.#disturb();
    disturbing.catch(() => undefined);
    await Promise.race([disturbing, workers]);
    Object.assign(this.#faults, await this.#ledger.rest());
    this.#sending = false;
    await withLimit(workers, DRAIN_TIMEOUT_MS, 'what was unanswered could not be repeated');
    const balances = await this.#comeToRest();
    this.#importer.compare(balances);
    await this.#oneMoreCrash(balances);
    await this.#readAgain(balances);
    const { inputs } = this.#log;
    const result = await check({ url: installation.run.databaseOwner, inputs, ledger: this.#ledger.tables });
    await this.#askBalances(result);
    await installation.stop();
    const faultsTold = this.#senders.reduce((sum, senders) => sum + senders.faultsTold, 0);
    const { files, killed, gaveUp } = this.#importer;
    if (files === 0) throw new Error('no import came to its end');
    return { ...result, faults: this.#faults, faultsTold, imports: { files, killed, gaveUp } };
  }

  #newSenders() {
    const bus = new PostgresBus(() => this.#installation.connect());
    return new Senders({ log: this.#log, http: this.#http, bus });
  }

  /** Takes what has to be repeated first, and something new otherwise. */
  async #work(senders) {
    while (!this.#over && (this.#sending || this.#repeats.length > 0)) {
      const task = this.#repeats.shift() ?? this.#workload.next();
      if (await senders.send(task)) this.#done += 1;
      else {
        // Only the first attempt is cut off on purpose.
        const { hangUpAfterMs: _once, ...again } = task;
        this.#repeats.push(again);
        await sleep(PAUSE_MS);
      }
    }
    await senders.close();
  }

  async #disturb() {
    const random = this.#random;
    const until = performance.now() + this.#minutes * 60_000;
    for (;;) {
      await sleep(random.between(FAULT_EVERY_MS.low, FAULT_EVERY_MS.high));
      if (!this.#sending || performance.now() > until) return;
      const name = random.pick(Object.keys(FAULTS));
      this.#say(`${name}, after ${this.#done} tasks`);
      this.#faults[name] = (this.#faults[name] ?? 0) + 1;
      await FAULTS[name](this.#installation, random);
      if (!this.#installation.isRunning) await this.#startAgain();
    }
  }

  async #startAgain() {
    // Now and then it is killed while it recovers.
    if (this.#random.chance(0.2)) {
      const starting = this.#installation.start();
      starting.catch(() => undefined);
      await sleep(this.#random.between(50, 1_500));
      await this.#installation.signal('SIGKILL');
      await starting.catch(() => undefined);
    }
    const ms = Math.round(await this.#installation.start());
    this.#http.api = this.#installation.run.api;
    this.#say(`  started again in ${ms} ms`);
  }

  /** Sends purchases again that were answered long ago, lets everything be taken, and answers with the balances. */
  async #comeToRest() {
    this.#say(`at rest after ${this.#done} tasks, ${this.#log.inputs.purchases.size} purchases`);
    const senders = this.#newSenders();
    const repeats = this.#workload.again(REPEATS);
    for (let i = 0; i < repeats.length; i += 100) {
      const task = {
        op: 'send',
        door: i % 200 === 0 ? 'batch' : 'bus',
        events: repeats.slice(i, i + 100),
        waitSeconds: 20,
      };
      if (!(await senders.send(task))) throw new Error('a repeat was not taken, and nothing disturbed it');
    }
    await senders.close();
    const client = await this.#installation.connect();
    await settled(client, SETTLE_TIMEOUT_MS, this.#ledger.tables);
    for (const each of [...this.#senders, senders]) await each.settleUncertain();
    const balances = await balancesOf(client);
    await client.end();
    return balances;
  }

  /** A crash of an installation at rest changes nothing. */
  async #oneMoreCrash(before) {
    this.#installation.killPostgres();
    await this.#installation.signal('SIGKILL');
    await this.#startAgain();
    const client = await this.#installation.connect();
    await settled(client, SETTLE_TIMEOUT_MS, this.#ledger.tables);
    const after = await balancesOf(client);
    await client.end();
    if (JSON.stringify(after) !== JSON.stringify(before)) throw new Error('a crash at rest changed balances');
  }

  /** Every topic read from its beginning once more changes nothing. */
  async #readAgain(before) {
    this.#say('every topic from its beginning once more');
    const client = await this.#installation.connect();
    await client.query('delete from messaging.offsets');
    await client.end();
    await this.#installation.signal('SIGKILL');
    await this.#startAgain();
    const again = await this.#installation.connect();
    await settled(again, SETTLE_TIMEOUT_MS, this.#ledger.tables);
    const after = await balancesOf(again);
    const { rows } = await again.query(
      `select count(*)::int as failed from messaging.dead_letters where kind in ('failed', 'behind')`,
    );
    await again.end();
    if (JSON.stringify(after) !== JSON.stringify(before)) throw new Error('topics read again changed balances');
    if (rows[0].failed > 0) throw new Error(`topics read again parked ${rows[0].failed} messages`);
  }

  /** Asks every enrolled member's balance over HTTP and compares it with what the inputs are worth. */
  async #askBalances({ violations }) {
    const client = await this.#installation.connect();
    const expected = await expectedBalances(client, this.#log.inputs);
    await client.end();
    const wrong = [];
    for (const [externalId, { acknowledged }] of this.#log.inputs.members) {
      if (!acknowledged) continue;
      const path = `/v1/members/external:${externalId}/points`;
      const { status, body } = await this.#http.call({ method: 'GET', path });
      const wanted = String(expected.get(`external:${externalId}`) ?? 0n);
      const told = status === 200 ? String(body.balance) : `status ${status}`;
      if (told !== wanted) wrong.push({ id: externalId, detail: `${told} over HTTP and should be ${wanted}` });
    }
    if (wrong.length > 0) violations.push({ code: 'balance-told', count: wrong.length, examples: wrong.slice(0, 100) });
  }
}

const balancesOf = async (client) => {
  const { rows } = await client.query(
    `select reference, a.available + a.held - a.debt as balance from points.accounts a join points.account_references r using (member_id)
     where reference like 'external:%' order by reference`,
  );
  return rows;
};

/**
 * What an undisturbed run would have given, from the inputs alone: each purchase without what came back of it. Of two contents under one id the
 * claim says which came first, and of more returns than there was to give back, which of them were taken and in which order.
 */
async function expectedBalances(client, { purchases, returns }) {
  const { rows } = await client.query(
    `select kind, source || ' ' || natural_id as key, encode(hash, 'hex') as hash from points.claims claim where status = 'taken'
     order by (select min(position) from points.returned_lines line where line.return_claim = claim.claim_id)`,
  );
  const firstOf = (inputs, { key, hash }) =>
    inputs.get(key)?.find(({ event }) => contentHash(event.data) === hash)?.event;
  const back = new Map();
  for (const row of rows.filter(({ kind }) => kind === 'return')) {
    const event = firstOf(returns, row);
    if (event === undefined) continue;
    const purchase = `${event.source} ${event.data.purchaseId}`;
    back.set(purchase, [...(back.get(purchase) ?? []), event.data]);
  }
  const balances = new Map();
  for (const row of rows.filter(({ kind }) => kind === 'purchase')) {
    const data = firstOf(purchases, row)?.data;
    if (data === undefined) continue;
    const points = pointsFor({ ...data, lines: keptOf(data.lines, back.get(row.key) ?? []) });
    balances.set(data.member, (balances.get(data.member) ?? 0n) + points);
  }
  return balances;
}

async function withLimit(work, timeoutMs, what) {
  const timer = AbortSignal.timeout(timeoutMs);
  const late = new Promise((_resolve, reject) => timer.addEventListener('abort', () => reject(new Error(what))));
  return Promise.race([work, late]);
}
