import { boolean, defineConfig, integer, oneOf, setting, type ConfigOf, type Parser } from '@vafa/service';
import { CALENDARS } from './domain/programme-calendar.js';
import { UNREFERENCED } from './domain/return-policy.js';

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

/** More than anybody can owe. */
const RETURN_DEBT_POINTS_MAX = 999_999_999_999_999;

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
  returnWindowDays: setting('VAFA_RETURN_WINDOW_DAYS', integer({ min: 1, max: 36_500 }), {
    default: null,
    description: 'days of 24 hours after a purchase within which a return needs no approval; without it none ever does',
  }),
  returnDebtMax: setting('VAFA_RETURN_DEBT_MAX_POINTS', integer({ min: 0, max: RETURN_DEBT_POINTS_MAX }), {
    default: RETURN_DEBT_POINTS_MAX,
    description: 'how far below zero a return may take a balance; what goes beyond is written off. 0: never below zero',
  }),
  returnOtherLots: setting('VAFA_RETURN_TAKES_OTHER_LOTS', boolean(), {
    default: true,
    description: 'whether a return whose own points are spent takes those of other purchases before it makes a debt',
  }),
  unreferencedReturns: setting('VAFA_UNREFERENCED_RETURNS', oneOf(...UNREFERENCED), {
    default: 'quarantine',
    description:
      'what is done with a return that names no purchase: a person decides, or it goes back over the latest purchases of its member',
  }),
});

export type PointsConfig = ConfigOf<typeof pointsConfig>;
