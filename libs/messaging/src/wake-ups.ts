/**
 * Hints within one process that a topic has something new. A hint may be lost or come for nothing: whoever waits looks for himself
 * after a while anyway, so that correctness never hangs on it.
 */
export class WakeUps {
  private readonly versions = new Map<string, number>();
  private readonly sleepers = new Map<string, Set<() => void>>();

  /** Take it before looking; a hint that comes between looking and waiting then ends the wait at once. */
  version(topic: string): number {
    return this.versions.get(topic) ?? 0;
  }

  notify(topic: string): void {
    this.versions.set(topic, this.version(topic) + 1);
    for (const wake of this.sleepers.get(topic) ?? []) wake();
  }

  /** Resolves on a hint later than `seen`, after `milliseconds`, or when `signal` is aborted. */
  wait(topic: string, seen: number, milliseconds: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.version(topic) !== seen) return Promise.resolve();
    const sleepers = this.sleepers.get(topic) ?? new Set();
    this.sleepers.set(topic, sleepers);
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        sleepers.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      const timer = setTimeout(wake, milliseconds);
      sleepers.add(wake);
      signal.addEventListener('abort', wake);
    });
  }
}
