import { numberIn, pointsIn, type Language, type MoneyText } from './explain.js';
import type { Reversal } from './reversing.js';

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
  const pointsText = pointsIn(language);
  const taken = reversals.flatMap(({ purchaseId, components }) =>
    components.map(({ points, keptBefore, keptAfter }) =>
      words.taken(pointsText(points), purchaseId, money(keptBefore), keptAfter === 0 ? undefined : money(keptAfter)),
    ),
  );
  return [
    // Where no purchase was found at all, its own sentence says so.
    ...(taken.length === 0 && (reversals.length > 0 || uncovered === 0) ? [words.nothing] : taken),
    ...(debt === 0 ? [] : [words.owed(number(fromLots), number(debt))]),
    ...(writtenOff === 0 ? [] : [words.writtenOff(pointsText(writtenOff))]),
    ...(uncovered === 0 ? [] : [words.uncovered(money(uncovered))]),
  ];
};

/** The sentence about points that the shop bears. */
export const writeOffSentencesOf = ({ writtenOff }: WriteOffExplanation, language: Language): string[] => [
  WORDS[language].writtenOff(pointsIn(language)(writtenOff)),
];

type Words = {
  /** Without `kept` nothing of what counted before is kept. */
  readonly taken: (points: string, purchaseId: string, before: string, kept: string | undefined) => string;
  readonly nothing: string;
  readonly owed: (fromLots: string, debt: string) => string;
  readonly writtenOff: (points: string) => string;
  readonly uncovered: (money: string) => string;
};

const WORDS: Readonly<Record<Language, Words>> = {
  en: {
    taken: (points, purchaseId, before, kept) =>
      `${points} back for purchase ${purchaseId}: ${kept === undefined ? `nothing of ${before} is kept.` : `${kept} of ${before} are kept, and keep what they earned.`}`,
    nothing: 'No points back: what came back had earned none.',
    owed: (fromLots, debt) =>
      `${fromLots} of them could be taken; the other ${debt} became a debt, which the next points earned pay first.`,
    writtenOff: (points) => `No longer there, and not asked for: ${points}.`,
    uncovered: (money) => `For ${money} of it no purchase was found: nothing is taken for that.`,
  },
  fa: {
    taken: (points, purchaseId, before, kept) =>
      `برگشت ${points} خرید ${isolated(purchaseId)}: ${kept === undefined ? `از ${before} چیزی نگه داشته نشده است.` : `از ${before} مبلغ ${kept} نگه داشته شده و امتیاز آن می‌ماند.`}`,
    nothing: 'امتیازی برگشت داده نشد: آنچه پس داده شد امتیازی نداشت.',
    owed: (fromLots, debt) =>
      `${fromLots} امتیاز موجود بود؛ ${debt} امتیاز بدهی است و نخستین امتیازهای بعدی آن را می‌پردازد.`,
    writtenOff: (points) => `${points} دیگر موجود نبود و از شما خواسته نمی‌شود.`,
    uncovered: (money) => `برای ${money} از آن خریدی پیدا نشد: برای آن چیزی کم نمی‌شود.`,
  },
  ar: {
    taken: (points, purchaseId, before, kept) =>
      `استُرجعت ${points} عن عملية الشراء ${isolated(purchaseId)}: ${kept === undefined ? `لم يبقَ شيء من ${before}.` : `بقي ${kept} من ${before}، وتبقى نقاطه.`}`,
    nothing: 'لم تُسترجع نقاط: لم تكن للسلع المُرجَعة نقاط.',
    owed: (fromLots, debt) =>
      `المسترجع منها من الرصيد: ${fromLots}؛ والباقي ${debt} رصيد مدين تسدّده أول نقاط تُكسب بعده.`,
    writtenOff: (points) => `لم تعد موجودة ولا تُطلب منك: ${points}.`,
    uncovered: (money) => `لم يُعثر على عملية شراء لمبلغ ${money} منه: لا يُخصم شيء عنه.`,
  },
};

/** A code within a sentence that runs from right to left keeps its own direction. */
const isolated = (code: string): string => `\u2068${code}\u2069`;
