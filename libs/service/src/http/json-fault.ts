/** Where a text stops being JSON, and what should have stood there. */
export type JsonFault = { readonly at: number; readonly expected: string };

/** It walks by recursion, and goes no deeper than this, far less than a stack holds. */
const DEPTH_MAX = 1_000;

/** Finds the first fault of a text that `JSON.parse` has refused. Where it nests deeper than 1,000 levels, that is the fault. */
export const findFault = (text: string): JsonFault => {
  try {
    const reader = new JsonReader(text);
    reader.value();
    reader.end();
  } catch (error) {
    if (error instanceof Fault) return { at: error.at, expected: error.expected };
    throw error;
  }
  return { at: text.length, expected: 'valid JSON' };
};

class Fault extends Error {
  constructor(
    readonly at: number,
    readonly expected: string,
  ) {
    super(expected);
  }
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const TEXT_PART = /(?:[^"\\\u0000-\u001f]|\\["\\/bfnrt]|\\u[\da-fA-F]{4})*/y;
const WORDS = ['true', 'false', 'null'];

class JsonReader {
  private at = 0;
  private depth = 0;

  constructor(private readonly source: string) {}

  value(): void {
    this.skip(SPACE);
    const next = this.source[this.at];
    if (next === '{') return this.nested(() => this.members());
    if (next === '[') return this.nested(() => this.items());
    if (next === '"') return this.text();
    const word = WORDS.find((one) => this.source.startsWith(one, this.at));
    if (word !== undefined) this.at += word.length;
    else if (!this.skip(NUMBER)) throw new Fault(this.at, 'a value');
  }

  end(): void {
    this.skip(SPACE);
    if (this.at < this.source.length) throw new Fault(this.at, 'its end');
  }

  private nested(walk: () => void): void {
    if (++this.depth > DEPTH_MAX) throw new Fault(this.at, 'less nesting');
    walk();
    this.depth--;
  }

  private members(): void {
    this.at++;
    if (this.takes('}')) return;
    do {
      this.skip(SPACE);
      if (this.source[this.at] !== '"') throw new Fault(this.at, 'a key in double quotes');
      this.text();
      if (!this.takes(':')) throw new Fault(this.at, 'a colon');
      this.value();
    } while (this.takes(','));
    if (!this.takes('}')) throw new Fault(this.at, 'a comma or }');
  }

  private items(): void {
    this.at++;
    if (this.takes(']')) return;
    do this.value();
    while (this.takes(','));
    if (!this.takes(']')) throw new Fault(this.at, 'a comma or ]');
  }

  private text(): void {
    this.at++;
    this.skip(TEXT_PART);
    if (this.source[this.at] !== '"') throw new Fault(this.at, 'the rest of a text and its closing quote');
    this.at++;
  }

  private takes(sign: string): boolean {
    this.skip(SPACE);
    if (this.source[this.at] !== sign) return false;
    this.at++;
    return true;
  }

  /** Moves past a match, if there is one, and says whether it was of any length. */
  private skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.at;
    const length = pattern.exec(this.source)?.[0].length ?? 0;
    this.at += length;
    return length > 0;
  }
}
