import { describe, expect, it } from '@jest/globals';
import { reversalSentencesOf, writeOffSentencesOf, type ReversalExplanation } from './explain-reversal.js';
import { pointsIn } from './explain.js';

const money = (minorUnits: number): string => `€${String(minorUnits / 100)}`;

const explained = (points: number, keptAfter: number): ReversalExplanation => ({
  currency: 'EUR',
  reversals: [
    {
      awardId: 'award',
      source: '/pos/shop-12',
      purchaseId: '000123',
      programme: 1,
      components: [{ rule: 'base', version: 1, rate: [1, 100], rounding: 'floor', keptBefore: 900, keptAfter, points }],
    },
  ],
  fromLots: points,
  debt: 0,
  writtenOff: 0,
  uncovered: 0,
});

describe('The sentences of a return', () => {
  it('say what is kept, and that nothing is', () => {
    expect(reversalSentencesOf(explained(4, 500), 'en', money)).toEqual([
      '4 points back for purchase 000123: €5 of €9 are kept, and keep what they earned.',
    ]);
    expect(reversalSentencesOf(explained(9, 0), 'en', money)).toEqual([
      '9 points back for purchase 000123: nothing of €9 is kept.',
    ]);
    for (const language of ['fa', 'ar'] as const)
      expect(reversalSentencesOf(explained(9, 0), language, money)[0]).not.toContain('€0');
  });

  it('do not speak of what came back where no purchase of it was found', () => {
    const uncovered: ReversalExplanation = { ...explained(0, 0), reversals: [], uncovered: 400 };
    expect(reversalSentencesOf(uncovered, 'en', money)).toEqual([
      'For €4 of it no purchase was found: nothing is taken for that.',
    ]);
  });

  it('use the form of the word that the number takes', () => {
    expect([1, 2, 5].map(pointsIn('en'))).toEqual(['1 point', '2 points', '5 points']);
    expect([0, 1, 2, 3, 10, 11, 100, 103].map(pointsIn('ar'))).toEqual([
      ...['٠ نقطة', 'نقطة واحدة', 'نقطتان', '٣ نقاط', '١٠ نقاط', '١١ نقطة', '١٠٠ نقطة', '١٠٣ نقاط'],
    ]);
    expect([1, 5].map(pointsIn('fa'))).toEqual(['۱ امتیاز', '۵ امتیاز']);
    expect(writeOffSentencesOf({ reversalId: 'return', writtenOff: 1 }, 'en')).toEqual([
      'No longer there, and not asked for: 1 point.',
    ]);
  });
});
