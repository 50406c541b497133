import { defineConfig, integer, oneOf, setting, type ConfigOf, type Parser } from '@vafa/service';
import { CALENDARS } from './domain/programme-calendar.js';

/** The name of a zone, and not an offset: those know no summer time. */
const timeZone: Parser<string> = {
  expected: 'an IANA time zone such as Asia/Tehran',
  parse(text) {
    try {
      return /^[A-Za-z]/.test(text)
        ? Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(text).timeZoneId
        : undefined;
    } catch {
      return undefined;
    }
  },
};

/** What points reads of the environment, besides what every service does. */
export const pointsConfig = defineConfig({
  cachedAccounts: setting('VAFA_POINTS_CACHED_ACCOUNTS', integer({ min: 100, max: 5_000_000 }), {
    default: 50_000,
    description: 'accounts that points keeps in memory between purchases; about 1 KB each',
  }),
  zone: setting('VAFA_ZONE', timeZone, {
    default: 'UTC',
    description: 'time zone that the days and months of statements and periods begin in',
  }),
  calendar: setting('VAFA_CALENDAR', oneOf(...CALENDARS), {
    default: 'gregorian',
    description: 'calendar whose months are the periods',
  }),
});

export type PointsConfig = ConfigOf<typeof pointsConfig>;
