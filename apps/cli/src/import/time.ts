import { nameOf } from '../errors.js';
import { latinDigits } from './decimal.js';
import type { TimeFormat, TimeSpec } from './map-types.js';

const TOKENS: Readonly<Record<string, string>> = {
  yyyy: '(?<year>\\d{4})',
  MM: '(?<month>\\d{2})',
  M: '(?<month>\\d{1,2})',
  dd: '(?<day>\\d{2})',
  d: '(?<day>\\d{1,2})',
  HH: '(?<hour>\\d{2})',
  H: '(?<hour>\\d{1,2})',
  mm: '(?<minute>\\d{2})',
  ss: '(?<second>\\d{2})',
  SSS: '(?<millisecond>\\d{3})',
};

/** Reads `iso`, `epoch-seconds`, `epoch-milliseconds` or a pattern such as `dd/MM/yyyy HH:mm`. */
export const parseTimeFormat = (source: string): TimeFormat | { readonly error: string } => {
  if (source === 'iso') return { kind: 'iso' };
  if (source === 'epoch-seconds') return { kind: 'epoch', perSecond: 1 };
  if (source === 'epoch-milliseconds') return { kind: 'epoch', perSecond: 1000 };
  const used: string[] = [];
  const pattern = source.replace(/([A-Za-z])\1*|[^A-Za-z]+/g, (piece) => {
    const token = TOKENS[piece];
    if (token !== undefined) used.push(piece);
    return (
      token ??
      (/[A-Za-z]/.test(piece) && piece !== 'T' ? `\u0000${piece}` : piece.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    );
  });
  const unknown = /\u0000([A-Za-z]+)/.exec(pattern)?.[1];
  const known = Object.keys(TOKENS).join(', ');
  if (unknown !== undefined)
    return {
      error: `"${unknown}" in "${source}" is no part of a date: iso, epoch-seconds, epoch-milliseconds, or a pattern of ${known}`,
    };
  if (
    !used.includes('yyyy') ||
    !used.some((part) => part.startsWith('M')) ||
    !used.some((part) => part.startsWith('d'))
  )
    return { error: `"${source}" needs a year, a month and a day (yyyy, MM, dd)` };
  return { kind: 'pattern', pattern: new RegExp(`^${pattern}$`), source };
};

const HAS_OFFSET = /(?:Z|[+-]\d{2}:?\d{2})(?:\[.*\])?$/i;
const DATE_ALONE = /^[+-]?\d{4,6}-\d{2}-\d{2}$/;

const fromIso = (text: string, spec: TimeSpec): Temporal.Instant => {
  if (text.length > 10 && HAS_OFFSET.test(text)) return Temporal.Instant.from(text);
  const local = DATE_ALONE.test(text) ? `${text}T${spec.at}` : text;
  const plain = Temporal.PlainDateTime.from(local.replace(' ', 'T'), { overflow: 'reject' });
  return plain.toZonedDateTime(spec.zone).toInstant();
};

const fromPattern = (text: string, pattern: RegExp, spec: TimeSpec): Temporal.Instant | undefined => {
  const groups = pattern.exec(text)?.groups;
  if (groups === undefined) return undefined;
  const part = (name: string): number => Number(groups[name] ?? '0');
  const date = Temporal.PlainDate.from(
    { year: part('year'), month: part('month'), day: part('day'), calendar: spec.calendar },
    { overflow: 'reject' },
  );
  const clock =
    groups['hour'] === undefined
      ? Temporal.PlainTime.from(spec.at)
      : Temporal.PlainTime.from(
          { hour: part('hour'), minute: part('minute'), second: part('second'), millisecond: part('millisecond') },
          { overflow: 'reject' },
        );
  return date.toPlainDateTime(clock).toZonedDateTime(spec.zone).toInstant();
};

const expected = (spec: TimeSpec): string => {
  if (spec.format.kind === 'iso') return 'an ISO 8601 date such as 2026-11-21T10:15:00Z';
  return spec.format.kind === 'epoch'
    ? 'a number of (milli)seconds since 1970'
    : `a date written ${spec.format.source}`;
};

/**
 * The moment that a cell names, as a canonical UTC string, or what is wrong with it.
 * An hour that a change to summer time left out is read as the hour after it; one that came twice as the first.
 */
export const readInstant = (
  cell: string,
  spec: TimeSpec,
): { readonly instant: string } | { readonly error: string } => {
  const text = latinDigits(cell).trim();
  try {
    const instant = instantOf(text, spec);
    if (instant !== undefined) return { instant: instant.toString() };
  } catch (error) {
    if (!['RangeError', 'TypeError'].includes(nameOf(error))) throw error;
  }
  return { error: `"${cell.slice(0, 60)}" is not ${expected(spec)}` };
};

const instantOf = (text: string, spec: TimeSpec): Temporal.Instant | undefined => {
  switch (spec.format.kind) {
    case 'iso':
      return fromIso(text, spec);
    case 'epoch':
      if (!/^-?\d{1,14}$/.test(text)) return undefined;
      return Temporal.Instant.fromEpochMilliseconds(Number(text) * (1000 / spec.format.perSecond));
    case 'pattern':
      return fromPattern(text, spec.format.pattern, spec);
  }
};
