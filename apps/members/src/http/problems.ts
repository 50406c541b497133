import { defineProblems } from '@vafa/service';
import type { EnrolmentRejection } from '../domain/enrolment.js';

/** The problems of this service besides those that any service answers with. */
export const MEMBER_PROBLEMS = defineProblems<EnrolmentRejection['code'] | 'member-not-found' | 'invalid-reference'>({
  'idempotency-key-reused': {
    status: 409,
    title: {
      en: 'This Idempotency-Key stood for another request',
      fa: 'این Idempotency-Key پیش‌تر برای درخواست دیگری به کار رفته است',
      ar: 'استُخدم Idempotency-Key هذا لطلب آخر من قبل',
    },
  },
  'member-not-found': {
    status: 404,
    title: { en: 'There is no such member', fa: 'چنین عضوی پیدا نشد', ar: 'لا يوجد عضو كهذا' },
  },
  'invalid-reference': {
    status: 400,
    title: {
      en: 'This is not a reference to a member',
      fa: 'این نشانی عضو معتبر نیست',
      ar: 'هذا ليس مرجعًا صالحًا لعضو',
    },
  },
});
