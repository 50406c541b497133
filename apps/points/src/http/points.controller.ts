import { Controller, Get, Inject, Param, Query, Req } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiQuery, ApiTags } from '@nestjs/swagger';
import { isCanonicalInstant, isUuid } from '@vafa/contracts';
import {
  CurrentPrincipal,
  decodeCursor,
  encodeCursor,
  Permission,
  preferredLanguage,
  ProblemException,
  type Clock,
  type Principal,
} from '@vafa/service';
import type { FastifyRequest } from 'fastify';
import { References } from '../application/references.js';
import type { MovementExplanation } from '../read-models/movements.js';
import {
  LedgerQueries,
  PAGE_SIZE_MAX,
  type Balance,
  type LotPlace,
  type LotRow,
  type Movement,
} from '../read-models/queries.js';
import { LedgerHistory, type PastState } from '../read-models/history.js';
import { CLOCK } from '../points.tokens.js';
import { pathMember, REF } from './path-member.js';
import { pageSize, text } from './parameters.js';
import { POINTS_PROBLEMS } from './problems.js';
import { sentencesOfMovement } from './sentences.js';
import { BALANCE, LOTS, MOVEMENT_EXPLANATION, MOVEMENTS } from './schemas.js';
import { AS_OF, askedTimes, KNOWN_AT, type Asked, type Times } from './times.js';

type Page<Item> = Times & { readonly items: readonly Item[]; readonly next: string | null };

