import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 60_000;
const POLL_MS = 50;

/** The surroundings without what a shell has set for Vafa: each process gets its own settings and no other. */
const bareEnvironment = () =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('VAFA_') && name !== 'NODE_OPTIONS'),
  );

/** One service as a process of its own, which may be killed, stopped and started again as often as one likes. */
export class ServiceProcess {
  #child;
  #from = 0;

  constructor({ name, service, folder, env }) {
    this.name = name;
    this.service = service;
    this.env = env;
    this.outputFile = join(folder, `${name}.log`);
  }

  get isRunning() {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get pid() {
    return this.#child?.pid;
  }

  /** What it has said since it was last started. */
  get output() {
    return readFileSync(this.outputFile).subarray(this.#from).toString();
  }

  /** Starts it and waits until it serves requests. */
  async start() {
    const output = openSync(this.outputFile, 'a');
    this.#from = statSync(this.outputFile).size;
    this.#child = spawn(process.execPath, [`apps/${this.service}/dist/main.js`], {
      cwd: ROOT,
      stdio: ['ignore', output, output],
      env: { ...bareEnvironment(), VAFA_PORT: '0', ...this.env },
    });
    for (let waited = 0; waited < START_TIMEOUT_MS; waited += POLL_MS) {
      if (!this.isRunning) throw new Error(`${this.name} ended while it started:\n${this.output.slice(-4_000)}`);
      this.url = readyUrl(this.output);
      if (this.url !== undefined) return;
      await sleep(POLL_MS);
    }
    throw new Error(`${this.name} was not ready after ${START_TIMEOUT_MS / 1_000} s:\n${this.output.slice(-4_000)}`);
  }

  /** Sends a signal. Resolves when the process is gone, for signals that end it. */
  async signal(name) {
    const child = this.#child;
    if (!this.isRunning) return;
    const gone = once(child, 'exit');
    child.kill(name);
    if (name === 'SIGSTOP' || name === 'SIGCONT') return;
    await Promise.race([gone, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })]);
  }

  async stop() {
    await this.signal('SIGTERM');
    if (this.isRunning) throw new Error(`${this.name} did not stop:\n${this.output.slice(-4_000)}`);
  }
}

/** The address in the line with which a service says that it serves requests. */
function readyUrl(output) {
  const line = output.split('\n').find((one) => one.includes('"msg":"ready"'));
  return line === undefined ? undefined : JSON.parse(line).url;
}

/**
 * An installation in several processes: one PostgreSQL of its own, members, and any number of points, with their bus on a Kafka that is already
 * there. Whoever opens it disposes of it.
 */
export class Services {
  /** @type {Map<string, ServiceProcess>} */
  processes = new Map();
  #postgres;

  /** @param {{ brokers: string[], prefix?: string, env?: object }} options `env`: settings that every service gets besides */
  constructor({ brokers, prefix, env = {} }) {
    this.folder = mkdtempSync(join(tmpdir(), 'vafa-services-'));
    // The server of root runs as another user, who has to reach its data.
    chmodSync(this.folder, 0o755);
    this.env = {
      VAFA_DATA: join(this.folder, 'data'),
      VAFA_KAFKA_BROKERS: brokers.join(','),
      ...(prefix !== undefined && { VAFA_KAFKA_PREFIX: prefix }),
      ...env,
    };
  }

  /** Starts PostgreSQL, makes the tables, then members and so many replicas of points. */
  async start({ points = 2 } = {}) {
    const { startEmbeddedPostgres } = await import('../../libs/persistence/dist/embedded/embedded-postgres.js');
    this.#postgres = await startEmbeddedPostgres({
      dataDir: join(this.folder, 'postgres'),
      port: 0,
      durable: false,
      log: () => undefined,
    });
    this.url = this.#postgres.url;
    await this.migrate();
    await Promise.all([
      this.add('members', 'members'),
      ...Array.from({ length: points }, (_, i) => this.add(`points-${i + 1}`, 'points')),
    ]);
  }

  /** Brings the tables up to date, as one does before the services start. */
  async migrate() {
    const { code, output } = await this.vafa('migrate');
    if (code !== 0) throw new Error(`vafa migrate ended with ${code}: ${output}`);
  }

  /** Starts another process of a service. */
  async add(name, service, env = {}) {
    const started = new ServiceProcess({
      name,
      service,
      folder: this.folder,
      env: { ...this.env, VAFA_DATABASE_URL: this.url, ...env },
    });
    this.processes.set(name, started);
    await started.start();
    return started;
  }

  get(name) {
    return this.processes.get(name);
  }

  /** Runs a command of vafa. */
  async vafa(...words) {
    const child = spawn(process.execPath, ['apps/cli/dist/main.js', ...words], {
      cwd: ROOT,
      env: { ...bareEnvironment(), ...this.env, VAFA_DATABASE_URL: this.url },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk.toString()));
    const [code] = await once(child, 'close');
    return { code, output };
  }

  /** A connection of the owner of everything. */
  async connect() {
    const client = new pg.Client({ connectionString: this.url, application_name: 'vafa-harness' });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  /** A bearer token, good for every service of this installation. */
  async token(role, memberId) {
    const { EmbeddedIssuer } = await import('../../libs/service/dist/index.js');
    const issuer = await EmbeddedIssuer.open({ folder: join(this.folder, 'data', 'keys'), production: false });
    return issuer.mint({ role, clientId: 'harness', ...(memberId !== undefined && { memberId }) });
  }

  /** Ends what still runs and removes the folder. */
  async dispose({ keep = false } = {}) {
    for (const one of this.processes.values()) {
      await one.signal('SIGCONT');
      await one.signal('SIGKILL');
    }
    await this.#postgres?.stop({ hurry: true });
    if (!keep) rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}
