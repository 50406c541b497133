import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from '@jest/globals';

import { parsePurchaseMap } from '../src/import/map.js';

const inRepository = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

describe('the maps that people copy', () => {
  it('can be used as they stand', async () => {
    const names = await readdir(inRepository('examples/import'));
    expect(names.length).toBeGreaterThan(1);
    for (const name of names) {
      const source = await readFile(inRepository(`examples/import/${name}`), 'utf8');
      expect(parsePurchaseMap(source, name).source).toMatch(/^\/import\//);
    }
    const page = await readFile(inRepository('docs/importing.md'), 'utf8');
    const [, block = ''] = /```yaml\n([\s\S]*?)```/.exec(page) ?? [];
    expect(parsePurchaseMap(block, 'docs/importing.md')).toMatchObject({
      source: '/shops/north',
      anonymous: ['', '(none)'],
    });
  });
});
