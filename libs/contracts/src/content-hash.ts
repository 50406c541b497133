import { hash } from 'node:crypto';

/**
 * SHA-256, in hexadecimal, over the RFC 8785 form of an event's `data` without `member`: two inputs under one natural key are the same
 * input if and only if their hashes are. `data` must have passed validation: that bounds its depth and keeps what RFC 8785 cannot write out of it.
 */
export function hashOfContent(data: object): string {
  return hash('sha256', canonicalObject(data as Record<string, unknown>, 'member'), 'hex');
}

/** The RFC 8785 form of a JSON value (sorted names, no blanks, numbers and texts as ECMAScript writes them). */
export function canonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (!Array.isArray(value)) return canonicalObject(value as Record<string, unknown>, undefined);
  let text = '[';
  for (let index = 0; index < value.length; index += 1) {
    if (index > 0) text += ',';
    text += canonicalJson(value[index]);
  }
  return `${text}]`;
}

function canonicalObject(value: Record<string, unknown>, without: string | undefined): string {
  // Sorted by UTF-16 code units, as the RFC asks and `sort` does by itself.
  const names = Object.keys(value).sort();
  let text = '{';
  for (const name of names) {
    if (name === without) continue;
    const member = value[name];
    if (member === undefined) continue;
    if (text.length > 1) text += ',';
    text += `${JSON.stringify(name)}:${canonicalJson(member)}`;
  }
  return `${text}}`;
}
