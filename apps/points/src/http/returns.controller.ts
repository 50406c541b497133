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
  type Principal,
} from '@vafa/service';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Door } from '../application/door.js';
import { Register } from '../application/register.js';
import { findOne, takeMany, takeOne, type Pending, type PublicOutcome } from './inputs.js';
import { RETURN_BATCH_RESULT, RETURN_BODY, RETURN_EVENT, RETURN_OUTCOME, RETURN_PENDING } from './schemas.js';

const TYPE = 'commerce.purchase.returned';

/** Returns in, one or many, and what became of them. */
@ApiTags('returns')
@Controller('v1/returns')
export class ReturnsController {
  constructor(
    @Inject(Door) private readonly door: Door,
    @Inject(Register) private readonly register: Register,
  ) {}

  @Post()
  @Permission('returns:write')
  @Accepts(CLOUD_EVENT_TYPE, JSON_TYPE)
  @HttpCode(202)
  @ApiOperation({
    summary: 'Take in a return',
    description:
      'A CloudEvent, or its bare data with an Idempotency-Key. It may come before its purchase. The same return again gets the same answer; other content under the same id is a conflict.',
  })
  @ApiHeader({ name: 'Prefer', required: false, description: 'wait=<seconds>: answer with the outcome, 30 s at most.' })
  @ApiHeader({ name: 'Idempotency-Key', required: false, description: 'Needed with bare data.' })
  @ApiBody({ schema: RETURN_BODY })
  @ApiOkResponse({ description: 'The outcome.', schema: RETURN_OUTCOME })
  @ApiResponse({ status: 202, description: 'It is safe; the outcome is still to come.', schema: RETURN_PENDING })
  takeReturn(
    @Body() body: unknown,
    @CurrentPrincipal() principal: Principal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PublicOutcome | Pending> {
    return takeOne(this.door, TYPE, body, { principal, request, reply });
  }

  @Post('batch')
  @Permission('returns:write')
  @Accepts(CLOUD_EVENTS_BATCH_TYPE, JSON_TYPE)
  @BodyLimit(BATCH_BYTES_MAX)
  @HttpCode(202)
  @ApiOperation({
    summary: 'Take in many returns',
    description: `Up to ${BATCH_EVENTS_MAX} CloudEvents. Where one is not valid, none is taken and the answer points at every fault.`,
  })
  @ApiHeader({
    name: 'Prefer',
    required: false,
    description: 'wait=<seconds>: answer with the outcomes, 30 s at most.',
  })
  @ApiBody({ schema: { type: 'array', minItems: 1, maxItems: BATCH_EVENTS_MAX, items: RETURN_EVENT } })
  @ApiOkResponse({ description: 'All outcomes, in the order sent.', schema: RETURN_BATCH_RESULT })
  @ApiResponse({
    status: 202,
    description: 'All are safe; some outcomes are still to come.',
    schema: RETURN_BATCH_RESULT,
  })
  takeReturns(
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<{ results: (PublicOutcome | Pending)[] }> {
    return takeMany(this.door, TYPE, body, { request, reply });
  }

  @Get()
  @Permission('returns:read')
  @ApiOperation({ summary: 'What became of a return' })
  @ApiQuery({ name: 'source', required: true, description: 'Who sent it.' })
  @ApiQuery({ name: 'returnId', required: true, description: 'Its id within the source.' })
  @ApiOkResponse({ schema: RETURN_OUTCOME })
  @ApiNotFoundResponse({ description: 'Nothing came in under this source and id.' })
  findReturn(
    @Query('source') source: unknown,
    @Query('returnId') returnId: unknown,
    @CurrentPrincipal() principal: Principal,
  ): Promise<PublicOutcome> {
    return findOne(this.register, { kind: 'return', source, id: returnId }, principal);
  }
}
