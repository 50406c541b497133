import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
/** Ports of a node: plain, TLS with SASL, controller; those of the next node are ten further. */
const PORTS_A_NODE = 3;
const NODE_STEP = 10;

/** What starts a real Kafka on this machine, where it is: in the folder of `VAFA_ENGINES`, or beside the checkout. */
export const kafkaScript = () => {
  const script = join(process.env.VAFA_ENGINES ?? join(ROOT, '..', 'shared', 'engines'), 'kafka', 'kafka');
  return existsSync(script) ? script : undefined;
};

/** A cluster of Apache Kafka of our own, in a folder of its own and on free ports, whose nodes may be killed and frozen. */
export class KafkaEngine {
  #script;
  #env;

  /** @param {{ nodes: 1 | 3 }} options */
  constructor({ nodes }) {
    this.#script = kafkaScript();
    if (this.#script === undefined) throw new Error('no engine of Kafka is here: see VAFA_ENGINES in CONTRIBUTING.md');
    this.nodes = nodes;
    this.folder = mkdtempSync(join(tmpdir(), 'vafa-kafka-'));
  }

  /** `host:port` of every node, in their order. */
  get brokers() {
    return Array.from({ length: this.nodes }, (_, i) => `127.0.0.1:${this.port + NODE_STEP * i}`);
  }

  /** Starts what is not running of the cluster, or of the nodes named, and waits until they answer. */
  async start(...nodes) {
    this.port ??= await freePorts(this.nodes);
    this.#env ??= {
      ...process.env,
      KAFKA_DIR: join(this.folder, 'kafka'),
      KAFKA_PORT: String(this.port),
      KAFKA_NODES: String(this.nodes),
      KAFKA_HEAP: process.env.KAFKA_HEAP ?? (this.nodes === 1 ? '512m' : '320m'),
    };
    await this.#call('start', nodes);
  }

  /** Ends them in order. */
  stop(...nodes) {
    return this.#call('stop', nodes);
  }

  /** Ends them at once. */
  kill(...nodes) {
    return this.#call('kill', nodes);
  }

  freeze(...nodes) {
    return this.#call('pause', nodes);
  }

  thaw(...nodes) {
    return this.#call('continue', nodes);
  }

  /** Ends everything and removes its data. */
  async dispose() {
    if (this.#env !== undefined) await this.#call('clean', []);
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #call(word, nodes) {
    // Its output goes nowhere: the broker would keep a pipe of ours open.
    await run(this.#script, [word, ...nodes.map(String)], { env: this.#env });
  }
}

/** The first of ports that nobody listens on, for all nodes. */
async function freePorts(nodes) {
  for (let attempt = 0; attempt < 100; attempt++) {
    const first = 20_000 + Math.floor(Math.random() * 12_000);
    const wanted = Array.from({ length: nodes }, (_, node) =>
      Array.from({ length: PORTS_A_NODE }, (_unused, offset) => first + NODE_STEP * node + offset),
    ).flat();
    if ((await Promise.all(wanted.map(isFree))).every(Boolean)) return first;
  }
  throw new Error('no free ports were found');
}

const isFree = (port) =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
