import type { DeadLetters } from '@vafa/messaging';
import type { Logger } from '../logger.js';

const INTERVAL_MS = 3_600_000;
/** Not at once, where everything else begins as well; and not only after an interval, which a process may never live to see. */
const FIRST_AFTER_MS = 60_000;

/** Deletes dead letters that are past their retention, now and then. Of several processes one at a time does so. */
export class DeadLetterPurge {
  private timer: NodeJS.Timeout;
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly deadLetters: DeadLetters,
    private readonly logger: Logger,
    private readonly intervalMs: number = INTERVAL_MS,
  ) {
    this.timer = this.after(Math.min(FIRST_AFTER_MS, intervalMs));
  }

  /** Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    clearTimeout(this.timer);
    await this.running;
    clearTimeout(this.timer);
  }

  private after(milliseconds: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.running = this.purge().finally(() => (this.timer = this.after(this.intervalMs)));
    }, milliseconds).unref();
  }

  private async purge(): Promise<void> {
    try {
      const letters = await this.deadLetters.purge();
      if (letters > 0) this.logger.info({ letters }, 'dead letters past their retention were deleted');
    } catch (err) {
      this.logger.warn({ err }, 'dead letters past their retention could not be deleted');
    }
  }
}
