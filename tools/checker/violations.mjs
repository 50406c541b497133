/** Examples kept of one kind of violation: a broken run has thousands, and the first ones tell the story. */
const EXAMPLES_MAX = 100;

/** What was found wrong, by kind. */
export class Violations {
  #byCode = new Map();

  /**
   * Notes a violation.
   * @param {string} code its kind, such as `event-missing`
   * @param {string} id what it is about: a purchase, an account, an event
   * @param {string} detail what was expected and what is there, in a sentence
   */
  add(code, id, detail) {
    const kind = this.#byCode.get(code) ?? { code, count: 0, examples: [] };
    kind.count += 1;
    if (kind.examples.length < EXAMPLES_MAX) kind.examples.push({ id, detail });
    this.#byCode.set(code, kind);
  }

  /** Notes a violation unless the two are the same text, number or bigint. */
  equal(code, id, what, actual, expected) {
    if (String(actual) !== String(expected)) this.add(code, id, `${what} is ${actual} and should be ${expected}`);
  }

  /** @returns {{ code: string, count: number, examples: { id: string, detail: string }[] }[]} */
  list() {
    return [...this.#byCode.values()];
  }
}
