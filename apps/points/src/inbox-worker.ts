import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import type { Inbox } from './application/inbox.js';

/** How often decisions that were cut off are gone on with. */
export const FINISH_INTERVAL_MS = 5_000;

/** Goes on with what people decided and a crash or an outage cut off: at the start, and now and then. */
export class InboxWorker implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(
    private readonly inbox: Inbox,
    private readonly onError: (error: unknown) => void,
  ) {}

  onApplicationBootstrap(): void {
    this.running = this.run();
  }

  /** Lets what is under way come to its end. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  private async run(): Promise<void> {
    try {
      await this.inbox.finishAll();
    } catch (error) {
      this.onError(error);
    }
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.running = this.run();
    }, FINISH_INTERVAL_MS).unref();
  }
}
