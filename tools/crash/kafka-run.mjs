import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { check } from '../checker/check.mjs';
import { KafkaTables } from '../checker/kafka-tables.mjs';
import { HttpClient, NoAnswerError } from '../load/http-client.mjs';
import { InputLog } from '../load/input-log.mjs';
import { KafkaClient } from '../load/kafka-client.mjs';
import { KafkaEngine } from '../load/kafka-engine.mjs';
import { Random } from '../load/random.mjs';
import { Services } from '../load/services.mjs';
import { KAFKA_FAULTS, LONG_FAULTS } from './kafka-faults.mjs';
import { probeBuyer, Probes } from './probes.mjs';
import { Senders } from './senders.mjs';
import { Workload } from './workload.mjs';

const TOPIC = 'commerce.purchases';
const WORKERS = 6;
/** What a fault is to fall into the middle of. */
const FLOW_BEFORE_MS = { low: 1_000, high: 3_000 };
const PURCHASES_A_FAULT = { full: 10_000, short: 1_500 };
const PACE_MS = 20;
const PAUSE_MS = 250;
const DRAIN_TIMEOUT_MS = 180_000;
const SETTLE_TIMEOUT_MS = 180_000;
const UNAVAILABLE_TIMEOUT_MS = 120_000;
const POLL_MS = 250;

/**
 * Runs the load against services in processes of their own on a Kafka of one node or three, and does to them what `KAFKA_FAULTS` says, one after
 * the other, in an order that the seed decides. After each everything comes to rest and is checked.
 * @param {{ seed: number, nodes: 'one' | 'three', short: boolean, only?: string, keep: boolean, say: (line: string) => void }} options
 *   `only`: a part of the names of those faults that are to be run
 * @returns {Promise<{ violations: object[], rows: object[], counts: object, folder: string }>}
 */
export async function runOnKafka({ seed, nodes, short, only = '', keep, say }) {
  const engine = new KafkaEngine({ nodes: nodes === 'one' ? 1 : 3 });
  let run;
  let sound = false;
  const end = async () => {
    await run?.dispose({ keep: keep || !sound });
    await engine.dispose();
  };
  const stop = () => void end().finally(() => process.exit(130));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop);
  try {
    await engine.start();
    run = new KafkaRun({ engine, seed, short, say });
    await run.start();
    const isLeftOut = (name) => short && only === '' && LONG_FAULTS.has(name);
    const names = Object.keys(KAFKA_FAULTS[nodes]).filter((name) => name.includes(only) && !isLeftOut(name));
    const result = await run.all(names.map((name) => [name, KAFKA_FAULTS[nodes][name]]));
    sound = result.violations.length === 0;
    return { ...result, folder: run.services.folder };
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, stop);
    await end();
  }
}

class KafkaRun {
  #engine;
  #random;
  #workload;
  #short;
  #say;
  #log;
  #kafka;
  #probes;
  #doors;
  #senders;
  #proxy;
  #partitions;
  #sending = false;
  #ended = false;
  #repeats = [];
  #repeated = 0;

  constructor({ engine, seed, short, say }) {
    this.#engine = engine;
    this.#random = new Random(seed);
    this.#workload = new Workload(new Random(seed ^ 0x5bf03635));
    this.#short = short;
    this.#say = say;
    this.services = new Services({ brokers: engine.brokers });
  }

