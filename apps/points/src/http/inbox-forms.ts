import type { InboxItem } from '../application/inbox-items.js';
import type { InboxView } from '../application/inbox-reader.js';
import type { Settlement } from '../application/settlements.js';
import type { Difference, InboxAction } from '../domain/inbox.js';
import { idOf, publicOutcome, type PublicOutcome } from './inputs.js';

/** The forms in which the inbox is answered. */
export type PublicItem = Readonly<Record<string, unknown>> & { readonly id: string };
export type PublicView = PublicItem & {
  readonly actions: readonly InboxAction[];
  readonly content: unknown;
  readonly standing: { readonly member: string | null; readonly content: unknown } | null;
  readonly differences: readonly Difference[];
  readonly outcome: PublicOutcome;
  readonly replacement: PublicOutcome | null;
  readonly settlement: PublicSettlement | null;
};
export type PublicSettlement = Omit<Settlement, 'settlementId' | 'itemId' | 'kind' | 'source' | 'naturalId' | 'was'>;

export const publicItem = (item: InboxItem): PublicItem => ({
  id: item.itemId,
  kind: item.kind,
  source: item.source,
  ...idOf(item),
  ...(item.kind === 'return' ? { purchaseId: item.purchaseId } : {}),
  status: item.open ? item.status : 'settled',
  reason: item.reason,
  member: item.reference,
  receivedAt: item.receivedAt,
});

export const publicSettlement = ({
  action,
  target,
  actor,
  reason,
  decidedAt,
  finishedAt,
}: Settlement): PublicSettlement => ({
  action,
  target,
  actor,
  reason,
  decidedAt,
  finishedAt,
});

export const publicView = ({ item, standing, settlement, outcome, replacement, ...view }: InboxView): PublicView => ({
  ...publicItem(item),
  actions: view.actions,
  content: JSON.parse(item.content) as unknown,
  standing: standing && { member: standing.reference, content: JSON.parse(standing.content) as unknown },
  differences: view.differences,
  outcome: publicOutcome(outcome),
  replacement: replacement && publicOutcome(replacement),
  settlement: settlement && publicSettlement(settlement),
});
