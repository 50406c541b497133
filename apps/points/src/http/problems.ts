import { defineProblems } from '@vafa/service';

/** What this service may answer with besides the problems that every service has. */
export const POINTS_PROBLEMS = defineProblems({
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
  'unknown-contact': {
    status: 404,
    title: {
      en: 'Nobody is known by this contact',
      fa: 'کسی با این نشانی شناخته نشد',
      ar: 'لا أحد معروف بوسيلة الاتصال هذه',
    },
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
