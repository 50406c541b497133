import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  CALENDARS,
  dateAt,
  dateName,
  dayNamed,
  periodAt,
  periodNamed,
  type ProgrammeCalendar,
} from './programme-calendar.js';

const TEHRAN: ProgrammeCalendar = { zone: 'Asia/Tehran', calendar: 'persian' };
const RIYADH: ProgrammeCalendar = { zone: 'Asia/Riyadh', calendar: 'islamic-umalqura' };
const BERLIN: ProgrammeCalendar = { zone: 'Europe/Berlin', calendar: 'gregorian' };

const spanOf = (name: string, programme: ProgrammeCalendar): string[] => {
  const period = periodNamed(name, programme);
  return period === undefined ? [] : [period.start.toString(), period.end.toString()];
};

describe('a month of the programme', () => {
  it('begins and ends with the days of its zone', () => {
    expect(spanOf('2026-03', BERLIN)).toEqual(['2026-02-28T23:00:00Z', '2026-03-31T22:00:00Z']);
    expect(spanOf('2026-03', { zone: 'UTC', calendar: 'gregorian' })).toEqual([
      '2026-03-01T00:00:00Z',
      '2026-04-01T00:00:00Z',
    ]);
  });

  it('is counted in the calendar of the programme', () => {
    // Farvardin has 31 days and begins with Nowruz; Esfand 1403 had 30, for the year was a leap year.
    expect(spanOf('1405-01', TEHRAN)).toEqual(['2026-03-20T20:30:00Z', '2026-04-20T20:30:00Z']);
    expect(spanOf('1403-12', TEHRAN)).toEqual(['2025-02-18T20:30:00Z', '2025-03-20T20:30:00Z']);
    // Ramadan 1447 began on 18 February 2026 by the table of Umm al-Qura.
    expect(spanOf('1447-09', RIYADH)[0]).toBe('2026-02-17T21:00:00Z');
  });

  it('has a name that names a month, or is none', () => {
    for (const name of ['2026-13', '2026-00', '2026-1', '26-01', '2026-01-01', '', '1405-01'])
      expect(periodNamed(name, BERLIN)).toBeUndefined();
  });

  it('follows the one before without a gap, in every calendar', () => {
    const instants = fc.integer({ min: 0, max: 4_000_000_000 });
    const zones = fc.constantFrom('UTC', 'Asia/Tehran', 'America/Sao_Paulo', 'Pacific/Apia', 'Europe/Berlin');
    fc.assert(
      fc.property(instants, zones, fc.constantFrom(...CALENDARS), (second, zone, calendar) => {
        const programme = { zone, calendar };
        const instant = Temporal.Instant.fromEpochMilliseconds(second * 1_000);
        const period = periodAt(instant, programme);
        expect(Temporal.Instant.compare(period.start, instant)).toBeLessThanOrEqual(0);
        expect(Temporal.Instant.compare(instant, period.end)).toBeLessThan(0);
        expect(periodAt(period.end, programme).start.toString()).toBe(period.end.toString());
        expect(periodNamed(period.name, programme)).toEqual(period);
      }),
    );
  });
});

describe('a day of the programme', () => {
  it('is read in its calendar, and has 23 hours where the clocks go forward', () => {
    const day = dayNamed('2026-03-29', BERLIN);
    expect(day?.end.since(day.start).total('hours')).toBe(23);
    expect(dayNamed('1405-01-01', TEHRAN)?.start.toString()).toBe('2026-03-20T20:30:00Z');
    expect(dayNamed('1404-12-30', TEHRAN)).toBeUndefined();
    expect(dayNamed('2026-02-30', BERLIN)).toBeUndefined();
  });

  it('is written as it is read', () => {
    expect(dateName(dateAt(Temporal.Instant.from('2026-03-20T20:30:00Z'), TEHRAN))).toBe('1405-01-01');
    expect(dateName(dateAt(Temporal.Instant.from('2026-03-20T20:29:59Z'), TEHRAN))).toBe('1404-12-29');
  });
});
