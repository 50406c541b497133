import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { decodeMessage, EVENT_TYPES, validateCloudEvent } from './index.js';
import { maskPointer } from './known-names.js';

const folder = (name: string): URL => new URL(`../samples/${name}/`, import.meta.url);
const read = (name: string): [string, unknown][] =>
  readdirSync(folder(name)).map((file) => [
    file,
    JSON.parse(readFileSync(new URL(file, folder(name)), 'utf8')) as unknown,
  ]);
const bytes = (event: unknown): Buffer => Buffer.from(JSON.stringify(event));

describe('the samples', () => {
  const valid = read('valid');

  it.each(valid)('%s is valid', (_file, event) => {
    expect(decodeMessage(bytes(event), { key: 'k' })).toEqual({ ok: true, event });
    expect(validateCloudEvent(event, 'http')).toEqual({ ok: true, event });
  });

  it('there is a valid one of every type', () => {
    expect(new Set(valid.map(([, event]) => (event as { type: string }).type))).toEqual(new Set(EVENT_TYPES));
  });

  it.each(read('invalid'))('%s is refused for its reason', (_file, sample) => {
    const { reason, pointer, event } = sample as { reason: string; pointer: string; event: unknown };
    const decoded = decodeMessage(bytes(event), { key: 'k' });
    expect(decoded).toMatchObject({ ok: false, reason });
    const errors = decoded.ok ? [] : decoded.errors;
    expect(errors.map((error) => error.pointer)).toContain(maskPointer(pointer));
    // Whoever sent it over HTTP is told the name that he gave.
    const checked = validateCloudEvent(event, 'topic');
    if (!checked.ok) expect(checked.errors.map((error) => error.pointer)).toContain(pointer);
    // Every complaint has words of ours: no regular expression, no name of a keyword.
    for (const error of errors) expect(error.detail).not.toMatch(/pattern|\^|\\p/);
  });
});