/** What the ledger holds of a member. */
@ApiTags('points')
@Controller('v1/members/:ref/points')
export class PointsController {
  constructor(
    @Inject(LedgerQueries) private readonly ledger: LedgerQueries,
    @Inject(LedgerHistory) private readonly history: LedgerHistory,
    @Inject(References) private readonly references: References,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  @Get()
  @Permission('points:read')
  @ApiOperation({ summary: "A member's points" })
  @ApiParam(REF)
  @ApiQuery(AS_OF)
  @ApiQuery(KNOWN_AT)
  @ApiOkResponse({ schema: BALANCE })
  async balance(
    @Param('ref') ref: string,
    @Query('asOf') asOf: unknown,
    @Query('knownAt') knownAt: unknown,
    @CurrentPrincipal() principal: Principal,
  ): Promise<Balance & { expiring: readonly { amount: number; at: string }[] } & Times> {
    const asked = askedTimes(asOf, knownAt, this.clock);
    const memberId = await pathMember(this.references, ref, principal);
    const past = await this.past(memberId, asked);
    const [balance, expiring] = await (past === undefined
      ? Promise.all([this.ledger.balance(memberId), this.ledger.expiring(memberId)])
      : Promise.all([this.history.balance(past), this.history.expiring(past)]));
    return { ...balance, expiring, ...asked.times };
  }

  @Get('transactions')
  @Permission('points:read')
  @ApiOperation({ summary: "A member's movements, the latest first" })
  @ApiParam(REF)
  @ApiQuery({ name: 'limit', required: false, schema: { type: 'integer', minimum: 1, maximum: PAGE_SIZE_MAX } })
  @ApiQuery({ name: 'after', required: false, description: '`next` of the page before.' })
  @ApiQuery(AS_OF)
  @ApiQuery(KNOWN_AT)
  @ApiOkResponse({ schema: MOVEMENTS })
  async transactions(
    @Param('ref') ref: string,
    @Query('limit') limit: unknown,
    @Query('after') after: unknown,
    @Query('asOf') asOf: unknown,
    @Query('knownAt') knownAt: unknown,
    @CurrentPrincipal() principal: Principal,
  ): Promise<Page<Movement>> {
    const size = pageSize(limit);
    const place = after === undefined ? null : decodeCursor(text('after', after), revisionOf);
    const asked = askedTimes(asOf, knownAt, this.clock);
    const memberId = await pathMember(this.references, ref, principal);
    const past = await this.past(memberId, asked);
    const before = past === undefined ? place : Math.min(place ?? Infinity, past.revision + 1);
    const rows = await this.ledger.movements(memberId, size + 1, before);
    const items = rows.slice(0, size).map(({ revision: _revision, ...movement }) => movement);
    const last = rows[size - 1];
    return { items, next: rows.length > size && last ? encodeCursor(last.revision) : null, ...asked.times };
  }

  @Get('transactions/:id/explanation')
  @Permission('points:read')
  @ApiOperation({ summary: 'Why a movement has the points it has', description: 'In the language of Accept-Language.' })
  @ApiParam(REF)
  @ApiParam({ name: 'id', description: 'The transaction.' })
  @ApiQuery(AS_OF)
  @ApiQuery(KNOWN_AT)
  @ApiOkResponse({ schema: MOVEMENT_EXPLANATION })
  async explanation(
    @Param('ref') ref: string,
    @Param('id') id: string,
    @Query('asOf') asOf: unknown,
    @Query('knownAt') knownAt: unknown,
    @CurrentPrincipal() principal: Principal,
    @Req() request: FastifyRequest,
  ): Promise<{ transaction: Movement; sentences: string[]; explanation: MovementExplanation } & Times> {
    const asked = askedTimes(asOf, knownAt, this.clock);
    const memberId = await pathMember(this.references, ref, principal);
    const past = await this.past(memberId, asked);
    const found = isUuid(id) ? await this.ledger.movement(memberId, id) : undefined;
    if (found === undefined || found.movement.revision > (past?.revision ?? Infinity))
      throw new ProblemException(POINTS_PROBLEMS['unknown-transaction']);
    const { movement, explanation } = found;
    const { revision: _revision, ...transaction } = movement;
    const sentences = sentencesOfMovement(explanation, preferredLanguage(request.headers['accept-language']));
    return { transaction, sentences, explanation, ...asked.times };
  }

  @Get('lots')
  @Permission('points:read')
  @ApiOperation({ summary: "A member's lots, in the order in which they are spent" })
  @ApiParam(REF)
  @ApiQuery({ name: 'limit', required: false, schema: { type: 'integer', minimum: 1, maximum: PAGE_SIZE_MAX } })
  @ApiQuery({ name: 'after', required: false, description: '`next` of the page before.' })
  @ApiQuery(AS_OF)
  @ApiQuery(KNOWN_AT)
  @ApiOkResponse({ schema: LOTS })
  async lots(
    @Param('ref') ref: string,
    @Query('limit') limit: unknown,
    @Query('after') after: unknown,
    @Query('asOf') asOf: unknown,
    @Query('knownAt') knownAt: unknown,
    @CurrentPrincipal() principal: Principal,
  ): Promise<Page<LotRow>> {
    const size = pageSize(limit);
    const place = after === undefined ? null : decodeCursor(text('after', after), lotPlaceOf);
    const asked = askedTimes(asOf, knownAt, this.clock);
    const memberId = await pathMember(this.references, ref, principal);
    const past = await this.past(memberId, asked);
    const rows = await (past === undefined
      ? this.ledger.lots(memberId, size + 1, place)
      : this.history.lots(past, size + 1, place));
    const last = rows[size - 1];
    const next = rows.length > size && last ? encodeCursor([last.lotId, last.availableAt, last.expiresAt]) : null;
    return { items: rows.slice(0, size), next, ...asked.times };
  }

  /** The account as it was; `undefined` for the present, which is read as it stands. */
  private past(memberId: string, { moment }: Asked): Promise<PastState> | undefined {
    return moment && this.history.stateAt(memberId, moment);
  }
}

const revisionOf = (place: unknown): number | undefined =>
  typeof place === 'number' && Number.isSafeInteger(place) && place >= 0 && place <= 2_147_483_647 ? place : undefined;

const lotPlaceOf = (place: unknown): LotPlace | undefined => {
  if (!Array.isArray(place) || place.length !== 3) return undefined;
  const [lotId, availableAt, expiresAt] = place as unknown[];
  if (typeof lotId !== 'string' || !isUuid(lotId) || !isInstant(availableAt)) return undefined;
  return expiresAt === null || isInstant(expiresAt) ? { lotId, availableAt, expiresAt } : undefined;
};

const isInstant = (value: unknown): value is string => typeof value === 'string' && isCanonicalInstant(value);
