import { Refusal } from '../command.js';
import { problemErrors, problemText, type Api } from '../installation/api.js';

export type Enrolment = {
  readonly externalId: string;
  readonly enrolledAt?: string;
  readonly source?: string;
  readonly card?: 'issue';
};

/** `enrolled`: new; `known`: was a member before; `rejected`: the club would not take it. */
export type EnrolmentOutcome =
  | { readonly status: 'enrolled' }
  | { readonly status: 'known' }
  | { readonly status: 'rejected'; readonly reason: string; readonly pointer?: string };

export const MEMBERS_PER_REQUEST = 500;
const REQUEST_TIMEOUT_MS = 60_000;
const PATH = '/v1/members/batch';

/** Enrols members, up to `MEMBERS_PER_REQUEST` at once; the outcomes stand in the order of the members. */
export const sendMembers = async (api: Api, members: readonly Enrolment[]): Promise<EnrolmentOutcome[]> => {
  const answer = await api.request({
    method: 'POST',
    path: PATH,
    body: JSON.stringify({ members }),
    timeoutMs: REQUEST_TIMEOUT_MS,
  });
  if (answer.status === 200 || answer.status === 201) return outcomesOf(answer.body, members.length);
  if (answer.status >= 500)
    throw new Refusal(`The service failed (HTTP ${answer.status}): ${problemText(answer.body)}`);
  return refused(api, members, answer.status, answer.body);
};

const outcomesOf = (body: unknown, expected: number): EnrolmentOutcome[] => {
  const results: unknown = typeof body === 'object' && body !== null && 'results' in body ? body.results : body;
  if (!Array.isArray(results) || results.length !== expected)
    throw new Refusal(`The service did not answer ${expected} enrolments with as many results.`);
  return results.map(outcomeOf);
};

const outcomeOf = (result: unknown): EnrolmentOutcome => {
  const status = typeof result === 'object' && result !== null && 'status' in result ? result.status : undefined;
  if (status === 'enrolled' || status === 'known') return { status };
  const [error] = problemErrors(result);
  return rejected(error?.detail ?? 'refused without a reason', error?.pointer);
};

const rejected = (reason: string, pointer?: string): EnrolmentOutcome => ({
  status: 'rejected',
  reason,
  ...(pointer === undefined ? {} : { pointer }),
});

/** The request as a whole was refused: the members at fault are put aside, the others sent again. */
const refused = async (
  api: Api,
  members: readonly Enrolment[],
  status: number,
  body: unknown,
): Promise<EnrolmentOutcome[]> => {
  const faults = new Map<number, EnrolmentOutcome>();
  for (const { pointer, detail } of problemErrors(body)) {
    const match = /^\/members\/(\d+)(\/.*)?$/.exec(pointer);
    const index = Number(match?.[1] ?? -1);
    if (index >= 0 && index < members.length && !faults.has(index))
      faults.set(index, rejected(detail, match?.[2] ?? ''));
  }
  if (faults.size === 0 && members.length === 1) return [rejected(`HTTP ${status}: ${problemText(body)}`)];
  if (faults.size === 0) {
    const half = Math.ceil(members.length / 2);
    return [...(await sendMembers(api, members.slice(0, half))), ...(await sendMembers(api, members.slice(half)))];
  }
  const rest = members.filter((_, index) => !faults.has(index));
  const outcomes = rest.length === 0 ? [] : await sendMembers(api, rest);
  return members.map((_, index) => faults.get(index) ?? outcomes.shift() ?? { status: 'known' });
};
