import { describe, expect, it } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { readdirSync, readFileSync } from 'node:fs';
import { generatedContracts } from './generate.js';

const at = (path: string): URL => new URL(`../${path}`, import.meta.url);

describe('what is generated from the contracts', () => {
  it.each([...generatedContracts()])('%s is checked in as it would be written now', (path, content) => {
    expect(readFileSync(at(path), 'utf8')).toBe(content);
  });

  it('leaves no schema behind that no event has', () => {
    expect(
      readdirSync(at('schemas'))
        .map((name) => `schemas/${name}`)
        .sort(),
    ).toEqual([...generatedContracts().keys()].filter((path) => path.startsWith('schemas/')).sort());
  });

  it('is JSON Schema 2020-12 that a stranger can compile', () => {
    for (const [path, content] of generatedContracts())
      if (path.startsWith('schemas/')) {
        const schema = JSON.parse(content) as { $id: string };
        expect(new Ajv2020({ strict: false, validateFormats: false }).validateSchema(schema)).toBe(true);
      }
  });

  it('points at nothing that is not there', () => {
    const document = JSON.parse(generatedContracts().get('asyncapi.json') ?? '{}') as Record<string, unknown>;
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map((match) => match[1] ?? '');
    expect(references.length).toBeGreaterThan(10);
    for (const reference of references) {
      const found = reference
        .split('/')
        .reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], document);
      expect(found).toBeDefined();
    }
  });
});
