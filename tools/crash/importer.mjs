import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ROWS = 2_000;
const MEMBERS = 200;
const AMOUNT_MAX = 30_000;
const SHARE_KILLED = 0.7;
const KILL_AFTER_MS = { low: 300, high: 5_000 };
const OUTPUT_CHARS_MAX = 4_000;
const DAY_MS = 24 * 60 * 60 * 1_000;

/**
 * Brings in one generated history after another by `vafa import purchases`, kills that at random moments, and repeats the same command until it
 * says that all is in, whatever happens to the server meanwhile. What it should come to is added up here, from the file alone.
 */
export class Importer {
  #installation;
  #log;
  #random;
  #say;
  #child;
  #stopped = false;
  #files = 0;
  #expected = new Map();
  /** How often it was killed, and how often it gave up because of the server. */
  killed = 0;
  gaveUp = 0;

  /**
   * @param {{ installation: import('../load/installation.mjs').Installation, log: import('../load/input-log.mjs').InputLog,
   *   random: import('../load/random.mjs').Random, say: (line: string) => void }} parts
   */
  constructor({ installation, log, random, say }) {
    this.#installation = installation;
    this.#log = log;
    this.#random = random;
    this.#say = say;
  }

  /** Histories that came in whole. */
  get files() {
    return this.#files;
  }

  /** Imports until told to stop, and then ends the file that is under way without further harm. @throws where the counts are not those of the file */
  async work(isSending) {
    while (isSending()) {
      const history = this.#history(this.#files + 1);
      for (let result; result === undefined;) {
        if (this.#stopped) return;
        result = await this.#attempt(history, isSending);
      }
      this.#files += 1;
      for (const n of history.numbers) this.#log.acknowledged(n);
    }
  }

  /** Ends what is under way. */
  async stop() {
    this.#stopped = true;
    if (this.#child === undefined) return;
    const gone = once(this.#child, 'exit');
    if (this.#child.kill('SIGKILL')) await gone;
  }

  /**
   * Compares balances with what the files are worth.
   * @param {readonly { reference: string, balance: string }[]} balances of everybody
   * @throws where one differs
   */
  compare(balances) {
    const found = new Map(balances.map(({ reference, balance }) => [reference, BigInt(balance)]));
    for (const [reference, points] of this.#expected)
      if (found.get(reference) !== points)
        throw new Error(`${reference} was imported with ${points} points and has ${found.get(reference)}`);
  }

  /** A file of purchases in euro, and what it comes to: one point for each whole euro of each purchase. */
  #history(number) {
    const file = join(this.#installation.folder, `history-${number}.ndjson`);
    const events = Array.from({ length: ROWS }, (_, row) => this.#purchase(number, row));
    let points = 0n;
    for (const { data } of events) {
      const earned = BigInt(Math.floor(data.total / 100));
      points += earned;
      this.#expected.set(data.member, (this.#expected.get(data.member) ?? 0n) + earned);
    }
    for (const member of new Set(events.map(({ data }) => data.member)))
      this.#log.sent({ op: 'member', door: 'import', externalId: member.slice('external:'.length) });
    const numbers = events.map((event) => this.#log.sent({ op: 'purchase', door: 'import', event }));
    writeFileSync(file, events.map((event) => `${JSON.stringify(event)}\n`).join(''));
    return { file, points, numbers };
  }

  #purchase(number, row) {
    const random = this.#random;
    const amount = random.between(0, AMOUNT_MAX);
    return {
      specversion: '1.0',
      id: `history-${number}-${row}`,
      source: `/history/${number}`,
      type: 'commerce.purchase.completed',
      data: {
        purchaseId: `row-${row}`,
        member: `external:imported-${random.between(1, MEMBERS)}`,
        occurredAt: new Date(Date.now() - random.between(1, 700) * DAY_MS).toISOString(),
        currency: 'EUR',
        lines: [{ lineId: '1', amount }],
        total: amount,
      },
    };
  }

  /** @returns {Promise<true | undefined>} whether all is in; undefined where it has to be called again */
  async #attempt(history, isSending) {
    const child = this.#start(history.file);
    const ended = once(child, 'close').then(([code]) => code);
    const killAfterMs = this.#random.between(KILL_AFTER_MS.low, KILL_AFTER_MS.high);
    const isToBeKilled = this.#random.chance(SHARE_KILLED);
    if (isToBeKilled && isSending()) {
      const timer = new AbortController();
      const late = sleep(killAfterMs, 'late', { signal: timer.signal }).catch(() => undefined);
      if ((await Promise.race([ended, late])) === 'late' && isSending() && child.kill('SIGKILL')) {
        this.killed += 1;
        this.#say('kill -9 of the importer');
      }
      timer.abort();
    }
    const code = await ended;
    this.#child = undefined;
    if (code === 0) return this.#counted(history, child.told);
    // It was killed, be it with its last words said, or the server was away in a way that it may not wait out: the same command goes on. Rows it
    // would not take are no such case.
    if (child.signalCode === null && child.told.trim().startsWith('{'))
      throw new Error(`the import ended with ${code}: ${child.told}`);
    if (child.signalCode === null) this.gaveUp += 1;
    return undefined;
  }

  #start(file) {
    const words = ['apps/cli/dist/main.js', 'import', 'purchases', file, '--enrol', '--json'];
    const child = spawn(process.execPath, words, {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, VAFA_DATA: this.#installation.data },
    });
    child.told = '';
    child.stdout.on('data', (chunk) => (child.told = (child.told + chunk).slice(-OUTPUT_CHARS_MAX)));
    this.#child = child;
    return child;
  }

  /** Each row was taken, or waits a moment for its member to be known, which after a restart may take longer than the importer does. */
  #counted({ points }, told) {
    const counts = JSON.parse(told);
    const { rows, taken, waiting } = counts;
    const isWhole = rows === ROWS && taken + waiting === ROWS;
    const isWorth = waiting === 0 ? BigInt(counts.points) === points : BigInt(counts.points) <= points;
    if (isWhole && isWorth) return true;
    throw new Error(`the import of ${ROWS} rows worth ${points} points counted ${told}`);
  }
}