  async start() {
    await this.services.start({ points: 2 });
    this.#log = new InputLog(join(this.services.folder, 'inputs.ndjson'));
    this.#kafka = this.#newClient();
    this.#partitions = await this.#kafka.partitions(TOPIC);
    this.#doors = new Doors(this.services, await this.services.token('service'));
    this.#senders = Array.from(
      { length: WORKERS },
      () => new Senders({ log: this.#log, http: this.#doors, bus: this.#newClient() }),
    );
    for (let partition = 0; partition < this.#partitions; partition++)
      await this.#senders[0].send({ op: 'enrol', externalId: probeBuyer(partition) });
    const parts = { kafka: this.#newClient(), log: this.#log, connect: () => this.services.connect() };
    this.#probes = new Probes(parts);
    await this.#probes.open(this.#engine.brokers);
    this.#say(`members and two replicas of points are up, in ${this.services.folder}`);
  }

  /** Every fault once. What the checker says at the end of one goes for everything before. */
  async all(faults) {
    const rows = [];
    let result = { violations: [], counts: {} };
    for (const [name, fault] of this.#shuffled(faults)) {
      const before = { purchases: this.#log.inputs.purchases.size, repeated: this.#repeated };
      this.#say(name);
      const flows = await this.#disturb(fault, before.purchases);
      result = await this.#judge();
      rows.push({
        name,
        ...flows,
        purchases: this.#log.inputs.purchases.size - before.purchases,
        repeated: this.#repeated - before.repeated,
        violations: result.violations.length,
      });
      const { plainMs } = flows;
      const plain =
        plainMs === undefined
          ? ''
          : `, plain kafkajs ${plainMs === Infinity ? 'not' : `after ${Math.round(plainMs)} ms`}`;
      this.#say(`  flowing after ${Math.round(flows.oursMs)} ms${plain}`);
      if (result.violations.length > 0) break;
    }
    return { ...result, rows };
  }

  async dispose({ keep }) {
    this.#ended = true;
    for (const senders of this.#senders ?? []) await senders.close();
    await this.#probes?.close();
    await this.#kafka?.close();
    this.#doors?.close();
    await this.services.dispose({ keep });
    await this.#proxy?.close();
    await this.#log?.close();
  }

  /** Lets purchases flow, does it, and lets them flow until there were enough. */
  async #disturb(fault, before) {
    this.#sending = true;
    const workers = Promise.all(this.#senders.map((senders) => this.#work(senders)));
    // A worker that throws ends the run at once; otherwise it is awaited below.
    const failed = workers.then(() => new Promise(() => undefined));
    const flows = await Promise.race([this.#scene(fault, before), failed]);
    this.#sending = false;
    await withLimit(workers, DRAIN_TIMEOUT_MS, 'what was unanswered could not be repeated');
    return flows;
  }

  async #scene(fault, before) {
    const random = this.#random;
    await sleep(random.between(FLOW_BEFORE_MS.low, FLOW_BEFORE_MS.high));
    const flows = await fault({
      engine: this.#engine,
      services: this.services,
      random,
      short: this.#short,
      flowing: (how) => this.#probes.flowing(this.#partitions, how),
      unavailable: () => this.#unavailable(),
      isInStep: () => this.#kafka.isInStep(),
      members: () => this.#kafka.members(),
      throughProxy: () => this.#throughProxy(),
    });
    // Whoever ended by himself would be missed later, by a fault that has nothing to do with it.
    for (const one of this.services.processes.values())
      if (one.name !== 'points-3' && !one.isRunning)
        throw new Error(`${one.name} has ended:\n${one.output.slice(-4_000)}`);
    const enough = before + (this.#short ? PURCHASES_A_FAULT.short : PURCHASES_A_FAULT.full);
    while (this.#log.inputs.purchases.size < enough) await sleep(POLL_MS);
    return flows;
  }

  /** Takes what has to be repeated first, and something new otherwise. */
  async #work(senders) {
    while (!this.#ended && (this.#sending || this.#repeats.length > 0)) {
      const task = this.#repeats.shift() ?? this.#workload.next();
      if (await senders.send(task)) await sleep(PACE_MS);
      else {
        // Only the first attempt is cut off on purpose.
        const { hangUpAfterMs: _once, ...again } = task;
        this.#repeats.push(again);
        this.#repeated += 1;
        await sleep(PAUSE_MS);
      }
    }
  }

  /** The door has to say, in the words of HTTP, that it takes nothing at the moment and when to ask again. */
  async #unavailable() {
    const path = '/v1/purchases';
    for (let waited = 0; waited < UNAVAILABLE_TIMEOUT_MS; waited += POLL_MS) {
      const [event] = this.#workload.next().events ?? [];
      if (event === undefined) continue;
      const n = this.#log.sent({ op: 'purchase', door: 'http', event });
      const answer = await this.#doors.call({ path, body: event }).catch(() => undefined);
      if (answer?.status === 202 || answer?.status === 200) this.#log.acknowledged(n);
      if (answer?.status === 503) {
        if (!(Number(answer.headers['retry-after']) > 0)) throw new Error('503 came without Retry-After');
        return;
      }
      await sleep(POLL_MS);
    }
    throw new Error('the door over HTTP did not answer 503 while two nodes of three were down');
  }

  async #throughProxy() {
    if (this.#proxy !== undefined) return this.#proxy;
    const { KafkaProxy } = await import('../../libs/testing/dist/kafka-proxy.js');
    this.#proxy = await KafkaProxy.open(this.#engine.brokers);
    for (const one of this.services.processes.values()) {
      one.env = { ...one.env, VAFA_KAFKA_BROKERS: this.#proxy.brokers.join(',') };
      if (!one.isRunning) continue;
      await one.stop();
      await one.start();
    }
    return this.#proxy;
  }

  /** Waits until nothing is under way, then has everything checked that was ever sent. */
  async #judge() {
    await this.#settled();
    for (const senders of this.#senders) await senders.settleUncertain();
    const bus = new KafkaTables(this.#kafka);
    const { violations, counts } = await check({ url: this.services.url, inputs: this.#log.inputs, bus });
    await this.#compareLog(violations);
    const { code, output } = await this.services.vafa('verify');
    if (code !== 0) violations.push({ code: 'verify', count: 1, examples: [{ id: 'vafa verify', detail: output }] });
    return { violations, counts };
  }

  /** What was acknowledged on the bus must stand there. */
  async #compareLog(violations) {
    const there = new Set();
    for (const { value } of await this.#kafka.read(TOPIC)) there.add(value?.toString());
    const lost = [];
    for (const sent of this.#log.inputs.purchases.values())
      for (const { n, door, event, acknowledged } of sent) {
        if (door !== 'bus' || !acknowledged || there.has(JSON.stringify(event))) continue;
        lost.push({ id: event.data.purchaseId, detail: `input ${n} was acknowledged and is not in the log` });
      }
    if (lost.length > 0) violations.push({ code: 'log-lost', count: lost.length, examples: lost.slice(0, 100) });
  }

  async #settled() {
    const client = await this.services.connect();
    try {
      const until = performance.now() + SETTLE_TIMEOUT_MS;
      for (;;) {
        const underWay = await this.#underWay(client);
        if (underWay.length === 0) return;
        if (performance.now() > until)
          throw new Error(`not at rest after ${SETTLE_TIMEOUT_MS / 1_000} s: ${JSON.stringify(underWay)}`);
        await sleep(POLL_MS);
      }
    } finally {
      await client.end();
    }
  }

  async #underWay(client) {
    const { rows } = await client.query(UNDER_WAY);
    const left = rows.filter(({ behind }) => behind > 0);
    if (left.length > 0) return left;
    return this.#kafka.lag();
  }

  #newClient() {
    return new KafkaClient({ brokers: this.#engine.brokers });
  }

  /** Those through the proxy last: the services stay behind it. */
  #shuffled(faults) {
    const keyed = faults.map((fault) => ({ fault, key: this.#random.next() + (/connections/.test(fault[0]) ? 1 : 0) }));
    return keyed.sort((a, b) => a.key - b.key).map(({ fault }) => fault);
  }
}

const UNDER_WAY = `select 'relay' as what, (select count(*)::int from messaging.log l join messaging.offsets o using (topic, partition)
    where l.position > o.position) + (select count(*)::int from messaging.log l
    where not exists (select from messaging.offsets o where o.topic = l.topic and o.partition = l.partition)) as behind
  union all select 'read models', (select count(*)::int from eventstore.events
    where position > coalesce((select min(position::bigint) from points.checkpoints), 0))`;

/** The doors of services in several processes as one: members for members, any replica of points that runs for the rest. */
class Doors {
  #services;
  #clients = new Map();
  #token;
  #turn = 0;

  constructor(services, token) {
    this.#services = services;
    this.#token = token;
  }

  async call(call) {
    const service = call.path === '/v1/members' ? 'members' : 'points';
    const running = [...this.#services.processes.values()].filter(
      (one) => one.service === service && one.isRunning && one.url !== undefined,
    );
    const replica = running[this.#turn++ % running.length];
    if (replica === undefined) throw new NoAnswerError(`no replica of ${service} is up`);
    let client = this.#clients.get(replica.name);
    if (client === undefined)
      this.#clients.set(replica.name, (client = new HttpClient({ api: replica.url, token: this.#token })));
    client.api = replica.url;
    return client.call(call);
  }

  close() {
    for (const client of this.#clients.values()) client.close();
  }
}

async function withLimit(work, timeoutMs, what) {
  const timer = AbortSignal.timeout(timeoutMs);
  const late = new Promise((_resolve, reject) => timer.addEventListener('abort', () => reject(new Error(what))));
  return Promise.race([work, late]);
}
