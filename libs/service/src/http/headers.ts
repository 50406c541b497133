import { PROBLEMS, ProblemException, type Language } from './problems.js';

type Headers = Readonly<Record<string, string | string[] | undefined>>;

const headerOf = (headers: Headers, name: string): string | undefined => {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
};

const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

/**
 * The `Idempotency-Key` of a request, with or without quotes; null where there is none.
 * @throws ProblemException 400 for one that is not 1 to 255 visible ASCII characters.
 */
export const idempotencyKey = (headers: Headers): string | null => {
  const given = headerOf(headers, 'idempotency-key')?.trim();
  if (given === undefined) return null;
  const key = /^"(.*)"$/.exec(given)?.[1] ?? given;
  if (IDEMPOTENCY_KEY.test(key)) return key;
  throw new ProblemException(PROBLEMS['invalid-parameter'], {
    errors: [{ in: 'header', pointer: '/idempotency-key', detail: 'must be 1 to 255 visible ASCII characters' }],
  });
};

/** The same, where it must be there. @throws ProblemException 400 otherwise. */
export const requiredIdempotencyKey = (headers: Headers): string => {
  const key = idempotencyKey(headers);
  if (key === null) throw new ProblemException(PROBLEMS['idempotency-key-missing']);
  return key;
};

/** How long the caller would wait for the outcome (`Prefer: wait=<seconds>`), in milliseconds and at most `maxMs`; 0 where it would not. */
export const preferredWaitMs = (headers: Headers, maxMs: number): number => {
  const preferences = headerOf(headers, 'prefer')?.split(',') ?? [];
  for (const preference of preferences) {
    // A preference that makes no sense is ignored, as RFC 7240 says.
    const seconds = /^\s*wait\s*=\s*"?(\d{1,9})"?\s*(;|$)/i.exec(preference)?.[1];
    if (seconds !== undefined) return Math.min(Number(seconds) * 1_000, maxMs);
  }
  return 0;
};

const LANGUAGES: ReadonlySet<string> = new Set<Language>(['en', 'fa', 'ar']);

/** The language of `Accept-Language` that we speak and the caller likes most; English where there is none. */
export const preferredLanguage = (header: string | undefined): Language => {
  if (header === undefined || header === '*') return 'en';
  let best: Language = 'en';
  let bestQuality = 0;
  for (const part of header.split(',', 20)) {
    const [range = '', ...parameters] = part.split(';');
    const language = range.trim().toLowerCase().split('-')[0] ?? '';
    const quality = qualityOf(parameters);
    if (quality > bestQuality && LANGUAGES.has(language)) [best, bestQuality] = [language as Language, quality];
  }
  return best;
};

const qualityOf = (parameters: readonly string[]): number => {
  const q = parameters.map((parameter) => /^\s*q=(.*)$/i.exec(parameter)?.[1]).find((value) => value !== undefined);
  return q === undefined ? 1 : Number(q) || 0;
};
