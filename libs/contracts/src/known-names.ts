import { pointerSegment } from './contract-errors.js';
import { dataSchema, EVENT_TYPES, eventSchema } from './events.js';
import type { JsonSchema } from './json-schema.js';

/** What stands in a pointer for a name that is not ours: the sender chose it, and it may be anything, a telephone number say. */
const MASK = '(unknown)';
const INDEX = /^\d{1,4}$/;

let known: ReadonlySet<string> | undefined;

/** A JSON pointer in which only the names of our contracts and places in lists are left, for what is logged and kept in clear. */
export const maskPointer = (pointer: string): string => {
  known ??= collectNames();
  const names = known;
  return pointer
    .split('/')
    .map((segment) => (segment === '' || INDEX.test(segment) || names.has(segment) ? segment : MASK))
    .join('/');
};

/** Every name that a schema gives a property, as it stands in a pointer. */
const collectNames = (): Set<string> => {
  const names = new Set<string>();
  const visit = (schema: unknown): void => {
    if (Array.isArray(schema)) return schema.forEach(visit);
    if (typeof schema !== 'object' || schema === null) return;
    const { properties } = schema as JsonSchema;
    if (typeof properties === 'object') for (const name of Object.keys(properties)) names.add(pointerSegment(name));
    for (const part of Object.values(schema)) visit(part);
  };
  for (const type of EVENT_TYPES) visit(eventSchema(type, 'topic', dataSchema(type, 'topic')));
  return names;
};
