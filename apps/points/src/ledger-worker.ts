import type { BeforeApplicationShutdown, OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import type { LogReader } from '@vafa/event-sourcing';
import type { Outcomes } from './application/outcomes.js';
import type { PointsEvent } from './events/points-event.js';

/** Runs the reader for as long as the service runs, and answers those who wait for what it has just made visible. */
export class LedgerWorker implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown {
  constructor(
    readonly reader: LogReader<PointsEvent>,
    private readonly outcomes: Outcomes,
  ) {}

  onApplicationBootstrap(): void {
    this.reader.onApplied((page) => {
      if (this.outcomes.idle) return;
      for (const { event } of page) {
        if (event.type !== 'PointsEarned') continue;
        const { transactionId, source, purchaseId: naturalId, memberId, amount, explanation } = event.data;
        const taken = { kind: 'purchase', source, naturalId, status: 'taken', memberId, points: amount } as const;
        this.outcomes.settleExpected(transactionId, { ...taken, transactionId, reason: null, explanation });
      }
    });
    this.reader.start();
  }

  /** Requests have ended by now: whoever still waits does so for nothing. */
  beforeApplicationShutdown(): void {
    this.outcomes.close();
  }

  /** After the consumers: what they wrote last is read as far as it goes; the rest is read at the next start. */
  async onApplicationShutdown(): Promise<void> {
    await this.reader.close();
  }
}
