import { isMap, isNode, isScalar, LineCounter, parseDocument, type Document } from 'yaml';

import { didYouMean } from '../suggest.js';

export type Path = readonly (string | number)[];

/** A mistake in a YAML file, with the line and the column that it stands in. */
export type YamlProblem = { readonly line: number; readonly column: number; readonly message: string };

/** Reads a YAML document value by value and notes every mistake with its place, instead of stopping at the first. */
export class YamlReader {
  readonly problems: YamlProblem[] = [];
  private readonly counter = new LineCounter();
  private readonly document: Document;

  constructor(source: string) {
    this.document = parseDocument(source, { lineCounter: this.counter, prettyErrors: false });
    for (const error of this.document.errors) this.note(error.pos[0], error.message);
  }

  /** The value at a path as plain data; `undefined` where there is none. */
  value(path: Path): unknown {
    const node = path.length === 0 ? this.document.contents : this.document.getIn(path, true);
    return isNode(node) ? (node.toJS(this.document) as unknown) : undefined;
  }

  has(path: Path): boolean {
    return this.document.hasIn(path);
  }

  complain(path: Path, message: string): void {
    const node = path.length === 0 ? this.document.contents : this.document.getIn(path, true);
    const at = isNode(node) ? node.range?.[0] : undefined;
    if (at === undefined && path.length > 0) return this.complain(path.slice(0, -1), message);
    this.note(at ?? 0, message);
  }

  /** The keys of a mapping. Unknown ones are mistakes, with the nearest that exists. */
  keys(path: Path, known: readonly string[]): string[] {
    const node = path.length === 0 ? this.document.contents : this.document.getIn(path, true);
    if (!isMap(node)) {
      this.complain(path, `${describe(path)} must be a mapping (key: value)`);
      return [];
    }
    return node.items.flatMap(({ key }) => {
      const name = isScalar(key) ? String(key.value) : String(key);
      if (known.includes(name)) return [name];
      const at = isNode(key) ? (key.range?.[0] ?? 0) : 0;
      this.note(at, `"${name}" is not known here.${didYouMean(name, known)} Known: ${known.join(', ')}`);
      return [];
    });
  }

  /** Text as it stands, also where YAML sees a number; `undefined`, with a mistake noted, for anything else. */
  text(path: Path): string | undefined {
    const value = this.value(path);
    if (typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    this.complain(path, `${describe(path)} must be text`);
    return undefined;
  }

  choice<Choice extends string>(path: Path, choices: readonly Choice[], fallback: Choice): Choice {
    if (!this.has(path)) return fallback;
    const value = this.text(path);
    const found = choices.find((choice) => choice === value);
    if (found !== undefined || value === undefined) return found ?? fallback;
    this.complain(path, `"${value}" is none of ${choices.join(', ')}.${didYouMean(value, choices)}`);
    return fallback;
  }

  /** The items of a list as paths; a single value counts as a list of one. */
  list(path: Path): Path[] {
    if (!this.has(path)) return [];
    const value = this.value(path);
    return Array.isArray(value) ? value.map((_, index) => [...path, index]) : [path];
  }

  private note(offset: number, message: string): void {
    const { line, col } = this.counter.linePos(offset);
    this.problems.push({ line: Math.max(line, 1), column: Math.max(col, 1), message });
  }
}

export const describe = (path: Path): string => (path.length === 0 ? 'the map' : `"${path.join('.')}"`);
