import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { InputCollector } from '../checker/inputs.mjs';

/** The log of what is sent: written to a file line by line and kept in memory for the checker. Its form is told in `tools/checker/inputs.mjs`. */
export class InputLog {
  #collector = new InputCollector();
  #file;
  #last = 0;

  /** @param {string | undefined} path of a file to write, none to keep it in memory alone */
  constructor(path) {
    this.#file = path === undefined ? undefined : createWriteStream(path);
  }

  /** Notes something before it is sent. @returns {number} under which its answer is noted */
  sent(line) {
    this.#last += 1;
    this.#write({ n: this.#last, ...line });
    return this.#last;
  }

  /** Notes an answer. `answer` may have an `outcome` of a purchase or a `memberId` of an enrolment. */
  acknowledged(n, answer = {}) {
    this.#write({ n, op: 'acknowledged', ...answer });
  }

  /** Notes that the door said it did not take it. */
  refused(n, status) {
    this.#write({ n, op: 'refused', status });
  }

  /** @returns {import('../checker/inputs.mjs').Inputs} */
  get inputs() {
    return this.#collector.inputs;
  }

  async close() {
    if (this.#file === undefined) return;
    this.#file.end();
    await once(this.#file, 'close');
  }

  #write({ n, op, ...rest }) {
    const line = { n, op, at: Temporal.Now.instant().toString(), ...rest };
    this.#file?.write(`${JSON.stringify(line)}\n`);
    this.#collector.add(line);
  }
}
