import type { Clock, Metrics } from '@vafa/service';
import type { InboxCount, InboxItems } from './application/inbox-items.js';

/** How many items lie in the inbox, and how old the oldest is, counted when the metrics are asked for. */
export const observeInbox = (metrics: Metrics, items: InboxItems, clock: Clock): void => {
  let counting: Promise<InboxCount[]> | undefined;
  // One query for both gauges: they are asked at the same moment.
  const counts = (): Promise<InboxCount[]> => (counting ??= items.counts().finally(() => (counting = undefined)));
  metrics.gauge({
    name: 'vafa_inbox_items',
    help: 'Items that somebody has to settle: waiting, conflict, quarantined',
    labels: ['status'],
    collect: async (gauge) => {
      for (const { status, count } of await counts()) gauge.set({ status }, count);
    },
  });
  metrics.gauge({
    name: 'vafa_inbox_oldest_age_seconds',
    help: 'Age of the oldest item that somebody has to settle, 0 where there is none',
    labels: ['status'],
    collect: async (gauge) => {
      const now = clock.now();
      for (const { status, oldest } of await counts()) {
        const seconds = oldest === null ? 0 : now.since(Temporal.Instant.from(oldest)).total('seconds');
        gauge.set({ status }, Math.max(0, seconds));
      }
    },
  });
};
