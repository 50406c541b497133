import { numberIn, type Language, type MoneyText } from './explain.js';
import type { ReversedComponent, Reversal } from './reversing.js';

/** Why a return took the points it took, and what became of those it could not take. Money in minor units of `currency`. */
export type ReversalExplanation = {
  readonly currency: string;
  readonly reversals: readonly Reversal[];
  /** Points taken out of lots. */
  readonly fromLots: number;
  /** Points that the account owes instead. */
  readonly debt: number;
  /** Points that were neither there nor to be owed: the shop bears them. */
  readonly writtenOff: number;
  /** Money given back that no purchase was found for. */
  readonly uncovered: number;
};

/** The reversal that could not take all it should have. */
export type WriteOffExplanation = { readonly reversalId: string; readonly writtenOff: number };

/** The sentences that tell a member why a return took what it took: one a component, then what it was taken from where that is not all lots. */
export const reversalSentencesOf = (
  { reversals, fromLots, debt, writtenOff, uncovered }: ReversalExplanation,
  language: Language,
  money: MoneyText,
): string[] => {
  const words = WORDS[language];
  const number = numberIn(language);
  const taken = reversals.flatMap(({ purchaseId, components }) =>
    components.map((component) => words.taken(purchaseId, component, money, number(component.points))),
  );
  return [
    ...(taken.length === 0 ? [words.nothing] : taken),
    ...(debt === 0 ? [] : [words.owed(number(fromLots), number(debt))]),
    ...(writtenOff === 0 ? [] : [words.writtenOff(number(writtenOff))]),
    ...(uncovered === 0 ? [] : [words.uncovered(money(uncovered))]),
  ];
};

/** The sentence about points that the shop bears. */
export const writeOffSentencesOf = ({ writtenOff }: WriteOffExplanation, language: Language): string[] => [
  WORDS[language].writtenOff(numberIn(language)(writtenOff)),
];

type Words = {
  readonly taken: (purchaseId: string, component: ReversedComponent, money: MoneyText, points: string) => string;
  readonly nothing: string;
  readonly owed: (fromLots: string, debt: string) => string;
  readonly writtenOff: (points: string) => string;
  readonly uncovered: (money: string) => string;
};

const WORDS: Readonly<Record<Language, Words>> = {
  en: {
    taken: (purchaseId, { keptBefore, keptAfter }, money, points) =>
      `${points} points back for purchase ${purchaseId}: ${money(keptAfter)} of ${money(keptBefore)} are kept, and keep what they earned.`,
    nothing: 'No points back: what came back had earned none.',
    owed: (fromLots, debt) =>
      `${fromLots} of them were there; ${debt} are owed, and the next points earned pay them first.`,
    writtenOff: (points) => `${points} points were no longer there and are not asked for.`,
    uncovered: (money) => `For ${money} of it no purchase was found: nothing is taken for that.`,
  },
  fa: {
    taken: (purchaseId, { keptBefore, keptAfter }, money, points) =>
      `برگشت ${points} امتیاز خرید ${isolated(purchaseId)}: از ${money(keptBefore)} مبلغ ${money(keptAfter)} نگه داشته شده و امتیاز آن می‌ماند.`,
    nothing: 'امتیازی برگشت داده نشد: آنچه پس داده شد امتیازی نداشت.',
    owed: (fromLots, debt) =>
      `${fromLots} امتیاز موجود بود؛ ${debt} امتیاز بدهی است و نخستین امتیازهای بعدی آن را می‌پردازد.`,
    writtenOff: (points) => `${points} امتیاز دیگر موجود نبود و از شما خواسته نمی‌شود.`,
    uncovered: (money) => `برای ${money} از آن خریدی پیدا نشد: برای آن چیزی کم نمی‌شود.`,
  },
  ar: {
    taken: (purchaseId, { keptBefore, keptAfter }, money, points) =>
      `استُرجعت ${points} نقطة عن عملية الشراء ${isolated(purchaseId)}: بقي ${money(keptAfter)} من ${money(keptBefore)}، وتبقى نقاطه.`,
    nothing: 'لم تُسترجع نقاط: لم تكن للسلع المُرجَعة نقاط.',
    owed: (fromLots, debt) => `كانت ${fromLots} نقطة موجودة؛ و${debt} نقطة رصيد مدين تسدّده أول نقاط تُكسب بعده.`,
    writtenOff: (points) => `لم تعد ${points} نقطة موجودة، ولا تُطلب منك.`,
    uncovered: (money) => `لم يُعثر على عملية شراء لمبلغ ${money} منه: لا يُخصم شيء عنه.`,
  },
};

/** A code within a sentence that runs from right to left keeps its own direction. */
const isolated = (code: string): string => `\u2068${code}\u2069`;
