import { CURRENCIES } from './money.js';
import {
  ATTRIBUTES_MAX,
  EXTERNAL_ID_LENGTH_MAX,
  LINE_ID_LENGTH_MAX,
  NATURAL_ID_LENGTH_MAX,
  SOURCE_LENGTH_MAX,
} from './limits.js';
import type { Infer, JsonSchema } from './json-schema.js';
import { EXTERNAL_ID_PATTERN, HTTP_MEMBER_REFERENCE_PATTERN, MEMBER_REFERENCE_PATTERN } from './references.js';

export const SAFE_INTEGER_MAX = Number.MAX_SAFE_INTEGER;

// Control characters and lone surrogates cannot be stored by PostgreSQL, or not be shown by anything; letters of every script can,
// and so can the joiners that Persian is written with.
export const TEXT_PATTERN = '^[^\\p{Cc}\\p{Cs}]*$';
const IDENTIFIER_PATTERN = '^[^\\p{Cc}\\p{Cs}\\p{Z}](?:[^\\p{Cc}\\p{Cs}]*[^\\p{Cc}\\p{Cs}\\p{Z}])?$';
const DECIMAL_PATTERN = '^(?:0|[1-9][0-9]{0,14})(?:\\.[0-9]{1,6})?$';
const SOURCE_PATTERN = '^[!-~]+$';
const ATTRIBUTE_NAME_PATTERN = '^[A-Za-z][A-Za-z0-9_.-]{0,63}$';
export const ACTIVITY_PATTERN = '^[a-z][a-z0-9-]*(?:\\.[a-z][a-z0-9-]*)*$';
export const CARD_PATTERN = '^[0-9]{8,19}$';
export const DATA_CONTENT_TYPE_PATTERN = '^[Aa][Pp][Pp][Ll][Ii][Cc][Aa][Tt][Ii][Oo][Nn]/[Jj][Ss][Oo][Nn](?:\\s*;.*)?$';
const UUID_PATTERN = '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$';
export const EXTENSION_NAME_PATTERN = '^[a-z0-9]{1,64}$';

/** What each pattern asks for, in words: "is not …" reads better than a regular expression. */
export const PATTERNS_IN_WORDS: ReadonlyMap<string, string> = new Map([
  [TEXT_PATTERN, 'a text without control characters'],
  [IDENTIFIER_PATTERN, 'a text without control characters and without blanks at its ends'],
  [DECIMAL_PATTERN, 'a decimal number that is not negative, written as text, such as "6" or "1.25"'],
  [SOURCE_PATTERN, 'a URI reference in printable ASCII, such as "/pos/tehran-12"'],
  [ATTRIBUTE_NAME_PATTERN, 'a name of up to 64 letters, digits, "_", "-" and ".", beginning with a letter'],
  [ACTIVITY_PATTERN, 'a name such as "review.written": lower case, with dots between its parts'],
  [UUID_PATTERN, 'a uuid in lower case'],
  [CARD_PATTERN, 'a card number of 8 to 19 digits'],
  [DATA_CONTENT_TYPE_PATTERN, 'application/json'],
  [EXTENSION_NAME_PATTERN, 'a name of a CloudEvents attribute: lower-case letters and digits'],
  [
    EXTERNAL_ID_PATTERN,
    `a text of 1 to ${EXTERNAL_ID_LENGTH_MAX} characters, without control characters and without blanks at its ends`,
  ],
  [MEMBER_REFERENCE_PATTERN, 'member:<id>, card:<number> or external:<id>'],
  [HTTP_MEMBER_REFERENCE_PATTERN, 'member:<id>, card:<number>, external:<id>, phone:<E.164> or email:<address>'],
]);

/** A free text of bounded length. */
export const text = <const Max extends number>(maxLength: Max, description: string) =>
  ({ type: 'string', maxLength, pattern: TEXT_PATTERN, description }) as const satisfies JsonSchema;

/** An id that somebody else chose. */
export const identifier = <const Max extends number>(maxLength: Max, description: string) =>
  ({ type: 'string', minLength: 1, maxLength, pattern: IDENTIFIER_PATTERN, description }) as const satisfies JsonSchema;

export const naturalId = (description: string) =>
  ({
    type: 'string',
    minLength: 1,
    maxLength: NATURAL_ID_LENGTH_MAX,
    pattern: IDENTIFIER_PATTERN,
    description,
  }) as const satisfies JsonSchema;

export const lineId = identifier(LINE_ID_LENGTH_MAX, 'Unique within the purchase; returns refer to it.');

export const uuid = (description: string) =>
  ({ type: 'string', pattern: UUID_PATTERN, description }) as const satisfies JsonSchema;

export const uuidOrNull = (description: string) =>
  ({ type: ['string', 'null'], pattern: UUID_PATTERN, description }) as const satisfies JsonSchema;

export const source = {
  type: 'string',
  format: 'uri-reference',
  minLength: 1,
  maxLength: SOURCE_LENGTH_MAX,
  pattern: SOURCE_PATTERN,
  description:
    'Who says so, such as "/pos/tehran-12". Part of the natural key: never reuse one for another till or shop.',
} as const satisfies JsonSchema;

export const member = {
  type: ['string', 'null'],
  pattern: MEMBER_REFERENCE_PATTERN,
  description:
    `Whose it is: "member:<uuid>", "card:<8 to 19 digits>" or "external:<opaque id of up to ${String(EXTERNAL_ID_LENGTH_MAX)} characters>"; null is anonymous. ` +
    'An external id must not be personal data; phone numbers and e-mail addresses are refused.',
} as const satisfies JsonSchema;

/** What a body over HTTP may say in place of `member`. */
export const httpMember = {
  ...member,
  pattern: HTTP_MEMBER_REFERENCE_PATTERN,
  description: `${member.description.replace('phone numbers and e-mail addresses are refused.', '')}Over HTTP also "phone:<E.164>" and "email:<address>", resolved before anything is published.`,
} as const satisfies JsonSchema;

export const instant = (description: string) =>
  ({
    type: 'string',
    format: 'date-time',
    maxLength: 35,
    description: `${description} RFC 3339 with an offset or Z, between 1900 and 9999.`,
  }) as const satisfies JsonSchema;

export const occurredAt = instant('When it happened, by the clock of whoever saw it.');

export const currency = {
  type: 'string',
  enum: CURRENCIES,
  description: 'ISO 4217. Amounts are integers in its minor unit; IRR is counted without one.',
} as const satisfies JsonSchema;

export const quantity = {
  type: 'string',
  pattern: DECIMAL_PATTERN,
  default: '1',
  description:
    'Pieces, kilograms, metres: a decimal number as text, not negative, up to 15 digits before the point and 6 behind it.',
} as const satisfies JsonSchema;

export const attributes = {
  type: 'object',
  maxProperties: ATTRIBUTES_MAX,
  propertyNames: { pattern: ATTRIBUTE_NAME_PATTERN },
  additionalProperties: {
    type: ['string', 'number', 'boolean'],
    maxLength: 256,
    pattern: TEXT_PATTERN,
    minimum: -SAFE_INTEGER_MAX,
    maximum: SAFE_INTEGER_MAX,
  },
  description:
    `A flat map of up to ${String(ATTRIBUTES_MAX)} names to texts (256 characters), numbers or booleans. What the programme does not declare is dropped after the ` +
    'content has been hashed. Never personal data.',
} as const satisfies JsonSchema;

/** A flat map of names to texts, numbers or booleans. */
export type Attributes = Infer<typeof attributes>;
