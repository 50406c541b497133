import type { BeforeApplicationShutdown, OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import {
  assertNever,
  type LogReader,
  type ReaderWatch,
  type Rebuild,
  type RebuildProgress,
} from '@vafa/event-sourcing';
import type { Database } from '@vafa/persistence';
import type { Actor, Audit } from '@vafa/service';
import type { Outcomes } from './application/outcomes.js';
import { uncoveredReason } from './domain/return-policy.js';
import type { PointsEvent } from './events/points-event.js';
import { explanationOf } from './read-models/movements.js';

/** How far the read models are, and their last rebuild. */
export type ReadModelReport = {
  readonly name: string;
  /** Events of the ledger that are in them. */
  readonly events: number;
  readonly eventsBehind: number;
  readonly lastEventAgeSeconds: number;
  readonly rebuild: RebuildProgress;
};

type Parts = {
  readonly reader: LogReader<PointsEvent>;
  readonly rebuild: Rebuild<PointsEvent>;
  readonly watch: ReaderWatch;
  readonly outcomes: Outcomes;
  readonly audit: Audit;
  readonly database: Database;
};

/** Runs the reader for as long as the service runs, and answers those who wait for what it has just made visible. */
export class LedgerWorker implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown {
  readonly reader: LogReader<PointsEvent>;
  private readonly outcomes: Outcomes;

  constructor(private readonly parts: Parts) {
    this.reader = parts.reader;
    this.outcomes = parts.outcomes;
  }

  /** How far everything is now. */
  async report(): Promise<ReadModelReport> {
    const [{ generation: _generation, ...lag }, rebuild] = await Promise.all([
      this.parts.watch.look(),
      this.parts.rebuild.progress(),
    ]);
    return { name: 'points', ...lag, rebuild };
  }

  /** Begins a rebuild unless one is under way. */
  async startRebuild(actor: Actor): Promise<ReadModelReport> {
    const { audit, database } = this.parts;
    await audit.record(database, { actor, action: 'read-models.rebuilt', subject: 'points' });
    await this.parts.rebuild.start();
    return this.report();
  }

  onApplicationBootstrap(): void {
    this.reader.onApplied((page) => {
      if (this.outcomes.idle) return;
      for (const { event } of page) this.settle(event);
    });
    this.reader.start();
    this.parts.watch.start();
  }

  private settle(event: PointsEvent): void {
    switch (event.type) {
      case 'PointsEarned': {
        const { transactionId, source, purchaseId: naturalId, memberId, amount: points, explanation } = event.data;
        const taken = { kind: 'purchase', source, naturalId, status: 'taken', memberId, points } as const;
        return this.outcomes.settleExpected(transactionId, { ...taken, transactionId, reason: null, explanation });
      }
      case 'PointsReversed': {
        const { transactionId, source, returnId: naturalId, memberId, amount, uncovered, currency } = event.data;
        const taken = { kind: 'return', source, naturalId, status: 'taken', memberId, points: 0 - amount } as const;
        const reason = uncoveredReason(uncovered, currency);
        const explanation = explanationOf(event);
        return this.outcomes.settleExpected(transactionId, { ...taken, transactionId, reason, explanation });
      }
      // Told of with its reversal.
      case 'PointsWrittenOff':
        return;
      default:
        return assertNever(event);
    }
  }

  /** Requests have ended by now: whoever still waits does so for nothing. */
  beforeApplicationShutdown(): void {
    this.outcomes.close();
  }

  /** After the consumers: what they wrote last is read as far as it goes; the rest is read at the next start. */
  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.parts.rebuild.close(), this.parts.watch.close(), this.reader.close()]);
  }
}
