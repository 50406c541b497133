// The log of what was sent, one JSON object a line, written by whoever sent it:
//
//   {"n":1,"op":"purchase","door":"bus","at":"…","event":{…}}          a CloudEvent, before it is sent
//   {"n":2,"op":"member","door":"http","at":"…","externalId":"c-1"}    an enrolment, before it is sent
//   {"n":3,"op":"malformed","door":"bus","at":"…","partition":3,"position":"17"}   bytes that are no event, at their place on the bus
//   {"n":1,"op":"acknowledged","at":"…","outcome":{…}|null}            the answer to line 1; outcome where one was waited for
//   {"n":4,"op":"refused","at":"…","status":422}                       the door said that it did not take line 4
//
// A line that is cut off at the end (the sender was killed) is left out.
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { contentHash, keyOf } from './model.mjs';

/**
 * @typedef {{ n: number, door: string, event: object, hash: string, acknowledged: boolean, refused: boolean, outcome: object | null }} PurchaseInput
 * @typedef {{ purchases: Map<string, PurchaseInput[]>, returns: Map<string, PurchaseInput[]>, members: Map<string, { acknowledged: boolean, memberIds: Set<string> }>,
 *   malformed: { partition: number, position: string }[] }} Inputs
 */

/**
 * Reads a log of inputs from a file.
 * @returns {Promise<Inputs>}
 */
export async function readInputs(file) {
  const collected = new InputCollector();
  let number = 0;
  let broken;
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    number += 1;
    if (broken !== undefined) throw new Error(`line ${broken} of the inputs is not JSON`);
    try {
      collected.add(JSON.parse(line));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      broken = number;
    }
  }
  return collected.inputs;
}

/** Puts the lines of a log of inputs together. */
export class InputCollector {
  /** @type {Inputs} */
  inputs = { purchases: new Map(), returns: new Map(), members: new Map(), malformed: [] };
  #open = new Map();

  add(line) {
    if (line.op === 'acknowledged' || line.op === 'refused') return this.#answer(line);
    if (line.op === 'purchase') return this.#purchase(line);
    if (line.op === 'member') return this.#member(line);
    if (line.op === 'malformed')
      return this.inputs.malformed.push({ partition: line.partition, position: line.position });
    throw new Error(`line ${line.n} of the inputs has the unknown operation ${line.op}`);
  }

  #purchase({ n, door, event }) {
    const isReturn = event.type === 'commerce.purchase.returned';
    const key = keyOf(event.source, isReturn ? event.data.returnId : event.data.purchaseId);
    const all = isReturn ? this.inputs.returns : this.inputs.purchases;
    const hash = contentHash(event.data);
    const input = { n, door, event, hash, acknowledged: false, refused: false, outcome: null };
    const same = all.get(key);
    if (same === undefined) all.set(key, [input]);
    else same.push(input);
    this.#open.set(n, input);
  }

  #member({ n, externalId }) {
    const member = this.inputs.members.get(externalId) ?? { acknowledged: false, memberIds: new Set() };
    this.inputs.members.set(externalId, member);
    this.#open.set(n, member);
  }

  #answer({ n, op, outcome, memberId }) {
    const input = this.#open.get(n);
    if (input === undefined) throw new Error(`the inputs answer line ${n}, which was never sent`);
    if (op === 'refused') input.refused = true;
    else input.acknowledged = true;
    if (outcome) input.outcome = outcome;
    if (memberId !== undefined) input.memberIds.add(memberId);
  }
}
