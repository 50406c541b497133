import { describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { openContent, sealContent } from './letter-content.js';

describe('the content of a dead letter', () => {
  const key = randomBytes(32);
  const content = { headers: { phone: '+98 912 000 0000' }, value: Buffer.from('{"phone":"+98 912 000 0000"}\xff') };

  it('comes back as it was, and is not to be read without the key', () => {
    const sealed = sealContent(content, 'one', key);
    expect(openContent(sealed, 'one', key)).toEqual(content);
    expect(sealed.toString('latin1')).not.toContain('912');
    expect(sealContent(content, 'one', key).equals(sealed)).toBe(false);
  });

  it('opens with no other key, as no other letter, and not once it was changed', () => {
    const sealed = sealContent(content, 'one', key);
    expect(() => openContent(sealed, 'one', randomBytes(32))).toThrow();
    expect(() => openContent(sealed, 'another', key)).toThrow();
    for (const at of [0, 5, 20, sealed.length - 1]) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => openContent(changed, 'one', key)).toThrow();
    }
  });
});
