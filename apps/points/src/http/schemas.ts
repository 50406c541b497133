import { RETURNS_TOLD_MAX } from '../read-models/purchase-returns.js';
import { dataSchema, eventSchema, INPUT_STATUSES, type InboundEventType } from '@vafa/contracts';
import { CLAIM_KINDS } from '../application/claims.js';
import { INBOX_ACTIONS, INBOX_STATUSES } from '../domain/inbox.js';
import { CALENDARS } from '../domain/programme-calendar.js';

/** JSON Schemas of answers, for OpenAPI. Bodies of events have theirs in the contracts. */
type Schema = Record<string, unknown>;

const points = (description: string): Schema => ({ type: 'integer', description: `${description} In whole points.` });
const instant = (description: string): Schema => ({ type: 'string', format: 'date-time', description });
const textOrNull = (description: string): Schema => ({ type: ['string', 'null'], description });

/** An object that stands in the document once, under its title. */
const object = (title: string, description: string, properties: Record<string, Schema>): Schema => ({
  title,
  type: 'object',
  description,
  required: Object.keys(properties),
  properties,
});

const list = (description: string, items: Schema): Schema => ({ type: 'array', description, items });

/** The schemas of a body that takes an event in. OpenAPI names its dialect once for the whole document. */
const bodyOf = (type: InboundEventType): { event: Schema; body: Schema } => {
  const { $schema: _dialect, $id: _id, ...event } = eventSchema(type, 'http') as Schema;
  return { event, body: { oneOf: [event, dataSchema(type, 'http')] } };
};

export const { event: PURCHASE_EVENT, body: PURCHASE_BODY } = bodyOf('commerce.purchase.completed');
export const { event: RETURN_EVENT, body: RETURN_BODY } = bodyOf('commerce.purchase.returned');
export const { event: ACTIVITY_EVENT, body: ACTIVITY_BODY } = bodyOf('commerce.activity.performed');

/** Which rule gave a part of an award, and how. */
const RULE = {
  rule: { type: 'string', description: 'The rule that gave it.' },
  version: { type: 'integer', description: "The rule's version." },
  rate: {
    type: 'array',
    description: 'Points, and the minor units of money that earn them.',
    prefixItems: [{ type: 'integer' }, { type: 'integer' }],
    items: { type: 'integer' },
    minItems: 2,
    maxItems: 2,
  },
  rounding: { type: 'string', enum: ['floor'] },
};

const component = object('Component', 'A part of an award.', {
  ...RULE,
  base: { type: 'integer', description: 'The money it was worked out on, in minor units.' },
  points: points('What it gave.'),
  lines: list('The lines that counted.', { type: 'string' }),
});

const declined = {
  title: 'Declined',
  type: 'object',
  description: 'What did not earn, and why not.',
  required: ['rule', 'reason'],
  properties: {
    rule: { type: 'string' },
    reason: { type: 'string', enum: ['kind-excluded', 'below-one-point'] },
    kind: { type: 'string', description: 'The kind of the lines left out.' },
    lines: list('The lines left out.', { type: 'string' }),
    base: { type: 'integer', description: 'The money there was, in minor units.' },
    needed: { type: 'integer', description: 'The money that one point takes, in minor units.' },
  },
};

export const EXPLANATION = object('Explanation', 'Why these points.', {
  programme: { type: 'integer', description: 'The version of the programme that decided.' },
  currency: { type: 'string', description: 'ISO 4217.' },
  components: list('What earned.', component),
  declined: list('What did not.', declined),
});

const reversal = object('Reversal', 'What a return takes of one award.', {
  awardId: { type: 'string', description: "The award's transaction." },
  source: { type: 'string', description: 'Who sent the purchase.' },
  purchaseId: { type: 'string', description: 'The purchase.' },
  programme: { type: 'integer', description: 'The version of the programme that made the award.' },
  components: list(
    'Part by part of the award.',
    object('ReversedComponent', 'What a return takes of a part of an award.', {
      ...RULE,
      keptBefore: { type: 'integer', description: 'The money kept of its lines before this return, in minor units.' },
      keptAfter: { type: 'integer', description: 'The same after it.' },
      points: points('What it takes.'),
    }),
  ),
});

