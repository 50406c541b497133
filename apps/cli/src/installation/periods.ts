import { line, Refusal, UsageError, type Surroundings } from '../command.js';
import { Api, problemText, type ApiRequest } from './api.js';
import { credentials } from './credentials.js';
import { apiAddress } from './run-file.js';

const TIMEOUT_MS = 30_000;
const PERIOD = /^\d{4}-\d\d$/;

/** A closing of a period, as the API lists it. */
export type Closing = {
  readonly period: string;
  readonly start?: string | null;
  readonly end: string;
  readonly knownAt: string;
  readonly closedAt: string;
};

/** @throws UsageError unless the text may name a period. */
export const checkPeriod = (period: string): string => {
  if (PERIOD.test(period)) return period;
  throw new UsageError(`A period is a month such as 2026-10, or 1405-07 in a Persian calendar, not "${period}".`);
};

/** Asks for periods, as finance. @throws Refusal with the API's own words. */
export const askPeriods = async <Body>(
  surroundings: Surroundings,
  request: Pick<ApiRequest, 'method' | 'path'>,
): Promise<Body> => {
  const api = new Api({
    address: () => apiAddress(surroundings),
    credentials: credentials(surroundings, 'finance'),
    patienceMs: TIMEOUT_MS,
    onTrouble: (message) => line(surroundings.stderr, message),
    signal: surroundings.signal,
  });
  const answer = await api.request({ ...request, timeoutMs: TIMEOUT_MS });
  if (answer.status !== 200) throw new Refusal(`${problemText(answer.body)}.`.replace(/\.\.$/, '.'));
  return answer.body as Body;
};

/** Closes a period and every one before it, for good. Closing it again changes nothing. */
export const closePeriod = (surroundings: Surroundings, period: string): Promise<Closing> =>
  askPeriods<Closing>(surroundings, { method: 'POST', path: `/v1/periods/${checkPeriod(period)}/close` });

/** What a closing did, in a sentence. */
export const closingText = (asked: string, { period, knownAt }: Closing): string =>
  `${asked} is closed${period === asked ? '' : ` with ${period}`}, and every period before it: their statements know what was recorded until ${knownAt}.`;
