import { NoAnswerError } from '../load/http-client.mjs';

const TOPIC = 'commerce.purchases';

/** The door does not answer as its description says: neither taken, nor unavailable, nor a conflict. */
export class UnexpectedAnswerError extends Error {
  name = 'UnexpectedAnswerError';
}

/** Sends tasks through the doors and notes what was answered. Every method resolves to false where the task has to be repeated. */
export class Senders {
  #log;
  #http;
  #bus;
  #uncertain = [];
  /** Answers that spoke of a fault inside; where processes are being killed they are no wrong, but unavailable would be the better word. */
  faultsTold = 0;

  /**
   * @param {{ log: import('../load/input-log.mjs').InputLog, http: Pick<import('../load/http-client.mjs').HttpClient, 'call'>,
   *   bus: Pick<import('../load/postgres-bus.mjs').PostgresBus, 'publish' | 'find' | 'close'> }} parts
   */
  constructor({ log, http, bus }) {
    this.#log = log;
    this.#http = http;
    this.#bus = bus;
  }

  /** @param {import('./workload.mjs').Task} task */
  send(task) {
    if (task.op === 'enrol') return this.#enrol(task);
    if (task.op === 'malformed') return this.#malformed(task);
    if (task.door === 'bus') return this.#onBus(task);
    return task.door === 'http' ? this.#single(task) : this.#batch(task);
  }

  close() {
    return this.#bus.close();
  }

  async #enrol({ externalId }) {
    const n = this.#log.sent({ op: 'member', door: 'http', externalId });
    const answer = await this.#call({ path: '/v1/members', body: { externalId } });
    if (answer === undefined) return false;
    if (answer.status !== 200 && answer.status !== 201) throw unexpected(answer);
    this.#log.acknowledged(n, { memberId: answer.body.memberId });
    return true;
  }

  async #single({ events: [event], waitSeconds, hangUpAfterMs }) {
    const n = this.#log.sent({ op: 'purchase', door: 'http', event });
    const answer = await this.#call({ path: pathOf(event), body: event, ...options(waitSeconds, hangUpAfterMs) });
    if (answer === undefined) return false;
    const { status, body } = answer;
    if (status === 409) this.#log.acknowledged(n, { outcome: { status: 'conflict' } });
    else if (status === 200) this.#log.acknowledged(n, { outcome: body });
    else if (status === 202) this.#log.acknowledged(n);
    else throw unexpected(answer);
    return true;
  }

  async #batch({ events, waitSeconds, hangUpAfterMs }) {
    // Each kind has its own door; what was sent before a fault is sent again with the rest, which does no harm.
    for (const kind of Map.groupBy(events, pathOf).values())
      if (!(await this.#batchOfOne(kind, waitSeconds, hangUpAfterMs))) return false;
    return true;
  }

  async #batchOfOne(events, waitSeconds, hangUpAfterMs) {
    const numbers = events.map((event) => this.#log.sent({ op: 'purchase', door: 'batch', event }));
    const call = { path: `${pathOf(events[0])}/batch`, body: events, ...options(waitSeconds, hangUpAfterMs) };
    const answer = await this.#call(call);
    if (answer === undefined) return false;
    if (answer.status !== 200 && answer.status !== 202) throw unexpected(answer);
    const { results } = answer.body;
    if (results.length !== events.length) throw unexpected(answer);
    numbers.forEach((n, i) => {
      const outcome = results[i];
      if (idOf(outcome) !== idOf(events[i].data)) throw unexpected(answer);
      this.#log.acknowledged(n, outcome.status === 'accepted' ? {} : { outcome });
    });
    return true;
  }

  async #onBus({ events }) {
    const numbers = events.map((event) => this.#log.sent({ op: 'purchase', door: 'bus', event }));
    const messages = events.map((event) => ({ key: event.data.member, value: Buffer.from(JSON.stringify(event)) }));
    if ((await this.#publish(messages)) === undefined) return false;
    for (const n of numbers) this.#log.acknowledged(n);
    return true;
  }

  async #malformed({ key, value }) {
    const [place] = (await this.#publish([{ key, value }])) ?? [];
    // Not repeated where that is not known: bytes that are no event have no name to know them by.
    if (place === undefined) this.#uncertain.push(value);
    else this.#log.sent({ op: 'malformed', door: 'bus', ...place });
    return true;
  }

  /** Finds out which of the messages stand whose publishing broke off. Nothing else may be publishing. */
  async settleUncertain() {
    const nameOf = ({ partition, position }) => `${partition}/${position}`;
    const known = new Set(this.#log.inputs.malformed.map(nameOf));
    for (const value of this.#uncertain.splice(0)) {
      const place = (await this.#bus.find(TOPIC, value)).find((one) => !known.has(nameOf(one)));
      if (place === undefined) continue;
      known.add(nameOf(place));
      this.#log.sent({ op: 'malformed', door: 'bus', ...place });
    }
    await this.#bus.close();
  }

  /** @returns the answer, or undefined where there was none or the service is not there */
  async #call(call) {
    try {
      const answer = await this.#http.call(call);
      if (answer.status === 500) this.faultsTold += 1;
      return answer.status >= 500 ? undefined : answer;
    } catch (error) {
      if (error instanceof NoAnswerError) return undefined;
      throw error;
    }
  }

  async #publish(messages) {
    try {
      return await this.#bus.publish(TOPIC, messages);
    } catch {
      return undefined;
    }
  }
}

const pathOf = ({ type }) => (type === 'commerce.purchase.returned' ? '/v1/returns' : '/v1/purchases');
const idOf = ({ returnId, purchaseId }) => returnId ?? purchaseId;

const options = (waitSeconds, hangUpAfterMs) => ({
  headers: waitSeconds > 0 ? { prefer: `wait=${waitSeconds}` } : {},
  ...(hangUpAfterMs !== undefined && { hangUpAfterMs }),
});

const unexpected = ({ status, body }) =>
  new UnexpectedAnswerError(`${status}: ${JSON.stringify(body).slice(0, 1_000)}`);