const REVERSAL_EXPLANATION = object('ReversalExplanation', 'Why a return took these points.', {
  currency: { type: 'string', description: 'ISO 4217.' },
  reversals: list('Purchase by purchase.', reversal),
  fromLots: points('Taken out of lots.'),
  debt: points('Owed instead.'),
  writtenOff: points('Neither there nor to be owed: the shop bears them.'),
  uncovered: { type: 'integer', description: 'Money given back that no purchase was found for, in minor units.' },
});

const WRITE_OFF_EXPLANATION = object('WriteOffExplanation', 'What a return should have taken and could not.', {
  reversalId: { type: 'string', description: 'The transaction that fell short.' },
  writtenOff: points('What the shop bears.'),
});

const PURCHASE_OUTCOME = {
  source: { type: 'string' },
  purchaseId: { type: 'string' },
  status: { type: 'string', enum: INPUT_STATUSES },
  memberId: textOrNull('The member, where one is known.'),
  points: points('What it earned.'),
  transactionId: textOrNull('Its movement in the ledger.'),
  reason: textOrNull('Why it was refused, as a code.'),
  explanation: { oneOf: [EXPLANATION, { type: 'null' }] },
};

export const OUTCOME = object('Outcome', 'What became of a purchase.', PURCHASE_OUTCOME);

export const PURCHASE_FOUND = object('PurchaseFound', 'What became of a purchase, and of its returns.', {
  ...PURCHASE_OUTCOME,
  returned: { type: 'integer', description: 'What was given back of it, in minor units.' },
  returns: list(
    `Its returns in the order in which they came, also those that wait or were refused; the first ${RETURNS_TOLD_MAX}.`,
    object('PurchaseReturn', 'A return as it is told with its purchase.', {
      source: { type: 'string' },
      returnId: { type: 'string' },
      status: { type: 'string', enum: INPUT_STATUSES },
      reason: textOrNull('Why it waits, was refused or is quarantined.'),
      amount: { type: 'integer', description: 'What it gave back for this purchase, in minor units.' },
      points: points("What it reverses of this purchase's points: negative, or 0."),
      transactionId: textOrNull('Its movement in the ledger.'),
    }),
  ),
});

export const PENDING = object('PendingPurchase', 'A purchase that is safe, with its outcome still to come.', {
  source: { type: 'string' },
  purchaseId: { type: 'string' },
  status: { type: 'string', const: 'accepted' },
  location: { type: 'string', description: 'Where its outcome will be.' },
});

export const BATCH_RESULT = object('BatchResult', 'What became of each event, in the order sent.', {
  results: list('One each.', { oneOf: [OUTCOME, PENDING] }),
});

export const RETURN_OUTCOME = object('ReturnOutcome', 'What became of a return.', {
  source: { type: 'string' },
  returnId: { type: 'string' },
  status: { type: 'string', enum: INPUT_STATUSES },
  memberId: textOrNull('The member, where one is known.'),
  points: points('What it moved the balance by: negative, or 0.'),
  transactionId: textOrNull('Its movement in the ledger.'),
  reason: textOrNull('Why it waits, was refused or is quarantined, as a code; what is left, behind a colon.'),
  explanation: { oneOf: [REVERSAL_EXPLANATION, { type: 'null' }] },
});

export const RETURN_PENDING = object('PendingReturn', 'A return that is safe, with its outcome still to come.', {
  source: { type: 'string' },
  returnId: { type: 'string' },
  status: { type: 'string', const: 'accepted' },
  location: { type: 'string', description: 'Where its outcome will be.' },
});

export const RETURN_BATCH_RESULT = object('ReturnBatchResult', 'What became of each event, in the order sent.', {
  results: list('One each.', { oneOf: [RETURN_OUTCOME, RETURN_PENDING] }),
});

