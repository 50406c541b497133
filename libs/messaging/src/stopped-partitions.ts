import type { Batch } from './message-bus.js';

/** The partitions whose page does not go on, by the last attempt at it. What is known of them ends with the consumer's epoch. */
export class StoppedPartitions {
  private readonly names = new Set<string>();
  private epoch = -1;

  get size(): number {
    return this.names.size;
  }

  /** The topics that have such a partition. */
  get topics(): string[] {
    return [...new Set([...this.names].map((name) => name.slice(0, name.lastIndexOf('/'))))];
  }

  /** The page could not go on. Answers whether a partition of it had not stood still before. */
  stop(batch: Batch): boolean {
    this.begin(batch);
    const before = this.names.size;
    for (const name of namesOf(batch)) this.names.add(name);
    return this.names.size > before;
  }

  /** The page went on. */
  go(batch: Batch): void {
    this.begin(batch);
    if (this.names.size > 0) for (const name of namesOf(batch)) this.names.delete(name);
  }

  private begin({ epoch }: Batch): void {
    if (epoch <= this.epoch) return;
    this.epoch = epoch;
    this.names.clear();
  }
}

const namesOf = ({ topic, messages }: Batch): Set<string> =>
  new Set(messages.map(({ partition }) => `${topic}/${partition}`));
