import { Body, Controller, Inject, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { CurrentPrincipal, type Principal } from '@vafa/service';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Door } from '../application/door.js';
import { Register } from '../application/register.js';
import { findOne, takeMany, takeOne, type Pending, type PublicOutcome } from './inputs.js';
import { FindsOne, TakesMany, TakesOne, type InputRoutes } from './input-routes.js';
import { ACTIVITY_BATCH_RESULT, ACTIVITY_BODY, ACTIVITY_EVENT, ACTIVITY_OUTCOME, ACTIVITY_PENDING } from './schemas.js';

const TYPE = 'commerce.activity.performed';

const ROUTES: InputRoutes = {
  one: 'an activity',
  many: 'activities',
  id: 'activityId',
  note: '',
  write: 'activities:write',
  read: 'activities:read',
  body: ACTIVITY_BODY,
  event: ACTIVITY_EVENT,
  outcome: ACTIVITY_OUTCOME,
  pending: ACTIVITY_PENDING,
  batch: ACTIVITY_BATCH_RESULT,
  found: ACTIVITY_OUTCOME,
};

/** Activities in, one or many, and what became of them. */
@ApiTags('activities')
@Controller('v1/activities')
export class ActivitiesController {
  constructor(
    @Inject(Door) private readonly door: Door,
    @Inject(Register) private readonly register: Register,
  ) {}

  @TakesOne(ROUTES)
  takeActivity(
    @Body() body: unknown,
    @CurrentPrincipal() principal: Principal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PublicOutcome | Pending> {
    return takeOne(this.door, TYPE, body, { principal, request, reply });
  }

  @TakesMany(ROUTES)
  takeActivities(
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<{ results: (PublicOutcome | Pending)[] }> {
    return takeMany(this.door, TYPE, body, { request, reply });
  }

  @FindsOne(ROUTES)
  findActivity(
    @Query('source') source: unknown,
    @Query('activityId') activityId: unknown,
    @CurrentPrincipal() principal: Principal,
  ): Promise<PublicOutcome> {
    return findOne(this.register, { kind: 'activity', source, id: activityId }, principal);
  }
}
