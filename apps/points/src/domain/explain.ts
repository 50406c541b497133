import { assertNever } from '@vafa/event-sourcing';
import type { Component, Declined, Explanation } from './earning.js';
import type { LineKind } from './purchase.js';

export type Language = 'en' | 'fa' | 'ar';

/** Writes an amount of money, given in minor units, for people. */
export type MoneyText = (minorUnits: number) => string;

/**
 * The sentences that tell a member why a movement has the points it has, from what was stored with it and never from today's rules.
 * One a component and one a refusal, in the order in which they were decided.
 */
export const sentencesOf = (explanation: Explanation, language: Language, money: MoneyText): string[] => {
  const words = WORDS[language];
  const number = numberIn(language);
  const points = pointsIn(language);
  return [
    ...explanation.components.map((component) =>
      words.earned(points(component.points), money(component.base), step(component, money, number)),
    ),
    ...explanation.declined.map((declined) => declinedSentence(declined, words, money)),
  ];
};

const declinedSentence = (declined: Declined, words: Words, money: MoneyText): string => {
  switch (declined.reason) {
    case 'kind-excluded':
      return words.excluded(words.kinds[declined.kind]);
    case 'below-one-point':
      return words.below(money(declined.base), money(declined.needed));
    default:
      return assertNever(declined);
  }
};

/** Whole numbers in the digits of the language. */
export const numberIn = (language: Language): ((value: number) => string) => {
  const format = new Intl.NumberFormat(LOCALES[language]);
  return (value) => format.format(value);
};

/** A number of points in words: the language says which form of the word the number takes, and Arabic has four. */
export const pointsIn = (language: Language): ((value: number) => string) => {
  const rules = new Intl.PluralRules(language);
  const number = numberIn(language);
  return (value) => POINTS[language](rules.select(value), number(value));
};

const POINTS: Readonly<Record<Language, (form: Intl.LDMLPluralRule, number: string) => string>> = {
  en: (form, number) => `${number} ${form === 'one' ? 'point' : 'points'}`,
  fa: (_form, number) => `${number} امتیاز`,
  ar: (form, number) => {
    if (form === 'one') return 'نقطة واحدة';
    if (form === 'two') return 'نقطتان';
    return form === 'few' ? `${number} نقاط` : `${number} نقطة`;
  },
};

export const LOCALES: Readonly<Record<Language, string>> = { en: 'en', fa: 'fa-IR', ar: 'ar-u-nu-arab' };

type Words = {
  readonly earned: (points: string, base: string, each: Step) => string;
  readonly excluded: (kind: string) => string;
  readonly below: (base: string, needed: string) => string;
  readonly kinds: Readonly<Record<LineKind, string>>;
};

/** Money for one point, or the nearest whole number of points for it. */
type Step = { readonly points: string; readonly money: string };

const step = (
  { rate: [points, perMinorUnits] }: Component,
  money: MoneyText,
  number: (value: number) => string,
): Step => ({
  points: number(points),
  money: money(perMinorUnits),
});

const WORDS: Readonly<Record<Language, Words>> = {
  en: {
    earned: (points, base, each) => `${points} for ${base}: ${each.points} for each full ${each.money}, rounded down.`,
    excluded: (kind) => `No points for ${kind}: they do not earn any.`,
    below: (base, needed) => `No points: ${base} is less than the ${needed} that one point takes.`,
    kinds: {
      goods: 'goods',
      service: 'services',
      shipping: 'shipping',
      'gift-card': 'gift cards',
      fee: 'fees',
      'points-payment': 'what was paid with points',
    },
  },
  fa: {
    earned: (points, base, each) =>
      `${points} برای ${base}: هر ${each.money} کامل ${each.points} امتیاز، گرد شده به پایین.`,
    excluded: (kind) => `به ${kind} امتیازی تعلق نمی‌گیرد.`,
    below: (base, needed) => `بدون امتیاز: ${base} از ${needed} که برای یک امتیاز لازم است کمتر است.`,
    kinds: {
      goods: 'کالا',
      service: 'خدمات',
      shipping: 'هزینهٔ ارسال',
      'gift-card': 'کارت هدیه',
      fee: 'کارمزد',
      'points-payment': 'مبلغ پرداخت‌شده با امتیاز',
    },
  },
  ar: {
    earned: (points, base, each) => `${points} عن ${base}: ${each.points} عن كل ${each.money} كاملة، مقرّبة إلى الأدنى.`,
    excluded: (kind) => `لا تُكسب نقاط عن ${kind}.`,
    below: (base, needed) => `لا نقاط: ${base} أقل من ${needed} اللازمة لنقطة واحدة.`,
    kinds: {
      goods: 'السلع',
      service: 'الخدمات',
      shipping: 'الشحن',
      'gift-card': 'بطاقات الهدايا',
      fee: 'الرسوم',
      'points-payment': 'ما دُفع بالنقاط',
    },
  },
};
