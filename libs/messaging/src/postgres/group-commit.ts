/** A flush takes no more than this, so that a reader never waits long for its first message. */
const FLUSH_MESSAGES_MAX = 5_000;
const FLUSH_BYTES_MAX = 8 * 1024 * 1024;

export type Sized = { readonly value: Buffer };
type Job<Item> = { readonly items: readonly Item[]; resolve(): void; reject(error: unknown): void };

/**
 * Writes in one transaction whatever gathered while the one before it ran: many small calls cost little more than one big one.
 * Calls keep their order; one that fails fails every call that it carried.
 */
export class GroupCommit<Item extends Sized> {
  private readonly waiting: Job<Item>[] = [];
  private running: Promise<void> | undefined;

  constructor(private readonly write: (items: readonly Item[]) => Promise<void>) {}

  /** Resolves when the items are durable. */
  add(items: readonly Item[]): Promise<void> {
    if (items.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.waiting.push({ items, resolve, reject });
      this.running ??= this.run();
    });
  }

  /** Resolves when nothing is waiting any more. */
  async drained(): Promise<void> {
    while (this.running !== undefined) await this.running;
  }

  private async run(): Promise<void> {
    // Calls made in the same turn go together.
    await Promise.resolve();
    while (this.waiting.length > 0) await this.flush(this.take());
    this.running = undefined;
  }

  private async flush(jobs: readonly Job<Item>[]): Promise<void> {
    try {
      await this.write(jobs.flatMap((job) => job.items));
      for (const job of jobs) job.resolve();
    } catch (error) {
      for (const job of jobs) job.reject(error);
    }
  }

  private take(): Job<Item>[] {
    let messages = 0;
    let bytes = 0;
    let jobs = 0;
    for (const { items } of this.waiting) {
      messages += items.length;
      for (const { value } of items) bytes += value.length;
      if (jobs > 0 && (messages > FLUSH_MESSAGES_MAX || bytes > FLUSH_BYTES_MAX)) break;
      jobs++;
    }
    return this.waiting.splice(0, jobs);
  }
}
