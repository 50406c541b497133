import type { Language } from '../domain/explain.js';
import type { MovementKind } from '../domain/movement-kind.js';

/** The words of a statement on paper. */
export type StatementWords = {
  readonly title: string;
  readonly member: string;
  readonly range: (from: string, to: string) => string;
  readonly closed: string;
  readonly open: string;
  readonly opening: string;
  readonly earned: string;
  readonly byRule: (rule: string) => string;
  readonly debtsPaid: string;
  readonly reversed: string;
  readonly writtenOff: string;
  readonly closing: string;
  readonly available: string;
  readonly pending: string;
  readonly held: string;
  readonly debt: string;
  readonly expiring: (days: string) => string;
  readonly movements: string;
  readonly date: string;
  readonly why: string;
  readonly points: string;
  readonly balance: string;
  readonly kinds: Readonly<Record<MovementKind, string>>;
  readonly correctionOf: (period: string) => string;
  readonly corrects: (transaction: string) => string;
  readonly purchase: string;
  readonly returned: string;
  readonly none: string;
  readonly receipt: string;
  readonly times: (asOf: string, knownAt: string) => string;
  readonly page: (number: string, of: string) => string;
};

export const STATEMENT_WORDS: Readonly<Record<Language, StatementWords>> = {
  en: {
    title: 'Points statement',
    member: 'Member',
    range: (from, to) => `From ${from} to ${to}`,
    closed: 'Closed: these figures do not change any more',
    open: 'Open: what comes later for these days may still be added',
    opening: 'Opening balance',
    earned: 'Earned',
    byRule: (rule) => `by the rule “${rule}”`,
    debtsPaid: 'of it, debt paid',
    reversed: 'Taken back for returns',
    writtenOff: 'Written off, not charged',
    closing: 'Closing balance',
    available: 'Available',
    pending: 'Pending',
    held: 'Held',
    debt: 'Debt',
    expiring: (days) => `Expiring within ${days} days`,
    movements: 'Movements',
    date: 'Date',
    why: 'What and why',
    points: 'Points',
    balance: 'Balance',
    kinds: { earned: 'Earned', reversed: 'Return', 'written-off': 'Written off' },
    correctionOf: (period) => `Late for the closed period ${period}`,
    corrects: (transaction) => `Corrects ${transaction}`,
    purchase: 'Purchase',
    returned: 'Return',
    none: 'No movements.',
    receipt: 'Receipt: SHA-256 of the last event',
    times: (asOf, knownAt) => `As of ${asOf}, by what was known at ${knownAt}`,
    page: (number, of) => `Page ${number} of ${of}`,
  },
  fa: {
    title: 'صورت‌حساب امتیاز',
    member: 'عضو',
    range: (from, to) => `از ${from} تا ${to}`,
    closed: 'بسته: این ارقام دیگر تغییر نمی‌کند',
    open: 'باز: آنچه دیرتر برای این روزها برسد، هنوز افزوده می‌شود',
    opening: 'ماندهٔ آغاز دوره',
    earned: 'کسب‌شده',
    byRule: (rule) => `با قاعدهٔ «${rule}»`,
    debtsPaid: 'از این مقدار، بابت بدهی',
    reversed: 'برگشت بابت مرجوعی',
    writtenOff: 'بخشوده، بی‌آنکه کسر شود',
    closing: 'ماندهٔ پایان دوره',
    available: 'قابل استفاده',
    pending: 'در انتظار',
    held: 'نگه‌داشته',
    debt: 'بدهی امتیاز',
    expiring: (days) => `منقضی تا ${days} روز`,
    movements: 'گردش امتیاز',
    date: 'تاریخ',
    why: 'شرح',
    points: 'امتیاز',
    balance: 'مانده',
    kinds: { earned: 'کسب امتیاز', reversed: 'مرجوعی', 'written-off': 'بخشوده' },
    correctionOf: (period) => `دیررسیده برای دورهٔ بستهٔ ${period}`,
    corrects: (transaction) => `اصلاح تراکنش ${transaction}`,
    purchase: 'خرید',
    returned: 'مرجوعی',
    none: 'در این دوره گردشی نبوده است.',
    receipt: 'رسید: SHA-256 آخرین رویداد',
    times: (asOf, knownAt) => `وضعیت در ${asOf}، بر پایهٔ آنچه تا ${knownAt} ثبت شده بود`,
    page: (number, of) => `صفحهٔ ${number} از ${of}`,
  },
  ar: {
    title: 'كشف حساب النقاط',
    member: 'العضو',
    range: (from, to) => `من ${from} إلى ${to}`,
    closed: 'مغلق: لن تتغيّر هذه الأرقام بعد الآن',
    open: 'مفتوح: ما يصل لاحقًا عن هذه الأيام قد يُضاف',
    opening: 'الرصيد الافتتاحي',
    earned: 'المكتسبة',
    byRule: (rule) => `بحسب القاعدة «${rule}»`,
    debtsPaid: 'منها لسداد الرصيد المدين',
    reversed: 'المسترجعة عن الإرجاع',
    writtenOff: 'المعفاة دون خصم',
    closing: 'الرصيد الختامي',
    available: 'متاحة',
    pending: 'معلّقة',
    held: 'محجوزة',
    debt: 'رصيد مدين',
    expiring: (days) => `تنتهي خلال ${days} يومًا`,
    movements: 'حركات النقاط',
    date: 'التاريخ',
    why: 'البيان',
    points: 'النقاط',
    balance: 'الرصيد',
    kinds: { earned: 'كسب نقاط', reversed: 'إرجاع', 'written-off': 'إعفاء' },
    correctionOf: (period) => `متأخرة عن الفترة المغلقة ${period}`,
    corrects: (transaction) => `تصحيح المعاملة ${transaction}`,
    purchase: 'شراء',
    returned: 'إرجاع',
    none: 'لا حركات في هذه الفترة.',
    receipt: 'الإيصال: ‏SHA-256 لآخر حدث',
    times: (asOf, knownAt) => `كما في ${asOf}، بحسب ما كان مسجّلًا حتى ${knownAt}`,
    page: (number, of) => `صفحة ${number} من ${of}`,
  },
};
