import { defineProblems } from '@vafa/service';

/** What this service may answer with besides the problems that every service has. */
export const POINTS_PROBLEMS = defineProblems({
  'action-not-possible': {
    status: 409,
    title: {
      en: 'This cannot be done about it',
      fa: 'این کار برای این مورد شدنی نیست',
      ar: 'لا يمكن اتخاذ هذا الإجراء هنا',
    },
  },
  'already-claimed': {
    status: 409,
    title: {
      en: 'This purchase is somebody’s already',
      fa: 'این خرید پیش‌تر برای کسی ثبت شده است',
      ar: 'هذا الشراء مسجّل لعضو من قبل',
    },
  },
  'already-settled': {
    status: 409,
    title: {
      en: 'This has been settled otherwise',
      fa: 'به این مورد پیش‌تر به گونه‌ای دیگر رسیدگی شده است',
      ar: 'سُوِّي هذا الأمر بطريقة أخرى',
    },
  },
  'content-conflict': {
    status: 409,
    title: {
      en: 'Something else stands under this id',
      fa: 'با این شناسه چیز دیگری ثبت شده است',
      ar: 'سُجِّل شيء آخر بهذا المعرّف',
    },
  },
  'period-not-over': {
    status: 409,
    title: { en: 'The period is not over', fa: 'این دوره هنوز پایان نیافته است', ar: 'لم تنتهِ هذه الفترة بعد' },
  },
  'purchase-too-old': {
    status: 409,
    title: {
      en: 'The purchase is too old to be claimed',
      fa: 'از این خرید زمان زیادی گذشته است',
      ar: 'مضى على هذا الشراء وقت طويل',
    },
  },
  'too-many-claims': {
    status: 429,
    title: {
      en: 'Too many purchases were claimed today',
      fa: 'شمار خریدهای ثبت‌شده در یک روز از حد گذشته است',
      ar: 'تجاوز عدد المشتريات المطالَب بها في اليوم الحد',
    },
  },
  'statement-too-long': {
    status: 422,
    title: {
      en: 'The statement would be too long',
      fa: 'صورت‌حساب بیش از اندازه بلند می‌شود',
      ar: 'سيكون كشف الحساب أطول من اللازم',
    },
  },
  'unknown-contact': {
    status: 404,
    title: {
      en: 'Nobody is known by this contact',
      fa: 'کسی با این نشانی شناخته نشد',
      ar: 'لا أحد معروف بوسيلة الاتصال هذه',
    },
  },
  'unknown-item': {
    status: 404,
    title: {
      en: 'There is no such item in the inbox',
      fa: 'چنین موردی در صندوق رسیدگی نیست',
      ar: 'لا يوجد عنصر كهذا في صندوق المعالجة',
    },
  },
  'unknown-purchase': {
    status: 404,
    title: { en: 'There is no such purchase', fa: 'چنین خریدی نیست', ar: 'لا يوجد شراء كهذا' },
  },
  'unknown-member': {
    status: 404,
    title: { en: 'There is no such member', fa: 'چنین عضوی نیست', ar: 'لا يوجد عضو كهذا' },
  },
  'unknown-transaction': {
    status: 404,
    title: { en: 'There is no such transaction', fa: 'چنین تراکنشی نیست', ar: 'لا توجد معاملة كهذه' },
  },
});