export const ACTIVITY_OUTCOME = object('ActivityOutcome', 'What became of an activity.', {
  source: { type: 'string' },
  activityId: { type: 'string' },
  status: { type: 'string', enum: INPUT_STATUSES },
  memberId: textOrNull('The member, where one is known.'),
  points: points('What it earned.'),
  transactionId: textOrNull('Its movement in the ledger.'),
  reason: textOrNull('Why it was refused or earned nothing, as a code.'),
  explanation: { oneOf: [EXPLANATION, { type: 'null' }] },
});

export const ACTIVITY_PENDING = object('PendingActivity', 'An activity that is safe, with its outcome still to come.', {
  source: { type: 'string' },
  activityId: { type: 'string' },
  status: { type: 'string', const: 'accepted' },
  location: { type: 'string', description: 'Where its outcome will be.' },
});

export const ACTIVITY_BATCH_RESULT = object('ActivityBatchResult', 'What became of each event, in the order sent.', {
  results: list('One each.', { oneOf: [ACTIVITY_OUTCOME, ACTIVITY_PENDING] }),
});

export const PREVIEW = object('Preview', 'What a purchase would earn. Nothing was written.', {
  points: points('What it would earn.'),
  explanation: EXPLANATION,
  sentences: list('The explanation in words.', { type: 'string' }),
});

const TIMES = { asOf: instant('The moment this speaks of.'), knownAt: instant('By what was recorded until when.') };

export const BALANCE = object('Balance', 'Points of a member.', {
  balance: points('Available and held, less debt.'),
  available: points('Can be spent now.'),
  pending: points('Earned, but not to be spent yet.'),
  held: points('Set aside for a redemption under way.'),
  debt: points('Owed after a return.'),
  expiring: list(
    'What lapses when, soonest first.',
    object('ExpiringPoints', 'Points that lapse.', { amount: points('How many.'), at: instant('When.') }),
  ),
  ...TIMES,
});

const MOVEMENT = object('Transaction', 'A movement of points.', {
  transactionId: { type: 'string' },
  kind: { type: 'string', enum: ['earned', 'reversed', 'written-off'] },
  amount: points('What the balance moves by: positive adds to it.'),
  writtenOff: points('What a return should have taken and could not: it moves no balance.'),
  occurredAt: instant('When it happened, as the source said.'),
  effectiveAt: instant('When it counts for the account.'),
  recordedAt: instant('When the ledger took it.'),
  ruleVersion: {
    type: ['integer', 'null'],
    description: 'The version of the programme that decided; null where no single one did.',
  },
  source: textOrNull('Who sent the purchase or the return.'),
  purchaseId: textOrNull('The purchase; null where a return went back over several.'),
  returnId: textOrNull('The return.'),
});

const LOT = object('Lot', 'Points of one origin.', {
  lotId: { type: 'string' },
  amount: points('At the beginning.'),
  remaining: points('What is left.'),
  earnedAt: instant('When they were earned.'),
  availableAt: instant('From when they may be spent.'),
  expiresAt: { type: ['string', 'null'], format: 'date-time', description: 'Until when; null for ever.' },
});

const page = (title: string, of: Schema, description: string): Schema =>
  object(title, description, {
    items: list('The page.', of),
    next: textOrNull('`after` of the next page, null on the last.'),
    ...TIMES,
  });

export const MOVEMENTS = page('TransactionPage', MOVEMENT, 'Movements, the latest first.');
export const LOTS = page('LotPage', LOT, 'Lots with points left, in the order in which they are spent.');

export const MOVEMENT_EXPLANATION = object('TransactionExplanation', 'Why a movement has the points it has.', {
  transaction: MOVEMENT,
  sentences: list('The explanation in the language asked for.', { type: 'string' }),
  explanation: { oneOf: [EXPLANATION, REVERSAL_EXPLANATION, WRITE_OFF_EXPLANATION] },
  ...TIMES,
});

const count = (description: string): Schema => ({ type: 'integer', minimum: 0, description });
const instantOrNull = (description: string): Schema => ({ type: ['string', 'null'], format: 'date-time', description });

