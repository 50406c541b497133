import { Body, Controller, Inject, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { CurrentPrincipal, type Principal } from '@vafa/service';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Door } from '../application/door.js';
import { Register } from '../application/register.js';
import { findOne, takeMany, takeOne, type Pending, type PublicOutcome } from './inputs.js';
import { FindsOne, TakesMany, TakesOne, type InputRoutes } from './input-routes.js';
import { RETURN_BATCH_RESULT, RETURN_BODY, RETURN_EVENT, RETURN_OUTCOME, RETURN_PENDING } from './schemas.js';

const TYPE = 'commerce.purchase.returned';

const ROUTES: InputRoutes = {
  one: 'a return',
  many: 'returns',
  id: 'returnId',
  note: 'It may come before its purchase. ',
  write: 'returns:write',
  read: 'returns:read',
  body: RETURN_BODY,
  event: RETURN_EVENT,
  outcome: RETURN_OUTCOME,
  pending: RETURN_PENDING,
  batch: RETURN_BATCH_RESULT,
  found: RETURN_OUTCOME,
};

/** Returns in, one or many, and what became of them. */
@ApiTags('returns')
@Controller('v1/returns')
export class ReturnsController {
  constructor(
    @Inject(Door) private readonly door: Door,
    @Inject(Register) private readonly register: Register,
  ) {}

  @TakesOne(ROUTES)
  takeReturn(
    @Body() body: unknown,
    @CurrentPrincipal() principal: Principal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PublicOutcome | Pending> {
    return takeOne(this.door, TYPE, body, { principal, request, reply });
  }

  @TakesMany(ROUTES)
  takeReturns(
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<{ results: (PublicOutcome | Pending)[] }> {
    return takeMany(this.door, TYPE, body, { request, reply });
  }

  @FindsOne(ROUTES)
  findReturn(
    @Query('source') source: unknown,
    @Query('returnId') returnId: unknown,
    @CurrentPrincipal() principal: Principal,
  ): Promise<PublicOutcome> {
    return findOne(this.register, { kind: 'return', source, id: returnId }, principal);
  }
}
