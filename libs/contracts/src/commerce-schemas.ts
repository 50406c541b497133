import type { Infer, JsonSchema } from './json-schema.js';
import { LINES_MAX } from './limits.js';
import {
  ACTIVITY_PATTERN,
  attributes,
  currency,
  identifier,
  lineId,
  member,
  naturalId,
  occurredAt,
  quantity,
  SAFE_INTEGER_MAX,
  text,
} from './schema-parts.js';

const amount = (description: string) =>
  ({
    type: 'integer',
    minimum: -SAFE_INTEGER_MAX,
    maximum: SAFE_INTEGER_MAX,
    description,
  }) as const satisfies JsonSchema;

const positiveAmount = (description: string) =>
  ({ type: 'integer', minimum: 0, maximum: SAFE_INTEGER_MAX, description }) as const satisfies JsonSchema;

export const LINE_KINDS = ['goods', 'service', 'shipping', 'gift-card', 'fee', 'points-payment'] as const;

const purchaseLine = {
  type: 'object',
  required: ['lineId', 'amount'],
  additionalProperties: false,
  properties: {
    lineId,
    sku: identifier(128, 'Stock keeping unit.'),
    categories: {
      type: 'array',
      maxItems: 20,
      items: text(64, 'A category.'),
      description: 'From the widest to the narrowest.',
    },
    brand: text(128, 'The brand.'),
    quantity,
    amount: amount(
      'What the customer pays for the line, after discounts, including tax, in minor units. Negative in points payments and nowhere else.',
    ),
    tax: amount('The tax within `amount`, in minor units: of its sign, and not beyond it.'),
    kind: { type: 'string', enum: LINE_KINDS, default: 'goods', description: 'What kind of line it is.' },
    redemptionId: naturalId(
      'The redemption that a points payment belongs to; points payments have one, other lines none.',
    ),
  },
  if: { properties: { kind: { const: 'points-payment' } }, required: ['kind'] },
  then: { required: ['redemptionId'], properties: { amount: { exclusiveMaximum: 0 } } },
  else: { properties: { amount: { minimum: 0 }, redemptionId: false } },
} as const satisfies JsonSchema;

/** `data` of `commerce.purchase.completed`. */
export const purchaseData = {
  type: 'object',
  title: 'Purchase',
  description: 'A purchase that is paid. Its natural key (source, purchaseId) is unique for ever.',
  required: ['purchaseId', 'member', 'occurredAt', 'currency', 'lines', 'total'],
  additionalProperties: false,
  properties: {
    purchaseId: naturalId('The receipt or order number, unique within the source for ever.'),
    member,
    occurredAt,
    currency,
    lines: {
      type: 'array',
      minItems: 1,
      maxItems: LINES_MAX,
      items: purchaseLine,
      description: 'The lines of the receipt.',
    },
    total: positiveAmount('The sum of the lines, in minor units. Not negative.'),
    channel: text(64, 'Where it was bought: "pos", "web", any word.'),
    store: text(128, 'Which shop.'),
    coupons: {
      type: 'array',
      maxItems: 50,
      items: identifier(64, 'A coupon code.'),
      description: 'Coupons that the customer used.',
    },
    attributes,
  },
} as const satisfies JsonSchema;

const { default: _noDefault, ...returnedQuantity } = quantity;

const returnLine = {
  type: 'object',
  required: ['lineId'],
  additionalProperties: false,
  properties: {
    lineId,
    amount: positiveAmount(
      'What the customer gets back for the line, in minor units of the currency of the purchase. Left out, it is the share of `quantity` in what is left of the line, rounded down.',
    ),
    quantity: {
      ...returnedQuantity,
      description: `${quantity.description} Left out, no goods came back: the price was lowered afterwards.`,
    },
  },
  // One of the two has to say what came back.
  if: { required: ['quantity'] },
  else: { required: ['amount'] },
} as const satisfies JsonSchema;

/** `data` of `commerce.purchase.returned`. */
export const returnData = {
  type: 'object',
  title: 'Return',
  description:
    'Goods that came back: with `purchaseId` either the `lines` or, with `"whole": true`, all of it; without (a receipt lost) `amount` and `currency`.',
  required: ['returnId', 'member', 'occurredAt'],
  additionalProperties: false,
  properties: {
    returnId: naturalId('The number of the return, unique within the source for ever.'),
    purchaseId: naturalId('The purchase, by its id within the same source.'),
    member,
    occurredAt,
    lines: {
      type: 'array',
      minItems: 1,
      maxItems: LINES_MAX,
      items: returnLine,
      description: 'What came back of which line.',
    },
    whole: { type: 'boolean', const: true, description: 'All of the purchase came back.' },
    amount: positiveAmount('Where the purchase is not known: what the customer got back, in minor units.'),
    currency,
    attributes,
  },
  oneOf: [
    { required: ['purchaseId', 'lines'], properties: { whole: false, amount: false, currency: false } },
    { required: ['purchaseId', 'whole'], properties: { lines: false, amount: false, currency: false } },
    { required: ['amount', 'currency'], properties: { purchaseId: false, lines: false, whole: false } },
  ],
} as const satisfies JsonSchema;

/** `data` of `commerce.activity.performed`. */
export const activityData = {
  type: 'object',
  title: 'Activity',
  description: 'Something that a member did and that is not a purchase.',
  required: ['activityId', 'activity', 'member', 'occurredAt'],
  additionalProperties: false,
  properties: {
    activityId: naturalId('Unique within the source for ever.'),
    activity: {
      type: 'string',
      minLength: 1,
      maxLength: 64,
      pattern: ACTIVITY_PATTERN,
      description: 'A name that the programme registers, such as "review.written".',
    },
    member,
    occurredAt,
    attributes,
  },
} as const satisfies JsonSchema;

export type PurchaseLineKind = (typeof LINE_KINDS)[number];
export type PurchaseLine = Infer<typeof purchaseLine>;
export type PurchaseData = Infer<typeof purchaseData>;
export type ReturnLine = Infer<typeof returnLine>;
export type ReturnData = Infer<typeof returnData>;
export type ActivityData = Infer<typeof activityData>;

/** The kind of a line; a line that does not say is goods. */
export const lineKind = (line: PurchaseLine): PurchaseLineKind => line.kind ?? 'goods';
