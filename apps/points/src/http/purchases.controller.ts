import { Body, Controller, HttpCode, Inject, Post, Query, Req, Res } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import {
  Accepts,
  CLOUD_EVENT_TYPE,
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
import { FindsOne, TakesMany, TakesOne, type InputRoutes } from './input-routes.js';
import { moneyIn } from './money.js';
import { BATCH_RESULT, OUTCOME, PENDING, PREVIEW, PURCHASE_BODY, PURCHASE_EVENT, PURCHASE_FOUND } from './schemas.js';

const TYPE = 'commerce.purchase.completed';

const ROUTES: InputRoutes = {
  one: 'a purchase',
  many: 'purchases',
  id: 'purchaseId',
  note: '',
  write: 'purchases:write',
  read: 'purchases:read',
  body: PURCHASE_BODY,
  event: PURCHASE_EVENT,
  outcome: OUTCOME,
  pending: PENDING,
  batch: BATCH_RESULT,
  found: PURCHASE_FOUND,
};

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

  @TakesOne(ROUTES)
  async take(
    @Body() body: unknown,
    @CurrentPrincipal() principal: Principal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PublicOutcome | Pending> {
    return takeOne(this.door, TYPE, body, { principal, request, reply });
  }

  @TakesMany(ROUTES)
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

  @FindsOne(ROUTES, 'What became of a purchase, and of its returns')
  async find(
    @Query('source') source: unknown,
    @Query('purchaseId') purchaseId: unknown,
    @CurrentPrincipal() principal: Principal,
  ): Promise<PublicOutcome & { returned: number; returns: readonly PurchaseReturn[] }> {
    const outcome = await findOne(this.register, { kind: 'purchase', source, id: purchaseId }, principal);
    return { ...outcome, ...(await this.returns.of(String(source), String(purchaseId))) };
  }
}
