/** The calendars that a programme may count its months in. Hijri is the Umm al-Qura calendar of Mecca, which is a table and no estimate. */
export const CALENDARS = ['gregorian', 'persian', 'islamic-umalqura'] as const;
export type Calendar = (typeof CALENDARS)[number];

/** Where the programme's days begin (an IANA zone), and what its months are. */
export type ProgrammeCalendar = { readonly zone: string; readonly calendar: Calendar };

/** A stretch of time: `start` is in it, `end` is not. */
export type Span = { readonly start: Temporal.Instant; readonly end: Temporal.Instant };

/** A month of the programme. Its name is its year and month there: `2026-11`, or `1405-08` in a Persian one. */
export type Period = Span & { readonly name: string };

const CALENDAR_IDS: Readonly<Record<Calendar, string>> = {
  gregorian: 'gregory',
  persian: 'persian',
  'islamic-umalqura': 'islamic-umalqura',
};

const PERIOD = /^(\d{4})-(\d\d)$/;
const DAY = /^(\d{4})-(\d\d)-(\d\d)$/;

/** The month of that name; `undefined` for a text that names none. */
export const periodNamed = (name: string, programme: ProgrammeCalendar): Period | undefined => {
  const [, year, month] = PERIOD.exec(name) ?? [];
  const first = year === undefined ? undefined : dayAt(Number(year), Number(month), 1, programme);
  return first && periodOf(first, programme);
};

/** The month that an instant falls into. */
export const periodAt = (instant: Temporal.Instant, programme: ProgrammeCalendar): Period =>
  periodOf(dateAt(instant, programme).with({ day: 1 }), programme);

/** The day of that name in the programme's calendar, from its first moment to the next day's; `undefined` for a text that names none. */
export const dayNamed = (name: string, programme: ProgrammeCalendar): Span | undefined => {
  const [, year, month, day] = DAY.exec(name) ?? [];
  const date = year === undefined ? undefined : dayAt(Number(year), Number(month), Number(day), programme);
  return date && { start: startOf(date, programme), end: startOf(date.add({ days: 1 }), programme) };
};

/** The date of an instant in the programme's zone and calendar. */
export const dateAt = (instant: Temporal.Instant, { zone, calendar }: ProgrammeCalendar): Temporal.PlainDate =>
  instant.toZonedDateTimeISO(zone).toPlainDate().withCalendar(CALENDAR_IDS[calendar]);

/** A date as its calendar counts it, in digits: `1405-09-01`. */
export const dateName = (date: Temporal.PlainDate): string =>
  `${pad(date.year, 4)}-${pad(date.month, 2)}-${pad(date.day, 2)}`;

const periodOf = (first: Temporal.PlainDate, programme: ProgrammeCalendar): Period => ({
  name: `${pad(first.year, 4)}-${pad(first.month, 2)}`,
  start: startOf(first, programme),
  end: startOf(first.add({ months: 1 }), programme),
});

/** A day begins with its first moment, which is not midnight where the clocks go forward at midnight. */
const startOf = (date: Temporal.PlainDate, { zone }: ProgrammeCalendar): Temporal.Instant =>
  date.withCalendar('iso8601').toZonedDateTime(zone).toInstant();

const dayAt = (
  year: number,
  month: number,
  day: number,
  { calendar }: ProgrammeCalendar,
): Temporal.PlainDate | undefined => {
  try {
    const date = Temporal.PlainDate.from(
      { calendar: CALENDAR_IDS[calendar], year, month, day },
      { overflow: 'reject' },
    );
    // Beyond these, instants have no text that every part of the ledger reads.
    const { year: gregorian } = date.withCalendar('iso8601');
    return gregorian < 1900 || gregorian > 9998 ? undefined : date;
  } catch {
    return undefined; // A month 13, a 31 Esfand.
  }
};

const pad = (value: number, digits: number): string => String(value).padStart(digits, '0');
