import { zipf } from '../load/random.mjs';

const MEMBERS = 400;
const SHARE_NEVER_ENROLLED = 0.1;
const SHARE_ENROLLED_FIRST = 0.2;
const CURRENCIES = ['EUR', 'EUR', 'EUR', 'USD', 'IRR', 'JPY', 'KWD'];
const HISTORY_MAX = 20_000;
const BATCH_MAX = 60;
const DAY_MS = 24 * 60 * 60 * 1_000;

/**
 * @typedef {{ op: 'enrol', externalId: string } | { op: 'malformed', key: string | null, value: Buffer }
 *   | { op: 'send', door: 'http' | 'batch' | 'bus', events: object[], waitSeconds: number, hangUpAfterMs?: number }} Task
 */

/**
 * What a day of a busy and careless shop looks like, the same for the same seed: few members who buy most, enrolments in between (some long
 * after the first purchase, some never), receipts sent twice at once or much later, ids used again for something else, purchases of nobody, of
 * nothing and of tomorrow, returns of parts, of the whole, of too much, before their purchase and again, and bytes that are no event.
 */
export class Workload {
  #random;
  #member;
  #history = [];
  #number = 0;
  #unenrolled = new Set();
  #enrolments = [];

  constructor(random) {
    this.#random = random;
    this.#member = zipf(random, MEMBERS);
    for (let rank = 0; rank < MEMBERS; rank++) {
      if (random.chance(SHARE_NEVER_ENROLLED)) continue;
      if (random.chance(SHARE_ENROLLED_FIRST)) this.#enrolments.push(externalIdOf(rank));
      else this.#unenrolled.add(rank);
    }
  }

