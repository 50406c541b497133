const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/;
// Beyond these, four-digit years in UTC and PostgreSQL's own text form no longer agree with each other, and no shop has receipts.
const EARLIEST = Temporal.Instant.from('1900-01-01T00:00:00Z').epochNanoseconds;
const LATEST = Temporal.Instant.from('9999-12-31T23:59:59.999999999Z').epochNanoseconds;

/**
 * Reads an RFC 3339 date and time with an offset or Z, between the years 1900 and 9999 in UTC; `undefined` for anything else.
 * A leap second (`:60`) is read as the second before it.
 */
export function parseInstant(text: string): Temporal.Instant | undefined {
  if (!RFC_3339.test(text)) return undefined;
  try {
    const instant = Temporal.Instant.from(text);
    const at = instant.epochNanoseconds;
    return at < EARLIEST || at > LATEST ? undefined : instant;
  } catch {
    return undefined; // A 30 February, an hour 25: right in form, not a time.
  }
}

const CANONICAL = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{0,5}[1-9])?Z$/;
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Whether a text is an instant in canonical form already, as most are: a tenth of the time that reading it takes. */
export function isCanonicalInstant(text: string): boolean {
  const match = CANONICAL.exec(text);
  if (match === null) return false;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const isLeapYear = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const days = (DAYS[month - 1] ?? 0) + (month === 2 && isLeapYear ? 1 : 0);
  return (
    year >= 1900 && day >= 1 && day <= days && Number(match[4]) < 24 && Number(match[5]) < 60 && Number(match[6]) < 60
  );
}

/** Whether `parseInstant` reads the text. */
export const isInstant = (text: string): boolean => isCanonicalInstant(text) || parseInstant(text) !== undefined;

/**
 * The canonical text of an instant: UTC with Z, microseconds at most (finer parts are cut off), no trailing zeros.
 * @throws RangeError where the text is not an instant that `parseInstant` reads.
 */
export function canonicalInstant(value: string | Temporal.Instant): string {
  if (typeof value === 'string' && isCanonicalInstant(value)) return value;
  const instant = typeof value === 'string' ? parseInstant(value) : value;
  if (instant === undefined)
    throw new RangeError('Not an RFC 3339 date and time with an offset between 1900 and 9999.');
  return instant.round({ smallestUnit: 'microsecond', roundingMode: 'floor' }).toString();
}
