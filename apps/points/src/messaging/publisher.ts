import { outgoingEvent, type OutgoingEvent } from '@vafa/contracts';
import { assertNever } from '@vafa/event-sourcing';
import { enqueueEvents, type MessageBus, type UnsequencedEvent } from '@vafa/messaging';
import type { UnitOfWork } from '@vafa/persistence';
import type { Outcome } from '../application/outcomes.js';
import { sumOfDraws } from '../domain/lots.js';
import { uncoveredReason } from '../domain/return-policy.js';
import type { PointsEarned, PointsEvent, PointsReversed, PointsWrittenOff } from '../events/points-event.js';

const SOURCE = '/vafa/points';

/** A movement as listeners learn it. `id` names it, `balance` is the account's right after it. */
export type PublicMovement = {
  readonly id: string;
  readonly accountId: string;
  readonly recordedAt: string;
  readonly balance: number;
  readonly event: PointsEvent;
  readonly traceparent?: string | undefined;
};

/** What became of an input that did not reach the ledger, told under `key`. `id` names it: a repeat is told under the same. */
export type PublicOutcome = {
  readonly id: string;
  readonly key: string;
  readonly time: string;
  readonly outcome: Outcome;
  readonly traceparent?: string | undefined;
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
    outcomes.map(({ id, key, time, outcome, traceparent }) => ({
      ...outcomeEvent(outcome, { id, key, time }),
      traceparent,
    })),
  );
};

const outcomeEvent = (
  { kind, naturalId, explanation: _explanation, ...outcome }: Outcome,
  { id, ...told }: Pick<PublicOutcome, 'id' | 'key' | 'time'>,
): OutgoingEvent => {
  const verb = verbOf(outcome.status);
  // A purchase of nobody that is claimed later is accepted once more, by the ledger; so is what came back of it.
  const again = outcome.status === 'anonymous' ? ':anonymous' : '';
  const parts = { ...told, id: `${id}:loyalty.${kind}.${verb}${again}`, source: SOURCE };
  switch (kind) {
    case 'purchase':
      return outgoingEvent({ ...parts, type: `loyalty.purchase.${verb}`, data: { purchaseId: naturalId, ...outcome } });
    case 'return': {
      // What a person decides on may still be taken: it is not refused, and waits for nothing that its sender could send.
      const type = `loyalty.return.${outcome.status === 'quarantined' ? 'quarantined' : verb}` as const;
      return outgoingEvent({ ...parts, type, id: `${id}:${type}${again}`, data: { returnId: naturalId, ...outcome } });
    }
    case 'activity':
      return outgoingEvent({ ...parts, type: `loyalty.activity.${verb}`, data: { activityId: naturalId, ...outcome } });
    default:
      return assertNever(kind);
  }
};

/** Tells of a page of the ledger: what was accepted, and what moved where anything did. */
export const publishMovements = (
  bus: MessageBus,
  work: UnitOfWork,
  movements: readonly PublicMovement[],
): Promise<void> => enqueueEvents(work, bus, movements.flatMap(tracedEventsOf));

const tracedEventsOf = (movement: PublicMovement): UnsequencedEvent[] => {
  const { traceparent } = movement;
  const events = eventsOf(movement);
  return traceparent === undefined ? events : events.map((event) => ({ ...event, traceparent }));
};

const eventsOf = (movement: PublicMovement): OutgoingEvent[] => {
  const { event } = movement;
  switch (event.type) {
    case 'PointsEarned':
      return earnedEvents(movement, event);
    case 'PointsReversed':
      return reversedEvents(movement, event);
    case 'PointsWrittenOff':
      return [writtenOffEvent(movement, event)];
    default:
      return assertNever(event);
  }
};

const earnedEvents = ({ accountId, recordedAt, balance }: PublicMovement, { data }: PointsEarned): OutgoingEvent[] => {
  const { transactionId, memberId, source, purchaseId, amount, draws, occurredAt, effectiveAt } = data;
  const envelope = { source: SOURCE, key: memberId, time: recordedAt };
  const accepted = outgoingEvent({
    type: 'loyalty.purchase.accepted',
    id: `${transactionId}:loyalty.purchase.accepted`,
    ...envelope,
    data: { source, purchaseId, status: 'taken', memberId, points: amount, transactionId, reason: null },
  });
  if (amount === 0) return [accepted];
  const debtPaid = sumOfDraws(draws);
  const times = { occurredAt, effectiveAt };
  const earned = outgoingEvent({
    type: 'loyalty.points.earned',
    id: `${transactionId}:loyalty.points.earned`,
    ...envelope,
    data: { memberId, accountId, transactionId, amount, debtPaid, ...times, source, purchaseId, balance },
  });
  return [accepted, earned];
};

const reversedEvents = (
  { accountId, recordedAt, balance }: PublicMovement,
  { data }: PointsReversed,
): OutgoingEvent[] => {
  const { transactionId, memberId, source, returnId, amount, debt, reversals, occurredAt, effectiveAt } = data;
  const reason = uncoveredReason(data.uncovered, data.currency);
  const envelope = { source: SOURCE, key: memberId, time: recordedAt };
  const purchaseId = reversals.length === 1 ? (reversals[0]?.purchaseId ?? null) : null;
  const points = 0 - amount;
  const accepted = outgoingEvent({
    type: 'loyalty.return.accepted',
    id: `${transactionId}:loyalty.return.accepted`,
    ...envelope,
    data: { source, returnId, status: 'taken', memberId, points, transactionId, reason },
  });
  if (amount === 0) return [accepted];
  const times = { occurredAt, effectiveAt };
  const reversed = outgoingEvent({
    type: 'loyalty.points.reversed',
    id: `${transactionId}:loyalty.points.reversed`,
    ...envelope,
    data: { memberId, accountId, transactionId, amount, debt, ...times, source, returnId, purchaseId, balance },
  });
  return [accepted, reversed];
};

const writtenOffEvent = (
  { id, accountId, recordedAt, balance }: PublicMovement,
  { data }: PointsWrittenOff,
): OutgoingEvent => {
  const { reversalId, memberId, source, returnId, amount, occurredAt, effectiveAt } = data;
  const times = { occurredAt, effectiveAt };
  return outgoingEvent({
    type: 'loyalty.points.written-off',
    id: `${id}:loyalty.points.written-off`,
    source: SOURCE,
    key: memberId,
    time: recordedAt,
    data: { memberId, accountId, transactionId: id, reversalId, amount, ...times, source, returnId, balance },
  });
};

const verbOf = (status: Outcome['status']): 'accepted' | 'waiting' | 'refused' => {
  if (status === 'waiting') return 'waiting';
  return status === 'taken' || status === 'anonymous' ? 'accepted' : 'refused';
};