  /** @returns {Task} */
  next() {
    const random = this.#random;
    const externalId = this.#enrolments.pop();
    if (externalId !== undefined) return { op: 'enrol', externalId };
    if (random.chance(0.005)) return this.#malformed();
    if (random.chance(0.04)) this.#enrolSome();
    const door = random.pick(['http', 'http', 'batch', 'bus', 'bus']);
    const events = [];
    const size = door === 'http' ? 1 : random.between(1, BATCH_MAX);
    while (events.length < size) events.push(...this.#events());
    const waitSeconds = random.chance(0.5) ? 10 : 0;
    const sent = door === 'http' ? events.slice(0, 1) : events;
    const hangUpAfterMs = door !== 'bus' && random.chance(0.03) ? random.between(0, 15) : undefined;
    return { op: 'send', door, events: sent, waitSeconds, ...(hangUpAfterMs !== undefined && { hangUpAfterMs }) };
  }

  /** Purchases of this run once more, long after. */
  again(count) {
    return Array.from({ length: Math.min(count, this.#history.length) }, () => this.#random.pick(this.#history));
  }

  #enrolSome() {
    for (let i = 0; i < 4; i++) {
      const rank = this.#member();
      if (!this.#unenrolled.delete(rank)) continue;
      this.#enrolments.push(externalIdOf(rank));
      // Somebody who enrols twice stays one member.
      if (this.#random.chance(0.1)) this.#enrolments.push(externalIdOf(rank));
    }
  }

  #events() {
    const random = this.#random;
    if (this.#history.length > 0 && random.chance(0.05)) return [random.pick(this.#history)];
    if (this.#history.length > 0 && random.chance(0.02)) return [this.#altered(random.pick(this.#history))];
    if (this.#history.length > 0 && random.chance(0.12)) return this.#returns(random.pick(this.#history));
    const event = this.#purchase();
    if (random.chance(0.02)) return [this.#return(event), event];
    if (this.#history.length < HISTORY_MAX) this.#history.push(event);
    else this.#history[random.between(0, HISTORY_MAX - 1)] = event;
    return random.chance(0.06) ? [event, event] : [event];
  }

  #purchase() {
    const random = this.#random;
    this.#number += 1;
    const lines = Array.from({ length: random.between(1, 3) }, (_, i) => this.#line(String(i + 1)));
    return {
      specversion: '1.0',
      id: `message-${this.#number}`,
      source: `/pos/${random.between(1, 3)}`,
      type: 'commerce.purchase.completed',
      time: new Date().toISOString(),
      data: {
        purchaseId: `receipt-${this.#number}`,
        member: random.chance(0.03) ? null : `external:${externalIdOf(this.#member())}`,
        occurredAt: this.#occurredAt(),
        currency: random.pick(CURRENCIES),
        lines,
        total: lines.reduce((sum, { amount }) => sum + amount, 0),
      },
    };
  }

  #returns(purchase) {
    const event = this.#return(purchase);
    return this.#random.chance(0.1) ? [event, event] : [event];
  }

  /** What came back of a purchase: money, pieces or both of a line, now and then more than there was, or the whole; by whoever bought it, or by nobody. */
  #return(purchase) {
    const random = this.#random;
    this.#number += 1;
    const { purchaseId, member, lines, occurredAt } = purchase.data;
    const goods = random.chance(0.25) ? { whole: true } : { lines: [this.#returnedLine(random.pick(lines))] };
    return {
      ...purchase,
      id: `message-${this.#number}`,
      type: 'commerce.purchase.returned',
      data: {
        returnId: `return-${this.#number}`,
        purchaseId,
        member: random.chance(0.3) ? null : member,
        occurredAt,
        ...goods,
      },
    };
  }

  #returnedLine({ lineId, amount, quantity }) {
    const random = this.#random;
    const money = random.chance(0.1) ? amount + 1 : random.between(0, amount);
    const millionths = Math.round(Number(quantity) * 1_000_000);
    const part = random.pick([millionths, Math.min(millionths, 1_000_000), random.between(0, millionths)]);
    const pieces = ((random.chance(0.1) ? millionths + 1 : part) / 1_000_000).toFixed(6);
    return random.pick([
      { lineId, amount: money },
      { lineId, quantity: pieces },
      { lineId, amount: money, quantity: pieces },
    ]);
  }

  #line(lineId) {
    const random = this.#random;
    const kind = random.chance(0.9) ? undefined : random.pick(['gift-card', 'fee', 'service', 'shipping', 'goods']);
    const amount = random.chance(0.05) ? 0 : random.between(1, 30_000);
    const quantity = random.pick(['1', '1', '2', '3', '12', '0.75', '2.333333']);
    return { lineId, sku: `sku-${random.between(1, 500)}`, quantity, amount, ...(kind && { kind }) };
  }

  /** Within two years, in any order; now and then tomorrow; with the offset of some shop. */
  #occurredAt() {
    const random = this.#random;
    const ahead = random.chance(0.005);
    const at = new Date(ahead ? Date.now() + 3 * DAY_MS : Date.now() - random.between(0, 730 * 24 * 60) * 60_000);
    const text = at.toISOString().slice(0, 19);
    return random.pick([`${text}Z`, `${text}.250Z`, `${text}+03:30`, `${text}.123456789-05:00`]);
  }

  #altered(event) {
    const [first, ...rest] = event.data.lines;
    const lines = [{ ...first, amount: first.amount + 1_000 }, ...rest];
    return { ...event, data: { ...event.data, lines, total: event.data.total + 1_000 } };
  }

  /** Bytes that every reader has to survive. */
  #malformed() {
    const text = JSON.stringify(this.#purchase());
    const value = this.#random.pick([
      Buffer.alloc(0),
      Buffer.from('null'),
      Buffer.from([0xff, 0xfe, 0x00]),
      Buffer.from(text.slice(0, -7)),
      Buffer.from(text.replace('"1.0"', '"7.0"')),
      Buffer.from(text.replace(/"total":\d+/, '"total":9007199254740993')),
      Buffer.from(text.replace(/"amount":\d+/, '"amount":-4')),
      Buffer.from(text.replace('"data":', '"__proto__":')),
      Buffer.from(`${'['.repeat(9_000)}${']'.repeat(9_000)}`),
      Buffer.from(text.replace('commerce.purchase.completed', 'commerce.purchase.imagined')),
      Buffer.from(JSON.stringify({ ...JSON.parse(text), note: 'x'.repeat(300 * 1_024) })),
    ]);
    return {
      op: 'malformed',
      key: this.#random.chance(0.5) ? `external:${externalIdOf(this.#member())}` : null,
      value,
    };
  }
}

const externalIdOf = (rank) => `customer-${rank}`;
