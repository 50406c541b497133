import {
  BATCH_EVENTS_MAX,
  ERRORS_MAX,
  EVENT_BYTES_MAX,
  naturalKey,
  validateCloudEvent,
  validateData,
  type CloudEvent,
  type ContractError,
  type EventDataOf,
  type InboundCloudEvent,
  type InboundEventType,
} from '@vafa/contracts';
import {
  actorOf,
  CLOUD_EVENT_TYPE,
  ensureReaches,
  preferredWaitMs,
  PROBLEMS,
  ProblemException,
  requiredIdempotencyKey,
  type Principal,
} from '@vafa/service';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ClaimKey, ClaimKind } from '../application/claims.js';
import { EventTooLargeError, WAIT_MS_MAX, type Door } from '../application/door.js';
import type { Outcome } from '../application/outcomes.js';
import type { Register } from '../application/register.js';
import { POINTS_PROBLEMS } from './problems.js';

/** Where each kind is read, and what its id is called there. */
const PLACES = {
  purchase: { path: '/v1/purchases', id: 'purchaseId' },
  return: { path: '/v1/returns', id: 'returnId' },
  activity: { path: '/v1/activities', id: 'activityId' },
} as const satisfies Record<ClaimKind, { path: string; id: string }>;

/** An outcome as callers see it: its id under the name that it has in the data. */
export type PublicOutcome = Omit<Outcome, 'kind' | 'naturalId'> & {
  readonly [Id in (typeof PLACES)[ClaimKind]['id']]?: string;
};
export type Pending = {
  readonly source: string;
  readonly status: 'accepted';
  readonly location: string;
  readonly [id: string]: string;
};

/** The id of an input under the name that it has in its data. */
export const idOf = ({ kind, naturalId }: ClaimKey): Readonly<Record<string, string>> => ({
  [PLACES[kind].id]: naturalId,
});

export const publicOutcome = ({ kind, source, naturalId, ...outcome }: Outcome): PublicOutcome => ({
  source,
  ...idOf({ kind, source, naturalId }),
  ...outcome,
});

/** Takes one input in, an event or its bare data, and answers with its outcome where that is waited for and comes. */
export const takeOne = async <T extends InboundEventType>(
  door: Door,
  type: T,
  body: unknown,
  caller: { readonly principal: Principal; readonly request: FastifyRequest; readonly reply: FastifyReply },
): Promise<PublicOutcome | Pending> => {
  const { principal, request, reply } = caller;
  const event = isBare(request, body) ? bareEvent(type, body, principal, request) : checkedEvent(type, body);
  refuseContact(event.data.member, '/data/member');
  const [outcome] = await take(door, [event], request, () => '');
  if (!outcome) {
    const pending = pendingOf(event);
    void reply.header('location', pending.location);
    return pending;
  }
  if (outcome.status === 'conflict') throw conflict(outcome);
  void reply.status(200);
  return publicOutcome(outcome);
};

/** Takes a batch of events in, all or none, and answers in their order. */
export const takeMany = async <T extends InboundEventType>(
  door: Door,
  type: T,
  body: unknown,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
): Promise<{ results: (PublicOutcome | Pending)[] }> => {
  const events = checkedBatch(type, body);
  const outcomes = await take(door, events, request, (index) => `/${index}`);
  if (outcomes.every((outcome) => outcome !== null)) void reply.status(200);
  return {
    results: outcomes.map((outcome, index) =>
      outcome === null ? pendingOf(events[index] as InboundCloudEvent) : publicOutcome(outcome),
    ),
  };
};

const take = async (
  door: Door,
  events: readonly InboundCloudEvent[],
  request: FastifyRequest,
  pointerOf: (index: number) => string,
): Promise<(Outcome | null)[]> => {
  try {
    return await door.take(events, preferredWaitMs(request.headers, WAIT_MS_MAX), actorOf(request));
  } catch (error) {
    if (!(error instanceof EventTooLargeError)) throw error;
    const { index, bytes } = error;
    throw invalid([
      { pointer: pointerOf(index), detail: `has ${bytes} bytes as an event, at most ${EVENT_BYTES_MAX} are taken` },
    ]);
  }
};

/** What became of the input under this key. A member learns of his own only. */
export const findOne = async (
  register: Register,
  key: { readonly kind: ClaimKind; readonly source: unknown; readonly id: unknown },
  principal: Principal,
): Promise<PublicOutcome> => {
  const { kind } = key;
  const outcome = await register.find({
    kind,
    source: parameter('source', key.source),
    naturalId: parameter(PLACES[kind].id, key.id),
  });
  if (principal.role === 'member') ensureReaches(principal, outcome?.memberId ?? '');
  if (outcome !== undefined) return publicOutcome(outcome);
  throw new ProblemException(PROBLEMS['not-found'], { detail: `No ${kind} came in under this source and id.` });
};

