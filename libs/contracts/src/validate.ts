import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import type { ActivityData, PurchaseData, ReturnData } from './commerce-schemas.js';
import {
  CONTRACTS,
  dataSchema,
  EVENT_TYPES,
  type EventDataOf,
  eventSchema,
  isEventType,
  schemaId,
  type Door,
  type EventType,
  type KnownCloudEvent,
} from './events.js';
import { inWords, pointerSegment, type ContractError } from './contract-errors.js';
import { isInstant } from './instants.js';
import { ERRORS_MAX, LINES_MAX } from './limits.js';

export type Validation<T> =
  { readonly ok: true; readonly event: T } | { readonly ok: false; readonly errors: readonly ContractError[] };
export type DataValidation<T> =
  { readonly ok: true; readonly data: T } | { readonly ok: false; readonly errors: readonly ContractError[] };

type Compiled = { readonly event: ValidateFunction; readonly data: ValidateFunction };

// Defaults are never filled in: what is hashed and stored is what was sent.
const ajv = new Ajv2020({
  allErrors: true,
  strict: true,
  strictRequired: false,
  strictTypes: false,
  useDefaults: false,
  coerceTypes: false,
  ownProperties: true,
  validateSchema: false,
});
ajv.addFormat('date-time', isInstant);
// The pattern beside it says what characters; a relative reference admits nearly every order of them.
ajv.addFormat('uri-reference', true);

const compiled = new Map<string, Compiled>();

/** Compiles on first use: a process pays for the events that it meets. */
function validators(type: EventType, door: Door): Compiled {
  const effective = CONTRACTS[type].direction === 'out' ? 'topic' : door;
  const key = `${effective} ${type}`;
  const known = compiled.get(key);
  if (known !== undefined) return known;
  // The event refers to its data rather than repeating it, so that a big schema is compiled once and not twice.
  const id = `${effective}:${type}`;
  const data = ajv.compile({ ...dataSchema(type, effective), $id: id });
  const fresh = { event: ajv.compile(eventSchema(type, effective, { $ref: id })), data };
  compiled.set(key, fresh);
  return fresh;
}

/**
 * The one check of an event in structured form, for topics and HTTP: JSON Schema, and the rules that JSON Schema cannot say
 * (the sum of the lines, lines that occur twice, taxes within amounts). Over `http` a member may also be named by phone or e-mail.
 * Errors carry a JSON pointer from the event's root; there are 50 at most.
 */
export function validateCloudEvent(value: unknown, door: Door = 'topic'): Validation<KnownCloudEvent> {
  if (!isObject(value)) return refused([{ pointer: '', detail: 'must be a CloudEvent: an object' }]);
  const identity = checkIdentity(value);
  if (identity !== undefined) return refused([identity]);
  const type = value['type'] as EventType;
  const { event } = validators(type, door);
  if (!event(value))
    return refused([...translate(event.errors, value), ...readableRules(type, value['data'], '/data')]);
  const candidate = value as unknown as KnownCloudEvent;
  const errors = checkRules(type, candidate.data, '/data');
  return errors.length === 0 ? { ok: true, event: candidate } : refused(errors);
}

/**
 * The same check of an event's bare `data`, as a body over HTTP or a line of an import may be. Pointers are from the root of `data`.
 */
export function validateData<T extends EventType>(
  type: T,
  value: unknown,
  door: Door = 'topic',
): DataValidation<EventDataOf<T>> {
  const { data } = validators(type, door);
  if (!data(value)) return refused([...translate(data.errors, value), ...readableRules(type, value, '')]);
  const errors = checkRules(type, value as KnownCloudEvent['data'], '');
  return errors.length === 0 ? { ok: true, data: value as EventDataOf<T> } : refused(errors);
}

const refused = (errors: readonly ContractError[]): { ok: false; errors: readonly ContractError[] } => ({
  ok: false,
  errors: errors.slice(0, ERRORS_MAX),
});

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What has to be known before a schema can be chosen. */
function checkIdentity(value: Record<string, unknown>): ContractError | undefined {
  if (!Object.hasOwn(value, 'specversion'))
    return { pointer: '/specversion', detail: 'is required: this must be a CloudEvent' };
  if (value['specversion'] !== '1.0') return { pointer: '/specversion', detail: 'must be "1.0"' };
  if (!Object.hasOwn(value, 'type')) return { pointer: '/type', detail: 'is required' };
  if (!isEventType(value['type'])) return { pointer: '/type', detail: `must be one of ${EVENT_TYPES.join(', ')}` };
  const named = value['dataschema'];
  if (typeof named === 'string' && named.startsWith('urn:vafa:schema:') && named !== schemaId(value['type']))
    return {
      pointer: '/dataschema',
      detail: `must be ${schemaId(value['type'])}, the version that is understood here`,
    };
  return undefined;
}

