import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
const POLL_MS = 25;
/** Of the clock in /proc, the same on every Linux. */
const TICKS_PER_SECOND = 100;

/**
 * An installation of its own: the standalone as a real process with its embedded PostgreSQL, in a new folder and on free ports. Whoever
 * opens it disposes of it; until then it may be killed and started again as often as one likes.
 */
export class Installation {
  #child;
  /** The process that signals go to: what was started, or the standalone behind it once that has told its id. */
  #target;
  #isDisposed = false;

  /**
   * @param {{ within?: string, nodeOptions?: string[], command?: string[], env?: object }} options
   *   `within`: where the folder is made, a real disk for benchmarks; `command`: what starts it, the built standalone itself unless told
   */
  constructor({ within = tmpdir(), nodeOptions = [], command, env = {} } = {}) {
    this.folder = mkdtempSync(join(within, 'vafa-harness-'));
    // The embedded server of root runs as another user, who has to reach its data.
    chmodSync(this.folder, 0o755);
    this.command = command ?? [process.execPath, ...nodeOptions, 'apps/standalone/dist/main.js'];
    this.env = env;
  }

  get data() {
    return join(this.folder, 'data');
  }

  get output() {
    return readFileSync(join(this.folder, 'output.log'), 'utf8');
  }

  get pid() {
    return this.#child?.pid;
  }

  get isRunning() {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Starts it and waits until requests are served. @returns {Promise<number>} milliseconds that this took */
  async start() {
    if (this.#isDisposed) throw new Error('the installation is gone');
    const started = performance.now();
    const startedAt = Date.now();
    const output = openSync(join(this.folder, 'output.log'), 'a');
    const [program, ...words] = this.command;
    this.#child = spawn(program, words, {
      cwd: ROOT,
      stdio: ['ignore', output, output],
      env: { ...process.env, VAFA_DATA: this.data, VAFA_PORT: '0', VAFA_DATABASE_PORT: '0', ...this.env },
    });
    this.#target = this.#child.pid;
    while (performance.now() - started < START_TIMEOUT_MS) {
      if (!this.isRunning) throw new Error(`the standalone ended while it started:\n${this.output.slice(-4_000)}`);
      if (await this.#isReady(startedAt)) return performance.now() - started;
      await sleep(POLL_MS);
    }
    throw new Error(`the standalone was not ready after ${START_TIMEOUT_MS / 1_000} s:\n${this.output.slice(-4_000)}`);
  }

  async #isReady(since) {
    try {
      const run = JSON.parse(readFileSync(join(this.data, 'run.json'), 'utf8'));
      // A process that was killed leaves its own behind.
      if (Date.parse(run.startedAt) < since) return false;
      this.run = run;
      const answer = await fetch(`${run.api}/health/ready`, { signal: AbortSignal.timeout(2_000) });
      if (answer.ok) this.#target = run.pid;
      return answer.ok;
    } catch {
      return false;
    }
  }

  /** Ends the process at once, or sends it another signal. Resolves when it is gone, for signals that end it. */
  async signal(name) {
    const child = this.#child;
    if (!this.isRunning) return;
    const gone = once(child, 'exit');
    this.#kill(this.#target, name);
    if (name === 'SIGSTOP' || name === 'SIGCONT') return;
    await Promise.race([gone, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })]);
  }

  /** Stops it in order. */
  async stop() {
    await this.signal('SIGTERM');
    if (this.isRunning) throw new Error(`the standalone did not stop:\n${this.output.slice(-4_000)}`);
  }

  /** Seconds of processor time that the standalone and its PostgreSQL have used so far. */
  get cpuSeconds() {
    const node = processorTime(this.#target).own;
    const server = processorTime(this.postgresPid);
    const backends = readFileSync(`/proc/${this.postgresPid}/task/${this.postgresPid}/children`, 'utf8')
      .trim()
      .split(' ');
    const postgres = backends.reduce((sum, pid) => sum + processorTime(pid).own, server.own + server.ended);
    return { node, postgres };
  }

  /** The process id of its own PostgreSQL, as that wrote it down in its data; undefined where none is noted. */
  get postgresPid() {
    try {
      const pid = Number(readFileSync(join(this.data, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0]);
      return Number.isInteger(pid) && pid > 1 ? pid : undefined;
    } catch {
      return undefined;
    }
  }

  /** Ends its PostgreSQL at once, the server processes included, which follow when their parent is gone. */
  killPostgres() {
    const pid = this.postgresPid;
    if (pid !== undefined && this.#isOurs(pid)) this.#kill(pid, 'SIGKILL');
  }

  #kill(pid, name) {
    try {
      process.kill(pid, name);
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
    }
  }

  /** A process id in a file may be somebody else's by now: ours was started on our folder. */
  #isOurs(pid) {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(this.data);
    } catch {
      return false;
    }
  }

  /** A connection of the owner of everything. */
  async connect() {
    const client = new pg.Client({ connectionString: this.run.databaseOwner, application_name: 'vafa-harness' });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  /** A bearer token, good for all starts of this installation. */
  async token(role, memberId) {
    const { EmbeddedIssuer } = await import('../../libs/service/dist/index.js');
    const issuer = await EmbeddedIssuer.open({ folder: join(this.data, 'keys'), production: false });
    return issuer.mint({ role, clientId: 'harness', ...(memberId !== undefined && { memberId }) });
  }

  /** Ends what still runs and removes the folder. */
  async dispose({ keep = false } = {}) {
    this.#isDisposed = true;
    if (this.isRunning) {
      this.#kill(this.#target, 'SIGCONT');
      await this.signal('SIGKILL');
    }
    this.killPostgres();
    for (
      let waited = 0;
      this.postgresPid !== undefined && this.#isOurs(this.postgresPid) && waited < 5_000;
      waited += 50
    )
      await sleep(50);
    if (keep) return;
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

/** Seconds of a process and of those it started that have ended; none for one that has just gone. */
function processorTime(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ').map(Number);
    return { own: (fields[11] + fields[12]) / TICKS_PER_SECOND, ended: (fields[13] + fields[14]) / TICKS_PER_SECOND };
  } catch {
    return { own: 0, ended: 0 };
  }
}
