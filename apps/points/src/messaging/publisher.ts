import { outgoingEvent, type OutgoingEvent } from '@vafa/contracts';
import { assertNever } from '@vafa/event-sourcing';
import { enqueueEvents, type MessageBus } from '@vafa/messaging';
import type { UnitOfWork } from '@vafa/persistence';
import type { ClaimKind } from '../application/claims.js';
import type { Outcome } from '../application/outcomes.js';
import type { PointsEvent } from '../events/points-event.js';

const SOURCE = '/vafa/points';

/** An award as listeners learn it. `balance` is the account's right after it. */
export type PublicAward = {
  readonly accountId: string;
  readonly recordedAt: string;
  readonly balance: number;
  readonly data: PointsEvent['data'];
};

/** What became of an input that did not reach the ledger, told under `key`. `id` names it: a repeat is told under the same. */
export type PublicOutcome = {
  readonly id: string;
  readonly key: string;
  readonly time: string;
  readonly outcome: Outcome;
};

/** Tells what became of inputs that did not reach the ledger, as part of the transaction that recorded it. */
export const publishOutcomes = async (
  bus: MessageBus,
  work: UnitOfWork,
  outcomes: readonly PublicOutcome[],
): Promise<void> => {
  if (outcomes.length === 0) return;
  await enqueueEvents(
    work,
    bus,
    outcomes.map(({ id, key, time, outcome }) => outcomeEvent(outcome, { id, key, time })),
  );
};

const outcomeEvent = (
  { kind, naturalId, explanation: _explanation, ...outcome }: Outcome,
  { id, ...told }: Omit<PublicOutcome, 'outcome'>,
): OutgoingEvent => {
  const verb = verbOf(kind, outcome.status);
  const parts = { ...told, id: `${id}:loyalty.${kind}.${verb}`, source: SOURCE };
  switch (kind) {
    case 'purchase':
      return outgoingEvent({ ...parts, type: `loyalty.purchase.${verb}`, data: { purchaseId: naturalId, ...outcome } });
    case 'return':
      return outgoingEvent({ ...parts, type: `loyalty.return.${verb}`, data: { returnId: naturalId, ...outcome } });
    case 'activity':
      return outgoingEvent({ ...parts, type: `loyalty.activity.${verb}`, data: { activityId: naturalId, ...outcome } });
    default:
      return assertNever(kind);
  }
};

/** Tells of a page of the ledger: the purchase is accepted, and points were earned where there were any. */
export const publishAwards = (bus: MessageBus, work: UnitOfWork, awards: readonly PublicAward[]): Promise<void> =>
  enqueueEvents(work, bus, awards.flatMap(eventsOf));

const eventsOf = ({ accountId, recordedAt: time, balance, data }: PublicAward): OutgoingEvent[] => {
  const { transactionId, memberId, source, purchaseId, amount, occurredAt, effectiveAt } = data;
  const accepted = outgoingEvent({
    type: 'loyalty.purchase.accepted',
    id: `${transactionId}:loyalty.purchase.accepted`,
    source: SOURCE,
    key: memberId,
    time,
    data: { source, purchaseId, status: 'taken', memberId, points: amount, transactionId, reason: null },
  });
  if (amount === 0) return [accepted];
  const earned = outgoingEvent({
    type: 'loyalty.points.earned',
    id: `${transactionId}:loyalty.points.earned`,
    source: SOURCE,
    key: memberId,
    time,
    data: { memberId, accountId, transactionId, amount, occurredAt, effectiveAt, source, purchaseId, balance },
  });
  return [accepted, earned];
};

const verbOf = (kind: ClaimKind, status: Outcome['status']): 'accepted' | 'waiting' | 'refused' => {
  if (status === 'waiting') return 'waiting';
  // A return that a person decides on may still be taken: whoever sent it has nothing to do but to wait.
  if (status === 'quarantined') return kind === 'return' ? 'waiting' : 'refused';
  return status === 'taken' || status === 'anonymous' ? 'accepted' : 'refused';
};
