import { Body, Controller, Get, HttpCode, Inject, Post, Query, Req, Res } from '@nestjs/common';
import {
  ApiBody,
  ApiHeader,
  ApiNotFoundResponse,
  ApiOkResponse,
  ApiOperation,
  ApiQuery,
  ApiResponse,
  ApiTags,
} from '@nestjs/swagger';
import { BATCH_EVENTS_MAX } from '@vafa/contracts';
import {
  Accepts,
  BATCH_BYTES_MAX,
  BodyLimit,
  CLOUD_EVENT_TYPE,
  CLOUD_EVENTS_BATCH_TYPE,
  CurrentPrincipal,
  JSON_TYPE,
  Permission,
  preferredLanguage,
  type Principal,
} from '@vafa/service';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Door } from '../application/door.js';
import { exponentOf, purchaseOf } from '../application/awards.js';
import { Register } from '../application/register.js';
import { evaluate, pointsOf, type Explanation } from '../domain/earning.js';
import { sentencesOf } from '../domain/explain.js';
import type { Programme } from '../domain/programme.js';
import { PROGRAMME } from '../points.tokens.js';
import { PurchaseReturns, type PurchaseReturn } from '../read-models/purchase-returns.js';
import {
  checkedData,
  checkedEvent,
  findOne,
  isBare,
  takeMany,
  takeOne,
  type Pending,
  type PublicOutcome,
} from './inputs.js';
import { moneyIn } from './money.js';
import { BATCH_RESULT, OUTCOME, PENDING, PREVIEW, PURCHASE_BODY, PURCHASE_EVENT, PURCHASE_FOUND } from './schemas.js';

const TYPE = 'commerce.purchase.completed';

/** Purchases in, one or many, and what became of them. */
@ApiTags('purchases')
@Controller('v1/purchases')
export class PurchasesController {
  constructor(
    @Inject(Door) private readonly door: Door,
    @Inject(Register) private readonly register: Register,
    @Inject(PurchaseReturns) private readonly returns: PurchaseReturns,
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
  ): Promise<PublicOutcome | Pending> {
    return takeOne(this.door, TYPE, body, { principal, request, reply });
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
  ): Promise<{ results: (PublicOutcome | Pending)[] }> {
    return takeMany(this.door, TYPE, body, { request, reply });
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
    const data = isBare(request, body) ? checkedData(TYPE, body) : checkedEvent(TYPE, body).data;
    const { currency } = data;
    const purchase = purchaseOf('', data, data.occurredAt);
    const explanation = evaluate(purchase, this.programme, exponentOf(currency));
    const language = preferredLanguage(request.headers['accept-language']);
    const sentences = sentencesOf(explanation, language, moneyIn(language, currency));
    return { points: pointsOf(explanation), explanation, sentences };
  }

  @Get()
  @Permission('purchases:read')
  @ApiOperation({ summary: 'What became of a purchase, and of its returns' })
  @ApiQuery({ name: 'source', required: true, description: 'Who sent it.' })
  @ApiQuery({ name: 'purchaseId', required: true, description: 'Its id within the source.' })
  @ApiOkResponse({ schema: PURCHASE_FOUND })
  @ApiNotFoundResponse({ description: 'Nothing came in under this source and id.' })
  async find(
    @Query('source') source: unknown,
    @Query('purchaseId') purchaseId: unknown,
    @CurrentPrincipal() principal: Principal,
  ): Promise<PublicOutcome & { returned: number; returns: readonly PurchaseReturn[] }> {
    const outcome = await findOne(this.register, { kind: 'purchase', source, id: purchaseId }, principal);
    return { ...outcome, ...(await this.returns.of(String(source), String(purchaseId))) };
  }
}
