import { describe, expect, it } from '@jest/globals';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { canonicalJson, hashOfContent } from './index.js';

// RFC 8785 has no words for a lone surrogate, and validated content has none.
const unit = fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed());
const value = fc
  .jsonValue({ stringUnit: 'binary' })
  .filter((json) => JSON.stringify(json).isWellFormed() && !/\\ud[89a-f]/i.test(JSON.stringify(json)));

describe('the content hash', () => {
  it('writes the same canonical form as an independent implementation', () => {
    fc.assert(fc.property(value, (json) => { expect(canonicalJson(json)).toBe(canonicalize(json)); }), { numRuns: 1_000 }); // prettier-ignore
  });

  it('is SHA-256 over that form without member', () => {
    fc.assert(
      fc.property(fc.dictionary(unit, value), value, (data, member) => {
        const { member: _left, ...rest } = data;
        const expected = createHash('sha256')
          .update(canonicalize(rest) ?? '')
          .digest('hex');
        expect(hashOfContent({ ...data, member })).toBe(expected);
      }),
    );
  });

  it('leaves out the member of the content only, not a field of that name deeper down', () => {
    expect(hashOfContent({ a: { member: 1 } })).not.toBe(hashOfContent({ a: {} }));
    expect(hashOfContent({ a: 1, member: 'card:12345678' })).toBe(hashOfContent({ a: 1, member: null }));
  });

  it('writes what the RFC gives as examples', () => {
    const sample = {
      numbers: [333333333.33333329, 1e30, 4.5, 2e-3, 1e-27, -0],
      '\u20ac': 'Euro Sign',
      '\r': 'CR',
      '1': 'One',
      '\u00f6': 'ö',
      '\ud83d\ude00': 'grin',
    };
    expect(canonicalJson(sample)).toBe(
      '{"\\r":"CR","1":"One","numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27,0],"\u00f6":"ö","\u20ac":"Euro Sign","\ud83d\ude00":"grin"}',
    );
  });
});