/** Bare data names no version of CloudEvents; a body sent as an event must be one. */
export const isBare = (request: FastifyRequest, body: unknown): boolean =>
  request.headers['content-type']?.startsWith(CLOUD_EVENT_TYPE) !== true &&
  !(typeof body === 'object' && body !== null && 'specversion' in body);

export const checkedEvent = <T extends InboundEventType>(type: T, body: unknown): EventOf<T> => {
  const checked = checkEvent(type, body, '');
  if ('errors' in checked) throw invalid(checked.errors);
  return checked.event;
};

export const checkedData = <T extends InboundEventType>(type: T, body: unknown): EventDataOf<T> => {
  const checked = validateData(type, body, 'http');
  if (!checked.ok) throw invalid(checked.errors);
  return checked.data;
};

type EventOf<T extends InboundEventType> = Extract<InboundCloudEvent, CloudEvent<T, unknown>>;

const bareEvent = <T extends InboundEventType>(
  type: T,
  body: unknown,
  principal: Principal,
  request: FastifyRequest,
): EventOf<T> => {
  const id = requiredIdempotencyKey(request.headers);
  const data = checkedData(type, body);
  // The compiler does not see that data of a type makes an event of that type.
  return { specversion: '1.0', id, source: principal.clientId, type, data } as unknown as EventOf<T>;
};

const checkedBatch = <T extends InboundEventType>(type: T, body: unknown): EventOf<T>[] => {
  if (!Array.isArray(body) || body.length === 0 || body.length > BATCH_EVENTS_MAX)
    throw invalid([{ pointer: '', detail: `must be an array of 1 to ${BATCH_EVENTS_MAX} CloudEvents` }]);
  const errors: ContractError[] = [];
  const events: EventOf<T>[] = [];
  for (const [index, item] of body.entries()) {
    const checked = checkEvent(type, item, `/${index}`);
    if ('event' in checked) events.push(checked.event);
    else errors.push(...checked.errors);
    if (errors.length >= ERRORS_MAX) break;
  }
  if (errors.length > 0) throw invalid(errors.slice(0, ERRORS_MAX));
  events.forEach((event, index) => refuseContact(event.data.member, `/${index}/data/member`));
  return events;
};

const checkEvent = <T extends InboundEventType>(
  type: T,
  value: unknown,
  at: string,
): { event: EventOf<T> } | { errors: readonly ContractError[] } => {
  const checked = validateCloudEvent(value, 'http');
  if (!checked.ok) return { errors: checked.errors.map((error) => ({ ...error, pointer: at + error.pointer })) };
  if (checked.event.type !== type) return { errors: [{ pointer: `${at}/type`, detail: `must be ${type} here` }] };
  return { event: checked.event as EventOf<T> };
};

/** Members have no phone and no e-mail yet, so nobody is behind one. */
const refuseContact = (member: string | null, pointer: string): void => {
  if (member?.startsWith('phone:') || member?.startsWith('email:'))
    throw new ProblemException(POINTS_PROBLEMS['unknown-contact'], {
      detail: 'Nobody is known by this phone or e-mail. Send the purchase with member null to record it as anonymous.',
      errors: [{ pointer, detail: 'is not known' }],
    });
};

const invalid = (errors: readonly ContractError[]): ProblemException =>
  new ProblemException(PROBLEMS['validation-failed'], { errors });

const conflict = (outcome: Outcome): ProblemException =>
  new ProblemException(POINTS_PROBLEMS['content-conflict'], {
    detail: `Another content or member stands under this source and ${outcome.kind} id. Both are kept, and nothing changed.`,
    extensions: { outcome: publicOutcome(outcome) },
  });

const pendingOf = (event: InboundCloudEvent): Pending => {
  const { kind, source, id } = naturalKey(event);
  const place = PLACES[kind];
  const location = `${place.path}?source=${encodeURIComponent(source)}&${place.id}=${encodeURIComponent(id)}`;
  return { source, [place.id]: id, status: 'accepted', location };
};

const PARAMETER_LENGTH_MAX = 256;

const parameter = (name: string, value: unknown): string => {
  if (typeof value === 'string' && value.length > 0 && value.length <= PARAMETER_LENGTH_MAX) return value;
  throw new ProblemException(PROBLEMS['invalid-parameter'], {
    errors: [
      { in: 'query', pointer: `/${name}`, detail: `must be given once, with 1 to ${PARAMETER_LENGTH_MAX} characters` },
    ],
  });
};
