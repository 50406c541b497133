import type { ErrorObject } from 'ajv/dist/2020.js';
import { CURRENCIES } from './money.js';
import { PATTERNS_IN_WORDS, SAFE_INTEGER_MAX } from './schema-parts.js';

/** What is wrong, and where: a JSON pointer (RFC 6901), and words that follow the name of the field. */
export type ContractError = { readonly pointer: string; readonly detail: string };

/** One segment of a JSON pointer, escaped and cut where somebody sent a very long name. */
export const pointerSegment = (name: string): string => name.slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1');

/** An error of the validator in words, or `undefined` where another error says it better. */
export function inWords(error: ErrorObject, root: unknown): ContractError | undefined {
  const at = error.instancePath;
  const params = error.params as Record<string, unknown>;
  const below = (name: unknown): string => `${at}/${pointerSegment(String(name))}`;
  // The branches of a choice each complain; the choice itself has the sentence.
  if (error.schemaPath.includes('/oneOf/') || error.keyword === 'if') return undefined;
  if (error.schemaPath.includes('/propertyNames/') && error.keyword !== 'propertyNames') return undefined;
  switch (error.keyword) {
    case 'required':
      // Only a line of a return has two fields of which one is enough.
      if (error.schemaPath.endsWith('/else/required'))
        return { pointer: at, detail: 'must have amount, quantity or both' };
      return { pointer: below(params['missingProperty']), detail: requirement(params['missingProperty']) };
    case 'additionalProperties':
      return { pointer: below(params['additionalProperty']), detail: 'is not a field of this contract' };
    case 'propertyNames':
      return { pointer: below(params['propertyName']), detail: 'is not an allowed name' };
    case 'false schema':
      return { pointer: at, detail: 'is not allowed here' };
    case 'type':
      return { pointer: at, detail: wrongType(params['type'], valueAt(root, at)) };
    case 'pattern':
      return {
        pointer: at,
        detail: `must be ${PATTERNS_IN_WORDS.get(String(params['pattern'])) ?? `of the form ${String(params['pattern'])}`}`,
      };
    case 'format':
      return { pointer: at, detail: 'must be a date and time of RFC 3339 with an offset or Z, between 1900 and 9999' };
    case 'enum':
      return { pointer: at, detail: choice(params['allowedValues']) };
    case 'const':
      return { pointer: at, detail: `must be ${JSON.stringify(params['allowedValue'])}` };
    case 'oneOf':
      return {
        pointer: at,
        detail:
          'must have purchaseId with either lines or "whole": true, or, where the receipt is lost, amount and currency',
      };
    default:
      return {
        pointer: at,
        detail: limit(error.keyword, params['limit']) ?? error.message ?? 'does not follow the schema',
      };
  }
}

const requirement = (name: unknown): string =>
  name === 'redemptionId' ? 'is required for a points payment' : 'is required';

function wrongType(type: unknown, value: unknown): string {
  const wanted = (Array.isArray(type) ? type.map(String) : [String(type)])
    .map((name) => ARTICLES[name] ?? name)
    .join(' or ');
  // A number beyond 2^53 was rounded before anybody could look at it, and a fraction is the commonest mistake with money.
  if (wanted === 'an integer' && typeof value === 'number') return 'must be an integer (money is in minor units)';
  return `must be ${wanted}`;
}

const ARTICLES: Readonly<Record<string, string>> = {
  string: 'a text',
  integer: 'an integer',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
};

const choice = (allowed: unknown): string =>
  allowed === CURRENCIES
    ? 'must be a currency code of ISO 4217, such as "EUR"'
    : `must be one of ${(allowed as readonly unknown[]).map((one) => JSON.stringify(one)).join(', ')}`;

function limit(keyword: string, bound: unknown): string | undefined {
  const amount = String(bound);
  switch (keyword) {
    case 'minLength':
      return 'must not be empty';
    case 'maxLength':
      return `must have at most ${amount} characters`;
    case 'minItems':
      return `must have at least ${amount} entry`;
    case 'maxItems':
      return `must have at most ${amount} entries`;
    case 'maxProperties':
      return `must have at most ${amount} names`;
    case 'minimum':
      return bound === -SAFE_INTEGER_MAX
        ? SAFE_RANGE
        : bound === 0
          ? 'must not be negative'
          : `must be at least ${amount}`;
    case 'maximum':
      return bound === SAFE_INTEGER_MAX ? SAFE_RANGE : `must be at most ${amount}`;
    case 'exclusiveMaximum':
      return 'must be negative for a points payment';
    default:
      return undefined;
  }
}

const SAFE_RANGE = 'must lie between −(2^53 − 1) and 2^53 − 1';

/** The value that a pointer leads to, for a better word about it. */
function valueAt(root: unknown, pointer: string): unknown {
  let value = root;
  for (const segment of pointer.split('/').slice(1)) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string, unknown>)[segment.replaceAll('~1', '/').replaceAll('~0', '~')];
  }
  return value;
}
