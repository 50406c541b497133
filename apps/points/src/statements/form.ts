import { PROBLEMS, ProblemException } from '@vafa/service';

/** The forms of a statement, the one for callers that do not care first. */
export const FORMS = ['application/json', 'text/csv', 'application/pdf'] as const;
export type Form = (typeof FORMS)[number];

const RANGES_MAX = 20;

/**
 * The form that `Accept` asks for: the best by weight, JSON before CSV before PDF where they weigh the same.
 * @throws ProblemException 406 where none is accepted.
 */
export const acceptedForm = (header: string | undefined): Form => {
  if (header === undefined || header.trim() === '') return 'application/json';
  const ranges = header.split(',', RANGES_MAX).map(rangeOf);
  let best: { form: Form; weight: number } | undefined;
  for (const form of FORMS) {
    const weight = weightOf(form, ranges);
    if (weight > (best?.weight ?? 0)) best = { form, weight };
  }
  if (best === undefined)
    throw new ProblemException(PROBLEMS['not-acceptable'], { detail: `A statement comes as ${FORMS.join(', ')}.` });
  return best.form;
};

type Range = { readonly type: string; readonly weight: number };

const rangeOf = (text: string): Range => {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const q = parameters.map((parameter) => /^q=([\d.]+)$/.exec(parameter)?.[1]).find((value) => value !== undefined);
  return { type, weight: q === undefined ? 1 : Number(q) || 0 };
};

/** The most exact range that fits decides, as RFC 9110 says. */
const weightOf = (form: Form, ranges: readonly Range[]): number => {
  const wanted = [form, `${form.slice(0, form.indexOf('/'))}/*`, '*/*'];
  for (const type of wanted) {
    const range = ranges.find((one) => one.type === type);
    if (range !== undefined) return range.weight;
  }
  return 0;
};
