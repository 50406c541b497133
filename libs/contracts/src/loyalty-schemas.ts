import type { Infer, JsonSchema } from './json-schema.js';
import { NATURAL_ID_LENGTH_MAX, SOURCE_LENGTH_MAX } from './limits.js';
import { EXTERNAL_ID_PATTERN } from './references.js';
import {
  CARD_PATTERN,
  instant,
  naturalId,
  SAFE_INTEGER_MAX,
  text,
  TEXT_PATTERN,
  uuid,
  uuidOrNull,
} from './schema-parts.js';

// Public events grow by additive change: these schemas admit members that they do not name, and so must every consumer.

/** `data` of `loyalty.member.enrolled`. */
export const memberEnrolledData = {
  type: 'object',
  title: 'Member enrolled',
  description: 'Somebody became a member. Purchases that waited for one of these references are taken up.',
  required: ['memberId', 'externalId', 'card', 'enrolledAt', 'source'],
  properties: {
    memberId: uuid('The member.'),
    externalId: {
      type: ['string', 'null'],
      pattern: EXTERNAL_ID_PATTERN,
      description: "The shop's own id of the member, opaque, as in `external:<id>`.",
    },
    card: {
      type: ['string', 'null'],
      pattern: CARD_PATTERN,
      description: 'The number of the card that this club issued, as in `card:<number>`.',
    },
    enrolledAt: instant('When the member joined.'),
    source: {
      type: ['string', 'null'],
      maxLength: SOURCE_LENGTH_MAX,
      pattern: TEXT_PATTERN,
      description: 'Where the member was enrolled.',
    },
  },
} as const satisfies JsonSchema;

export const INPUT_STATUSES = ['taken', 'waiting', 'anonymous', 'conflict', 'quarantined', 'refused'] as const;

/** What an input's outcome says whatever its kind. */
const outcomeParts = (statuses: string, earned: string) =>
  ({
    source: text(SOURCE_LENGTH_MAX, 'The source of the input.'),
    status: { type: 'string', enum: INPUT_STATUSES, description: statuses },
    memberId: uuidOrNull('The member, where one is known.'),
    points: { type: 'integer', minimum: -SAFE_INTEGER_MAX, maximum: SAFE_INTEGER_MAX, description: earned },
    transactionId: {
      type: ['string', 'null'],
      maxLength: 128,
      description: 'The transaction in the ledger, where there is one.',
    },
    reason: {
      type: ['string', 'null'],
      maxLength: 256,
      description:
        'Why it waits, was refused or earned nothing: a code such as `content-conflict`, or a code and what more there is to say, such as `more-than-left: line 2 has 480 left`.',
    },
  }) as const satisfies Record<string, JsonSchema>;

/** `data` of `loyalty.purchase.accepted`, `.waiting` and `.refused`. */
export const purchaseOutcomeData = {
  type: 'object',
  title: 'Outcome of a purchase',
  description: 'What became of a purchase: as much as a caller of HTTP learns.',
  required: ['source', 'purchaseId', 'status', 'memberId', 'points', 'transactionId', 'reason'],
  properties: {
    purchaseId: naturalId('The id of the purchase within its source.'),
    ...outcomeParts(
      'accepted: taken or anonymous; waiting: waiting; refused: conflict, quarantined or refused.',
      'Points that the purchase earned.',
    ),
  },
} as const satisfies JsonSchema;

/** `data` of `loyalty.return.accepted`, `.waiting`, `.refused` and `.quarantined`. */
export const returnOutcomeData = {
  type: 'object',
  title: 'Outcome of a return',
  description: 'What became of a return: as much as a caller of HTTP learns.',
  required: ['source', 'returnId', 'status', 'memberId', 'points', 'transactionId', 'reason'],
  properties: {
    returnId: naturalId('The id of the return within its source.'),
    ...outcomeParts(
      'accepted: taken, or anonymous like its purchase; waiting: waiting; quarantined: a person has to decide; refused: conflict or refused.',
      'Points that the return moved: negative where it took some back.',
    ),
  },
} as const satisfies JsonSchema;

/** `data` of `loyalty.activity.accepted`, `.waiting` and `.refused`. */
export const activityOutcomeData = {
  type: 'object',
  title: 'Outcome of an activity',
  description: 'What became of an activity: as much as a caller of HTTP learns.',
  required: ['source', 'activityId', 'status', 'memberId', 'points', 'transactionId', 'reason'],
  properties: {
    activityId: naturalId('The id of the activity within its source.'),
    ...outcomeParts('accepted: taken; waiting: waiting; refused: conflict or refused.', 'Points that it earned.'),
  },
} as const satisfies JsonSchema;

