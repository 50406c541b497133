import { describe, expect, it } from '@jest/globals';
import { canonicalJson } from '@vafa/contracts';
import fc from 'fast-check';
import { actionsFor, DIFFERENCES_MAX, differencesOf, INBOX_STATUSES } from './inbox.js';

describe('what can be done', () => {
  it('is at least one thing for everything that can lie there', () => {
    for (const kind of ['purchase', 'return', 'activity'] as const)
      for (const status of INBOX_STATUSES)
        for (const purchaseId of [null, '1'])
          for (const reference of [null, 'card:1'])
            expect(actionsFor({ kind, status, purchaseId, reference }).length).toBeGreaterThan(0);
  });

  it('about a return in quarantine depends on what it names', () => {
    const quarantined = { kind: 'return', status: 'quarantined' } as const;
    const actions = (purchaseId: string | null, reference: string | null) =>
      actionsFor({ ...quarantined, purchaseId, reference });
    expect(actions('1', null)).toEqual(['approve', 'discard']);
    expect(actions(null, 'card:1')).toEqual(['attach', 'approve', 'discard']);
    expect(actions(null, null)).toEqual(['attach', 'discard']);
  });

  it('leaves a return that was taken as it is', () => {
    expect(actionsFor({ kind: 'return', status: 'conflict', purchaseId: '1', reference: null })).toEqual(['keep']);
  });
});

describe('the difference of two contents', () => {
  it('points at what changed, came and went', () => {
    const standing = { total: 10, lines: [{ lineId: '1', amount: 10 }], store: 'a' };
    const other = { total: 12, lines: [{ lineId: '1', amount: 7 }, { lineId: '2' }], 'till/no~1': 3 };
    expect(differencesOf(standing, other)).toEqual([
      { pointer: '/total', standing: 10, other: 12 },
      { pointer: '/lines/0/amount', standing: 10, other: 7 },
      { pointer: '/lines/1', other: { lineId: '2' } },
      { pointer: '/store', standing: 'a' },
      { pointer: '/till~1no~01', other: 3 },
    ]);
  });

  it('is none of a value and itself, and the same both ways round', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => {
        expect(differencesOf(one, structuredClone(one))).toEqual([]);
        const pointers = (differences: { pointer: string }[]) => new Set(differences.map(({ pointer }) => pointer));
        expect(pointers(differencesOf(one, other))).toEqual(pointers(differencesOf(other, one)));
        expect(differencesOf(one, other).length === 0).toBe(canonicalJson(one) === canonicalJson(other));
      }),
    );
  });

  it('ends somewhere', () => {
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`n${n}`, n]));
    expect(differencesOf(many, {})).toHaveLength(DIFFERENCES_MAX);
  });
});
