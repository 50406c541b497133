type Link<Value> = {
  readonly key: string;
  value: Value;
  older: Link<Value> | undefined;
  newer: Link<Value> | undefined;
};

/**
 * A map of so many entries at most: what was used longest ago falls out. Every operation takes the same time whatever the size. A bare Map
 * would not: it keeps the places of deleted entries until it grows, and whoever asks for its first key walks over all of them.
 */
export class LruMap<Value> {
  private readonly links = new Map<string, Link<Value>>();
  private oldest: Link<Value> | undefined;
  private newest: Link<Value> | undefined;

  constructor(private readonly entriesMax: number) {
    if (!Number.isInteger(entriesMax) || entriesMax < 0)
      throw new RangeError('a cache holds a whole number of entries');
  }

  get size(): number {
    return this.links.size;
  }

  get(key: string): Value | undefined {
    const link = this.links.get(key);
    if (link === undefined) return undefined;
    this.unchain(link);
    this.chain(link);
    return link.value;
  }

  set(key: string, value: Value): void {
    const known = this.links.get(key);
    if (known !== undefined) {
      known.value = value;
      this.unchain(known);
      this.chain(known);
      return;
    }
    if (this.links.size >= this.entriesMax && this.oldest !== undefined) this.delete(this.oldest.key);
    if (this.entriesMax === 0) return;
    const link: Link<Value> = { key, value, older: undefined, newer: undefined };
    this.links.set(key, link);
    this.chain(link);
  }

  delete(key: string): void {
    const link = this.links.get(key);
    if (link === undefined) return;
    this.links.delete(key);
    this.unchain(link);
  }

  clear(): void {
    this.links.clear();
    this.oldest = undefined;
    this.newest = undefined;
  }

  private chain(link: Link<Value>): void {
    link.older = this.newest;
    link.newer = undefined;
    if (this.newest === undefined) this.oldest = link;
    else this.newest.newer = link;
    this.newest = link;
  }

  private unchain(link: Link<Value>): void {
    if (link.older === undefined) this.oldest = link.newer;
    else link.older.newer = link.newer;
    if (link.newer === undefined) this.newest = link.older;
    else link.newer.older = link.older;
  }
}
