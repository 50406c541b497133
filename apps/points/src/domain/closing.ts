import { accept, reject, type Decision } from '@vafa/event-sourcing';
import { compareInstants } from './instant.js';

/**
 * A period was closed, and every one before it that was not. Stored in the one stream of the periods, version 1: the place of this event in the
 * log is what divides what a closed period knows from what comes later.
 */
export type PeriodClosed = {
  readonly type: 'PeriodClosed';
  readonly data: {
    /** Its name in the calendar that the programme had. */
    readonly period: string;
    /** Its end, which is no longer part of it. */
    readonly end: string;
    readonly zone: string;
    readonly calendar: string;
  };
};

export type ClosePeriod = PeriodClosed['data'] & {
  /** Business time. */
  readonly now: string;
};

/** A month that is not over cannot be closed. */
export type ClosingRejection = { readonly code: 'period-not-over'; readonly end: string };

/**
 * Closes a period, or finds that it is: closing one closes all before it, so that the end of the last one closed, `closedUntil`, is all that there is to
 * know of the others (`null`: none).
 */
export const closePeriod = (
  { now, ...closing }: ClosePeriod,
  closedUntil: string | null,
): Decision<PeriodClosed, ClosingRejection> => {
  if (closedUntil !== null && compareInstants(closing.end, closedUntil) <= 0) return accept();
  if (compareInstants(closing.end, now) > 0) return reject({ code: 'period-not-over', end: closing.end });
  return accept({ type: 'PeriodClosed', data: closing });
};