/** Ajv's errors in our words; what merely says that a condition's branch failed is left out, its cause stands beside it. */
function translate(errors: readonly ErrorObject[] | null | undefined, root: unknown): ContractError[] {
  const told: ContractError[] = [];
  for (const error of errors ?? []) {
    if (told.length === ERRORS_MAX) break;
    const plain = inWords(error, root);
    if (plain !== undefined) told.push(plain);
  }
  return told.length > 0 ? told : [{ pointer: '', detail: 'does not follow the schema' }];
}

/**
 * The rules of lines and total for data that the schema refuses, as far as they can be read: whoever sends it again should not find the next
 * fault only then.
 */
function readableRules(type: EventType, data: unknown, at: string): ContractError[] {
  if (!isObject(data) || !isReadableLines(data['lines'])) return [];
  if (type === 'commerce.purchase.returned') return checkLineIds(data['lines'], at);
  if (type !== 'commerce.purchase.completed' || !Number.isSafeInteger(data['total'])) return [];
  return data['lines'].every(isReadablePrice) ? checkPurchase(data as PurchaseData, at) : [];
}

type ReadableLine = { readonly lineId: string };

const isReadableLines = (lines: unknown): lines is ReadableLine[] =>
  Array.isArray(lines) &&
  lines.length <= LINES_MAX &&
  lines.every((line) => isObject(line) && typeof line['lineId'] === 'string');

const isReadablePrice = ({
  amount,
  tax,
}: ReadableLine & { readonly amount?: unknown; readonly tax?: unknown }): boolean =>
  Number.isSafeInteger(amount) && (tax === undefined || Number.isSafeInteger(tax));

function checkRules(type: EventType, data: KnownCloudEvent['data'], at: string): ContractError[] {
  switch (type) {
    case 'commerce.purchase.completed':
      return checkPurchase(data as PurchaseData, at);
    case 'commerce.purchase.returned':
      return checkLineIds((data as ReturnData).lines ?? [], at);
    case 'commerce.activity.performed':
      return checkActivity(data as ActivityData, at);
    default:
      return [];
  }
}

function checkPurchase(data: PurchaseData, at: string): ContractError[] {
  const errors = checkLineIds(data.lines, at);
  let sum = 0;
  let exact = true;
  data.lines.forEach((line, index) => {
    sum += line.amount;
    exact &&= Number.isSafeInteger(sum);
    const tax = line.tax ?? 0;
    if (tax !== 0 && (Math.sign(tax) !== Math.sign(line.amount) || Math.abs(tax) > Math.abs(line.amount)))
      errors.push({
        pointer: `${at}/lines/${String(index)}/tax`,
        detail: 'must be of the sign of amount and not beyond it: amount includes the tax',
      });
  });
  const total = exact ? BigInt(sum) : data.lines.reduce((before, line) => before + BigInt(line.amount), 0n);
  if (total !== BigInt(data.total))
    errors.push({ pointer: `${at}/total`, detail: `must be the sum of the lines, which is ${String(total)}` });
  return errors.slice(0, ERRORS_MAX);
}

function checkLineIds(lines: readonly { readonly lineId: string }[], at: string): ContractError[] {
  if (lines.length < 2) return [];
  const seen = new Map<string, number>();
  const errors: ContractError[] = [];
  lines.forEach(({ lineId }, index) => {
    const first = seen.get(lineId);
    if (first === undefined) seen.set(lineId, index);
    else
      errors.push({
        pointer: `${at}/lines/${String(index)}/lineId`,
        detail: `must be unique within the lines; ${at}/lines/${String(first)} has it already`,
      });
  });
  return errors.slice(0, ERRORS_MAX);
}

function checkActivity(data: ActivityData, at: string): ContractError[] {
  // An activity without a member can earn nothing and be claimed by nobody.
  return data.member === null
    ? [{ pointer: `${at}/${pointerSegment('member')}`, detail: 'must name a member: only purchases may be anonymous' }]
    : [];
}