export const READ_MODEL = object('ReadModel', 'How far the read models have followed the ledger.', {
  name: { type: 'string' },
  events: count('Events of the ledger that are in them.'),
  eventsBehind: count('Events that are not yet; 5,000 stands for that many or more.'),
  lastEventAgeSeconds: { type: 'number', description: 'Time since the last event in them was recorded.' },
  rebuild: object('Rebuild', 'The last rebuild.', {
    state: {
      type: 'string',
      enum: ['never', 'folding', 'indexing', 'swapping', 'done', 'failed', 'interrupted'],
      description: 'interrupted: its process ended; what is read was not touched.',
    },
    events: count('Events folded anew.'),
    goal: count('Events that the tables in use had when that was last looked at.'),
    startedAt: instantOrNull('When it began.'),
    finishedAt: instantOrNull('When it ended.'),
    failure: textOrNull('Why it failed.'),
  }),
});

const CLOSING_FIELDS = {
  period: { type: 'string', description: 'Its name in the calendar of the programme.' },
  end: instant('Where it ends; no longer part of it.'),
  knownAt: instant(
    'What was recorded until then, inclusive, is in its statements, and in those before it that were open.',
  ),
  closedAt: instant('When it was closed.'),
};

export const CLOSING = object('PeriodClosing', 'A period that is closed, with every one before it.', CLOSING_FIELDS);

export const CLOSINGS = object('PeriodClosings', 'Periods that are closed, the latest first.', {
  zone: { type: 'string', description: 'The IANA zone that days begin in.' },
  calendar: { type: 'string', enum: CALENDARS, description: 'The calendar that months are counted in.' },
  items: list(
    'The page.',
    object('ListedPeriodClosing', 'A closing, from where the one before ended.', {
      ...CLOSING_FIELDS,
      start: {
        type: ['string', 'null'],
        format: 'date-time',
        description: 'Where the closing before it ended; null: it reaches back to the beginning.',
      },
    }),
  ),
  next: textOrNull('`after` of the next page, null on the last.'),
});

const ITEM = {
  id: { type: 'string', format: 'uuid', description: 'Names it in the inbox.' },
  kind: { type: 'string', enum: CLAIM_KINDS },
  source: { type: 'string', description: 'Who sent it.' },
  status: { type: 'string', enum: [...INBOX_STATUSES, 'settled'] },
  reason: { type: 'string', description: 'Why it is there, as a code such as `unknown-member` or `other-content`.' },
  member: textOrNull('The member as the sender named it.'),
  receivedAt: instant('When it came in.'),
};

/** An input is named by the id of its kind. */
const withIds = (schema: Schema): Schema => ({
  ...schema,
  properties: {
    ...(schema['properties'] as Schema),
    purchaseId: textOrNull('The purchase, also that of a return.'),
    returnId: { type: 'string', description: 'The return.' },
    activityId: { type: 'string', description: 'The activity.' },
  },
});

export const INBOX_PAGE = object('InboxPage', 'What is to be settled, in the order in which it came.', {
  items: list('The page.', withIds(object('InboxItem', 'Something to be settled.', ITEM))),
  next: textOrNull('`after` of the next page, null on the last.'),
});

const DIFFERENCE: Schema = {
  title: 'Difference',
  type: 'object',
  description: 'A place at which two contents differ.',
  required: ['pointer'],
  properties: {
    pointer: { type: 'string', description: 'A JSON Pointer into both.' },
    standing: { description: 'What stands there; absent where nothing does.' },
    other: { description: 'What came in as well; absent where nothing did.' },
  },
};

const SETTLEMENT = object('Settlement', 'Who settled it, how, when and why.', {
  action: { type: 'string', enum: [...INBOX_ACTIONS, 'claim'] },
  target: textOrNull('The member, or the purchase of a return, that it was given to.'),
  actor: object('Settler', 'Who decided.', {
    subject: { type: 'string' },
    role: { type: 'string' },
    clientId: { type: 'string' },
  }),
  reason: { type: 'string', description: 'Why, in the words of whoever decided.' },
  decidedAt: instant('When it was decided.'),
  finishedAt: {
    ...textOrNull('When everything that follows was done; null while the service still is at it.'),
    format: 'date-time',
  },
});

