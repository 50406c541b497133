import { DeadlineExceededError } from './failures.js';

type Entry = { readonly dueMs: number; readonly giveUp: () => void };

/**
 * One deadline for many calls. It is the same for all, so that who began first is due first: one queue and one timer do for any number of calls
 * under way.
 */
export class Deadlines {
  /** In the order of their beginning, which a set keeps. */
  private readonly open = new Set<Entry>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly deadlineMs: number) {}

  /** As the work ends; fails with DeadlineExceededError where it takes longer. What becomes of the work then is not told. */
  within<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => reject(new DeadlineExceededError(`no answer within ${this.deadlineMs} ms`));
      const entry = { dueMs: performance.now() + this.deadlineMs, giveUp };
      this.open.add(entry);
      this.timer ??= setTimeout(() => this.look(), this.deadlineMs);
      work.finally(() => this.open.delete(entry)).then(resolve, reject);
    });
  }

  /** To be called when nothing is under way any more: the timer would keep the process alive. */
  close(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private look(): void {
    this.timer = undefined;
    const nowMs = performance.now();
    for (const entry of this.open) {
      if (entry.dueMs > nowMs) {
        // Rounded up, or it would wake just before.
        this.timer = setTimeout(() => this.look(), Math.ceil(entry.dueMs - nowMs));
        return;
      }
      this.open.delete(entry);
      entry.giveUp();
    }
  }
}