/** `data` of `loyalty.points.earned`. */
export const pointsEarnedData = {
  type: 'object',
  title: 'Points earned',
  description: 'Points were added to an account.',
  required: [
    'memberId',
    'accountId',
    'transactionId',
    'amount',
    'occurredAt',
    'effectiveAt',
    'source',
    'purchaseId',
    'balance',
  ],
  properties: {
    memberId: uuid('The member who earned them.'),
    accountId: uuid('The account that holds them.'),
    transactionId: { type: 'string', minLength: 1, maxLength: 128, description: 'The transaction in the ledger.' },
    amount: { type: 'integer', minimum: 0, maximum: SAFE_INTEGER_MAX, description: 'Points earned.' },
    debtPaid: {
      type: 'integer',
      minimum: 0,
      maximum: SAFE_INTEGER_MAX,
      description: 'How many of them paid a debt at once. Absent in events from before there were debts: none.',
    },
    occurredAt: instant('When the purchase happened.'),
    effectiveAt: instant(
      "When it took effect in the account's own order; never before what the account lived through already.",
    ),
    source: { type: ['string', 'null'], maxLength: SOURCE_LENGTH_MAX, description: 'The source of the purchase.' },
    purchaseId: { type: ['string', 'null'], maxLength: 128, description: 'The purchase.' },
    balance: {
      type: 'integer',
      minimum: -SAFE_INTEGER_MAX,
      maximum: SAFE_INTEGER_MAX,
      description: "The account's balance right after: available + held − debt.",
    },
  },
} as const satisfies JsonSchema;

const returnedMovement = {
  memberId: uuid('The member.'),
  accountId: uuid('The account.'),
  transactionId: { type: 'string', minLength: 1, maxLength: 128, description: 'The transaction in the ledger.' },
  occurredAt: instant('When the goods came back.'),
  effectiveAt: instant(
    "When it took effect in the account's own order; never before what the account lived through already.",
  ),
  source: text(SOURCE_LENGTH_MAX, 'The source of the return.'),
  returnId: naturalId('The return.'),
  balance: {
    type: 'integer',
    minimum: -SAFE_INTEGER_MAX,
    maximum: SAFE_INTEGER_MAX,
    description: "The account's balance right after: available + held − debt.",
  },
} as const satisfies Record<string, JsonSchema>;

/** `data` of `loyalty.points.reversed`. */
export const pointsReversedData = {
  type: 'object',
  title: 'Points reversed',
  description: 'A return took points back.',
  required: [
    'memberId',
    'accountId',
    'transactionId',
    'amount',
    'debt',
    'occurredAt',
    'effectiveAt',
    'source',
    'returnId',
    'purchaseId',
    'balance',
  ],
  properties: {
    ...returnedMovement,
    amount: { type: 'integer', minimum: 1, maximum: SAFE_INTEGER_MAX, description: 'Points taken back.' },
    debt: {
      type: 'integer',
      minimum: 0,
      maximum: SAFE_INTEGER_MAX,
      description: 'How many of them were not there and are owed: the next points earned pay them.',
    },
    purchaseId: {
      type: ['string', 'null'],
      maxLength: NATURAL_ID_LENGTH_MAX,
      description: 'The purchase; null where the return went back over several.',
    },
  },
} as const satisfies JsonSchema;

/** `data` of `loyalty.points.written-off`. */
export const pointsWrittenOffData = {
  type: 'object',
  title: 'Points written off',
  description: 'Points that a return should have taken back and could not: the shop bears them.',
  required: [
    'memberId',
    'accountId',
    'transactionId',
    'reversalId',
    'amount',
    'occurredAt',
    'effectiveAt',
    'source',
    'returnId',
    'balance',
  ],
  properties: {
    ...returnedMovement,
    reversalId: { type: 'string', minLength: 1, maxLength: 128, description: 'The transaction that fell short.' },
    amount: { type: 'integer', minimum: 1, maximum: SAFE_INTEGER_MAX, description: 'Points written off.' },
  },
} as const satisfies JsonSchema;

export type InputStatus = (typeof INPUT_STATUSES)[number];
export type MemberEnrolledData = Infer<typeof memberEnrolledData>;
export type PurchaseOutcomeData = Infer<typeof purchaseOutcomeData>;
export type ReturnOutcomeData = Infer<typeof returnOutcomeData>;
export type ActivityOutcomeData = Infer<typeof activityOutcomeData>;
export type PointsEarnedData = Infer<typeof pointsEarnedData>;
export type PointsReversedData = Infer<typeof pointsReversedData>;
export type PointsWrittenOffData = Infer<typeof pointsWrittenOffData>;
