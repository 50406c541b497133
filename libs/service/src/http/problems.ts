export type Language = 'en' | 'fa' | 'ar';

/** A kind of problem: its code (the last part of its `type`), HTTP status and title in each language. */
export type ProblemKind = {
  readonly code: string;
  readonly status: number;
  readonly title: Readonly<Record<Language, string>>;
};

/** One wrong field: a JSON Pointer into the body (or the name of a parameter), and what is expected there. */
export type FieldError = {
  readonly pointer: string;
  readonly detail: string;
  /** Where the field stands if not in the body. */
  readonly in?: 'query' | 'path' | 'header';
};

export type ProblemMore = {
  /** One sentence about this occurrence, in English. */
  readonly detail?: string;
  readonly errors?: readonly FieldError[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Members of the answer besides the standard ones, e.g. `{ requested: 11, available: 10 }`. */
  readonly extensions?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
};

/** Thrown in a controller, answered as problem+json (RFC 9457). */
export class ProblemException extends Error {
  override readonly name = 'ProblemException';

  constructor(
    readonly kind: ProblemKind,
    readonly more: ProblemMore = {},
  ) {
    super(more.detail ?? kind.title.en, more.cause === undefined ? undefined : { cause: more.cause });
  }
}

/**
 * Names the problems of a service, one line a code. With the codes of its rejections as `Code`, a forgotten one does not
 * compile: `defineProblems<PointsRejection['code']>({ … })`.
 */
export const defineProblems = <Code extends string>(
  kinds: Readonly<Record<Code, { status: number; title: Record<Language, string> }>>,
): { readonly [C in Code]: ProblemKind } => {
  const entries = Object.entries<{ status: number; title: Record<Language, string> }>(kinds);
  return Object.freeze(
    Object.fromEntries(entries.map(([code, { status, title }]) => [code, Object.freeze({ code, status, title })])),
  ) as { readonly [C in Code]: ProblemKind };
};

/** The problems any service may answer with. */
export const PROBLEMS = defineProblems({
  'malformed-request': {
    status: 400,
    title: {
      en: 'The request cannot be read',
      fa: 'درخواست خوانا نیست',
      ar: 'تعذّرت قراءة الطلب',
    },
  },
  'invalid-parameter': {
    status: 400,
    title: { en: 'A parameter is not valid', fa: 'یکی از پارامترها معتبر نیست', ar: 'أحد المعاملات غير صالح' },
  },
  'malformed-json': {
    status: 400,
    title: { en: 'The body is not valid JSON', fa: 'بدنهٔ درخواست JSON معتبر نیست', ar: 'نص الطلب ليس JSON صالحًا' },
  },
  'invalid-cursor': {
    status: 400,
    title: { en: 'The cursor is not valid', fa: 'نشانگر صفحه معتبر نیست', ar: 'مؤشر الصفحة غير صالح' },
  },
  'idempotency-key-missing': {
    status: 400,
    title: {
      en: 'The Idempotency-Key header is missing',
      fa: 'سرآیند Idempotency-Key فرستاده نشده است',
      ar: 'الترويسة Idempotency-Key مفقودة',
    },
  },
  unauthenticated: {
    status: 401,
    title: { en: 'Sign-in is needed', fa: 'ورود لازم است', ar: 'يلزم تسجيل الدخول' },
  },
  forbidden: {
    status: 403,
    title: { en: 'This is not allowed to you', fa: 'شما اجازهٔ این کار را ندارید', ar: 'هذا غير مسموح لك' },
  },
  'not-found': {
    status: 404,
    title: { en: 'There is nothing here', fa: 'چیزی پیدا نشد', ar: 'لا يوجد شيء هنا' },
  },
  'method-not-allowed': {
    status: 405,
    title: {
      en: 'This method is not supported here',
      fa: 'این متد در این نشانی پشتیبانی نمی‌شود',
      ar: 'هذه الطريقة غير مدعومة هنا',
    },
  },
  'not-acceptable': {
    status: 406,
    title: {
      en: 'None of the accepted forms can be given',
      fa: 'هیچ‌یک از قالب‌های پذیرفته‌شده در دسترس نیست',
      ar: 'لا تتوفر أي من الصيغ المقبولة',
    },
  },
  'request-timeout': {
    status: 408,
    title: {
      en: 'The request took too long',
      fa: 'ارسال درخواست بیش از اندازه طول کشید',
      ar: 'استغرق الطلب وقتًا طويلًا',
    },
  },
  conflict: {
    status: 409,
    title: { en: 'This conflicts with what is there', fa: 'با دادهٔ موجود ناسازگار است', ar: 'يتعارض مع الموجود' },
  },
  'body-too-large': {
    status: 413,
    title: { en: 'The body is too large', fa: 'بدنهٔ درخواست بیش از اندازه بزرگ است', ar: 'نص الطلب أكبر من اللازم' },
  },
  'uri-too-long': {
    status: 414,
    title: { en: 'The address is too long', fa: 'نشانی بیش از اندازه بلند است', ar: 'العنوان أطول من اللازم' },
  },
  'unsupported-media-type': {
    status: 415,
    title: {
      en: 'This content type is not accepted here',
      fa: 'این نوع محتوا پذیرفته نمی‌شود',
      ar: 'نوع المحتوى غير مقبول هنا',
    },
  },
  'validation-failed': {
    status: 422,
    title: { en: 'Some fields are not valid', fa: 'برخی فیلدها معتبر نیستند', ar: 'بعض الحقول غير صالحة' },
  },
  'too-many-requests': {
    status: 429,
    title: {
      en: 'Too many requests at once',
      fa: 'شمار درخواست‌ها بیش از اندازه است',
      ar: 'عدد الطلبات أكبر من المسموح',
    },
  },
  'headers-too-large': {
    status: 431,
    title: { en: 'The headers are too large', fa: 'سرآیندها بیش از اندازه بزرگ‌اند', ar: 'الترويسات أكبر من اللازم' },
  },
  'internal-error': {
    status: 500,
    title: { en: 'Something went wrong on our side', fa: 'خطایی در سامانه رخ داد', ar: 'حدث خطأ في النظام' },
  },
  unavailable: {
    status: 503,
    title: {
      en: 'The service is not available at the moment',
      fa: 'سرویس اکنون در دسترس نیست',
      ar: 'الخدمة غير متاحة حاليًا',
    },
  },
});

export const PROBLEM_TYPE = 'application/problem+json';

/** The `type` of a problem: relative to the API's address, stable, meant to be compared and not opened. */
export const problemType = (code: string): string => `/problems/${code}`;

/** The body of an answer. */
export const problemBody = (problem: ProblemException, language: Language, traceId?: string): string => {
  const { kind, more } = problem;
  return JSON.stringify({
    type: problemType(kind.code),
    title: kind.title[language],
    status: kind.status,
    ...(more.detail !== undefined && { detail: more.detail }),
    ...more.extensions,
    ...(more.errors && { errors: more.errors }),
    ...(traceId !== undefined && { traceId }),
  });
};