const CONTENT: Schema = {
  type: 'object',
  description: 'What is kept of it: its data without member and undeclared attributes.',
};
const ANY_OUTCOME: Schema = { oneOf: [OUTCOME, RETURN_OUTCOME, ACTIVITY_OUTCOME] };

export const INBOX_VIEW = withIds(
  object('InboxView', 'Everything about one item.', {
    ...ITEM,
    actions: list('What can be done about it.', { type: 'string', enum: INBOX_ACTIONS }),
    content: CONTENT,
    standing: {
      oneOf: [
        object('StandingContent', 'What a conflict is with.', {
          member: textOrNull('The member as the sender named it.'),
          content: CONTENT,
        }),
        { type: 'null' },
      ],
    },
    differences: list('Where the two contents of a conflict differ; none where only the member does.', DIFFERENCE),
    outcome: { ...ANY_OUTCOME, description: 'What stands under its key now.' },
    replacement: {
      oneOf: [...(ANY_OUTCOME['oneOf'] as Schema[]), { type: 'null' }],
      description: 'What the other content became, once it replaced what stood there.',
    },
    settlement: { oneOf: [SETTLEMENT, { type: 'null' }] },
  }),
);

const DAY = object('Day', 'A day as two calendars count it.', {
  date: { type: 'string', description: 'In the calendar of the programme.' },
  gregorian: { type: 'string', format: 'date' },
});

const STATEMENT_MOVEMENT = object('StatementMovement', 'A movement in a statement.', {
  ...(MOVEMENT['properties'] as Record<string, Schema>),
  day: DAY,
  balance: points('The balance after it.'),
  correctionOf: textOrNull('The closed period that it came too late for, null where it was in time.'),
  corrects: list('The transactions that it takes back.', { type: 'string' }),
  sentences: list('Why, in the language asked for.', { type: 'string' }),
});

export const STATEMENT = object('Statement', 'The points of a member over a range of days.', {
  memberId: { type: 'string' },
  period: textOrNull('The period, null where the range is none.'),
  from: DAY,
  to: DAY,
  start: instant('Where it begins.'),
  end: instant('Where it ends; no longer part of it.'),
  zone: { type: 'string', description: 'The IANA zone that days begin in.' },
  calendar: { type: 'string', enum: CALENDARS, description: 'The calendar of the programme.' },
  closed: { type: 'boolean', description: 'Whether its figures never change any more.' },
  opening: points('The balance before it: opening + earned + reversed = closing.'),
  earned: object('StatementEarned', 'What was earned.', {
    points: points('All of it.'),
    byRule: list(
      'By the rule that gave it.',
      object('StatementRule', 'A rule.', { rule: { type: 'string' }, points: points('What it gave.') }),
    ),
  }),
  reversed: points('Taken back for returns: never above zero.'),
  writtenOff: points('What returns should have taken and could not; the shop bears it, and no balance moves.'),
  debtsPaid: points('Of what was earned, what went to the debt at once.'),
  closing: points('The balance at its end.'),
  atEnd: object('StatementEnd', 'What there was at its end, or now where the end is yet to come.', {
    balance: points('Available and held, less debt.'),
    available: points('Could be spent.'),
    pending: points('Earned, but not to be spent yet.'),
    held: points('Set aside for a redemption under way.'),
    debt: points('Owed after a return.'),
    expiring: list(
      'What lapses within so many days.',
      object('StatementExpiring', 'Points that lapse.', { days: { type: 'integer' }, amount: points('How many.') }),
    ),
  }),
  movements: list("In the account's order.", STATEMENT_MOVEMENT),
  receipt: {
    oneOf: [
      object('StatementReceipt', 'The last event that is in it.', {
        transactionId: { type: 'string' },
        revision: { type: 'integer', description: 'Its place in the account.' },
        sha256: {
          type: 'string',
          description: 'Over id, type, data and metadata as they are stored, each with a line feed behind, in UTF-8.',
        },
      }),
      { type: 'null' },
    ],
  },
  ...TIMES,
});
