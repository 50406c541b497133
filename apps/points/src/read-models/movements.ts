import { assertNever, type DecodedEvent } from '@vafa/event-sourcing';
import type { CopyCell } from '@vafa/persistence';
import { accountOf } from '../domain/account.js';
import type { Explanation } from '../domain/earning.js';
import type { ReversalExplanation, WriteOffExplanation } from '../domain/explain-reversal.js';
import type { MovementKind } from '../domain/movement-kind.js';
import { sumOfDraws, type LotDraw } from '../domain/lots.js';
import { pointsOfReversal } from '../domain/reversing.js';
import type { PointsEvent, PointsReversed } from '../events/points-event.js';

type Ledger = DecodedEvent<PointsEvent>;

/** Why a movement has the points it has; which of them, its kind says. */
export type MovementExplanation = Explanation | ReversalExplanation | WriteOffExplanation;

export const MOVEMENT_COLUMNS = [
  'transaction_id',
  'account_id',
  'revision',
  'member_id',
  'kind',
  'amount',
  'written_off',
  'occurred_at',
  'effective_at',
  'recorded_at',
  'rule_version',
  'source',
  'purchase_id',
  'return_id',
  'explanation',
];

/** An event as a row of `points.transactions`. Amounts are what the balance moves by: their sum is the balance. */
export const movementRow = ({ id, streamId, revision, recordedAt, event }: Ledger): CopyCell[] => {
  const { memberId, occurredAt, effectiveAt, source } = event.data;
  const { kind, amount, writtenOff, ruleVersion, purchaseId, returnId, explanation } = movementOf(event);
  return [
    id,
    accountOf(streamId),
    revision,
    memberId,
    kind,
    amount,
    writtenOff,
    occurredAt,
    effectiveAt,
    recordedAt,
    ruleVersion,
    source,
    purchaseId,
    returnId,
    JSON.stringify(explanation),
  ];
};

type Movement = {
  readonly kind: MovementKind;
  readonly amount: number;
  readonly writtenOff: number;
  readonly ruleVersion: number | null;
  readonly purchaseId: string | null;
  readonly returnId: string | null;
  readonly explanation: MovementExplanation;
};

const movementOf = (event: PointsEvent): Movement => {
  switch (event.type) {
    case 'PointsEarned': {
      const { amount, purchaseId, explanation } = event.data;
      const ruleVersion = explanation.programme;
      return { kind: 'earned', amount, writtenOff: 0, ruleVersion, purchaseId, returnId: null, explanation };
    }
    case 'PointsReversed': {
      const { amount, returnId, reversals } = event.data;
      // A return without its receipt may go back over several purchases, or over none: then the explanation names them.
      const only = reversals.length === 1 ? reversals[0] : undefined;
      const origin = { ruleVersion: only?.programme ?? null, purchaseId: only?.purchaseId ?? null, returnId };
      // Nothing moved is 0 and not −0.
      return { kind: 'reversed', amount: 0 - amount, writtenOff: 0, ...origin, explanation: explanationOf(event) };
    }
    case 'PointsWrittenOff': {
      const { reversalId, amount, returnId } = event.data;
      const explanation = { reversalId, writtenOff: amount };
      const origin = { ruleVersion: null, purchaseId: null, returnId };
      return { kind: 'written-off', amount: 0, writtenOff: amount, ...origin, explanation };
    }
    default:
      return assertNever(event);
  }
};

/** Why a return took what it took. */
export const explanationOf = ({ data }: PointsReversed): ReversalExplanation => {
  const { currency, reversals, draws, debt, amount, uncovered } = data;
  const wanted = reversals.reduce((sum, reversal) => sum + pointsOfReversal(reversal), 0);
  return { currency, reversals, fromLots: sumOfDraws(draws), debt, writtenOff: wanted - amount, uncovered };
};

/** What an event took out of lots. */
export const drawsOf = (event: PointsEvent): readonly LotDraw[] =>
  event.type === 'PointsWrittenOff' ? [] : event.data.draws;
