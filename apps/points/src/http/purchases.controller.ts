import { Body, Controller, Get, HttpCode, Inject, Post, Query, Req, Res } from '@nestjs/common';
import { ApiBody, ApiHeader, ApiOkResponse, ApiOperation, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import {
  BATCH_EVENTS_MAX,
  ERRORS_MAX,
  validateCloudEvent,
  validateData,
  type ContractError,
  type PurchaseCompleted,
  type PurchaseData,
} from '@vafa/contracts';
import {
  Accepts,
  BATCH_BYTES_MAX,
  BodyLimit,
  CLOUD_EVENT_TYPE,
  CLOUD_EVENTS_BATCH_TYPE,
  CurrentPrincipal,
  ensureReaches,
  JSON_TYPE,
  Permission,
  preferredLanguage,
  preferredWaitMs,
  PROBLEMS,
  ProblemException,
  requiredIdempotencyKey,
  type Principal,
} from '@vafa/service';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { PurchaseDoor, WAIT_MS_MAX } from '../application/door.js';
import { exponentOf, purchaseOf } from '../application/intake.js';
import type { Outcome } from '../application/outcomes.js';
import { PurchaseRegister } from '../application/register.js';
import { evaluate, pointsOf, type Explanation } from '../domain/earning.js';
import { sentencesOf } from '../domain/explain.js';
import type { Programme } from '../domain/programme.js';
import { PROGRAMME } from '../points.tokens.js';
import { moneyIn } from './money.js';
import { POINTS_PROBLEMS } from './problems.js';
import { BATCH_RESULT, OUTCOME, PENDING, PREVIEW, PURCHASE_BODY, PURCHASE_EVENT } from './schemas.js';

const TYPE = 'commerce.purchase.completed';

type Pending = { source: string; purchaseId: string; status: 'accepted'; location: string };

/** Purchases in, one or many, and what became of them. */
@ApiTags('purchases')
@Controller('v1/purchases')
export class PurchasesController {
  constructor(
    @Inject(PurchaseDoor) private readonly door: PurchaseDoor,
    @Inject(PurchaseRegister) private readonly register: PurchaseRegister,
    @Inject(PROGRAMME) private readonly programme: Programme,
  ) {}

  @Post()
  @Permission('purchases:write')
  @Accepts(CLOUD_EVENT_TYPE, JSON_TYPE)
  @HttpCode(202)
  @ApiOperation({
    summary: 'Take in a purchase',
    description:
      'A CloudEvent, or its bare data with an Idempotency-Key. The same purchase again gets the same answer; other content under the same id is a conflict.',
  })
  @ApiHeader({ name: 'Prefer', required: false, description: 'wait=<seconds>: answer with the outcome, 30 s at most.' })
  @ApiHeader({ name: 'Idempotency-Key', required: false, description: 'Needed with bare data.' })
  @ApiBody({ schema: PURCHASE_BODY })
  @ApiOkResponse({ description: 'The outcome.', schema: OUTCOME })
  @ApiResponse({ status: 202, description: 'It is safe; the outcome is still to come.', schema: PENDING })
  async take(
    @Body() body: unknown,
    @CurrentPrincipal() principal: Principal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Outcome | Pending> {
    const event = isBare(request, body) ? bareEvent(body, principal, request) : checkedEvent(body);
    refuseContact(event.data.member, '/data/member');
    const [outcome] = await this.door.take([event], preferredWaitMs(request.headers, WAIT_MS_MAX));
    if (!outcome) {
      const pending = pendingOf(event);
      void reply.header('location', pending.location);
      return pending;
    }
    if (outcome.status === 'conflict') throw conflict(outcome);
    void reply.status(200);
    return outcome;
  }

  @Post('batch')
  @Permission('purchases:write')
  @Accepts(CLOUD_EVENTS_BATCH_TYPE, JSON_TYPE)
  @BodyLimit(BATCH_BYTES_MAX)
  @HttpCode(202)
  @ApiOperation({
    summary: 'Take in many purchases',
    description: `Up to ${BATCH_EVENTS_MAX} CloudEvents. Where one is not valid, none is taken and the answer points at every fault.`,
  })
  @ApiHeader({
    name: 'Prefer',
    required: false,
    description: 'wait=<seconds>: answer with the outcomes, 30 s at most.',
  })
  @ApiBody({ schema: { type: 'array', minItems: 1, maxItems: BATCH_EVENTS_MAX, items: PURCHASE_EVENT } })
  @ApiOkResponse({ description: 'All outcomes, in the order sent.', schema: BATCH_RESULT })
  @ApiResponse({ status: 202, description: 'All are safe; some outcomes are still to come.', schema: BATCH_RESULT })
  async takeBatch(
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<{ results: (Outcome | Pending)[] }> {
    const events = checkedBatch(body);
    const outcomes = await this.door.take(events, preferredWaitMs(request.headers, WAIT_MS_MAX));
    if (outcomes.every((outcome) => outcome !== null)) void reply.status(200);
    return { results: outcomes.map((outcome, index) => outcome ?? pendingOf(events[index] as PurchaseCompleted)) };
  }

  @Post('preview')
  @Permission('purchases:preview')
  @Accepts(CLOUD_EVENT_TYPE, JSON_TYPE)
  @HttpCode(200)
  @ApiOperation({ summary: 'What a purchase would earn', description: 'Writes nothing.' })
  @ApiBody({ schema: PURCHASE_BODY })
  @ApiOkResponse({ schema: PREVIEW })
  preview(
    @Body() body: unknown,
    @Req() request: FastifyRequest,
  ): { points: number; explanation: Explanation; sentences: string[] } {
    const data = isBare(request, body) ? checkedData(body) : checkedEvent(body).data;
    const { currency } = data;
    const purchase = purchaseOf('', data, data.occurredAt);
    const explanation = evaluate(purchase, this.programme, exponentOf(currency));
    const language = preferredLanguage(request.headers['accept-language']);
    const sentences = sentencesOf(explanation, language, moneyIn(language, currency));
    return { points: pointsOf(explanation), explanation, sentences };
  }

  @Get()
  @Permission('purchases:read')
  @ApiOperation({ summary: 'What became of a purchase' })
  @ApiQuery({ name: 'source', required: true, description: 'Who sent it.' })
  @ApiQuery({ name: 'purchaseId', required: true, description: 'Its id within the source.' })
  @ApiOkResponse({ schema: OUTCOME })
  async find(
    @Query('source') source: unknown,
    @Query('purchaseId') purchaseId: unknown,
    @CurrentPrincipal() principal: Principal,
  ): Promise<Outcome> {
    const outcome = await this.register.find(parameter('source', source), parameter('purchaseId', purchaseId));
    if (principal.role === 'member') ensureReaches(principal, outcome?.memberId ?? '');
    if (outcome === undefined)
      throw new ProblemException(PROBLEMS['not-found'], { detail: 'No purchase came in under this source and id.' });
    return outcome;
  }
}

/** Bare data names no version of CloudEvents; a body sent as an event must be one. */
const isBare = (request: FastifyRequest, body: unknown): boolean =>
  request.headers['content-type']?.startsWith(CLOUD_EVENT_TYPE) !== true &&
  !(typeof body === 'object' && body !== null && 'specversion' in body);

const checkedEvent = (body: unknown): PurchaseCompleted => {
  const checked = checkEvent(body, '');
  if ('errors' in checked) throw invalid(checked.errors);
  return checked.event;
};

const checkedData = (body: unknown): PurchaseData => {
  const checked = validateData(TYPE, body, 'http');
  if (!checked.ok) throw invalid(checked.errors);
  return checked.data;
};

const bareEvent = (body: unknown, principal: Principal, request: FastifyRequest): PurchaseCompleted => {
  const id = requiredIdempotencyKey(request.headers);
  const data = checkedData(body);
  return { specversion: '1.0', id, source: principal.clientId, type: TYPE, data };
};

const checkedBatch = (body: unknown): PurchaseCompleted[] => {
  if (!Array.isArray(body) || body.length === 0 || body.length > BATCH_EVENTS_MAX)
    throw invalid([{ pointer: '', detail: `must be an array of 1 to ${BATCH_EVENTS_MAX} CloudEvents` }]);
  const errors: ContractError[] = [];
  const events: PurchaseCompleted[] = [];
  for (const [index, item] of body.entries()) {
    const checked = checkEvent(item, `/${index}`);
    if ('event' in checked) events.push(checked.event);
    else errors.push(...checked.errors);
    if (errors.length >= ERRORS_MAX) break;
  }
  if (errors.length > 0) throw invalid(errors.slice(0, ERRORS_MAX));
  events.forEach((event, index) => refuseContact(event.data.member, `/${index}/data/member`));
  return events;
};

const checkEvent = (
  value: unknown,
  at: string,
): { event: PurchaseCompleted } | { errors: readonly ContractError[] } => {
  const checked = validateCloudEvent(value, 'http');
  if (!checked.ok) return { errors: checked.errors.map((error) => ({ ...error, pointer: at + error.pointer })) };
  if (checked.event.type !== TYPE) return { errors: [{ pointer: `${at}/type`, detail: `must be ${TYPE} here` }] };
  return { event: checked.event };
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
    detail: 'Another content or member stands under this source and purchase id. Both are kept, and nothing changed.',
    extensions: { outcome },
  });

const pendingOf = ({ source, data: { purchaseId } }: PurchaseCompleted): Pending => ({
  source,
  purchaseId,
  status: 'accepted',
  location: `/v1/purchases?source=${encodeURIComponent(source)}&purchaseId=${encodeURIComponent(purchaseId)}`,
});

const PARAMETER_LENGTH_MAX = 256;

const parameter = (name: string, value: unknown): string => {
  if (typeof value === 'string' && value.length > 0 && value.length <= PARAMETER_LENGTH_MAX) return value;
  throw new ProblemException(PROBLEMS['invalid-parameter'], {
    errors: [
      { in: 'query', pointer: `/${name}`, detail: `must be given once, with 1 to ${PARAMETER_LENGTH_MAX} characters` },
    ],
  });
};
