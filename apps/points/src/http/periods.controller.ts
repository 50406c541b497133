import { Controller, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import { isCanonicalInstant } from '@vafa/contracts';
import {
  CurrentActor,
  decodeCursor,
  encodeCursor,
  Permission,
  PROBLEMS,
  ProblemException,
  type Actor,
} from '@vafa/service';
import { Periods, ReadModelsBehindError, type CloseResult } from '../application/periods.js';
import { periodNamed, type ProgrammeCalendar } from '../domain/programme-calendar.js';
import { PROGRAMME_CALENDAR } from '../points.tokens.js';
import { Closings, type Closing, type ListedClosing } from '../read-models/closings.js';
import { PAGE_SIZE_MAX } from '../read-models/queries.js';
import { pageSize, text } from './parameters.js';
import { POINTS_PROBLEMS } from './problems.js';
import { CLOSING, CLOSINGS } from './schemas.js';

const PERIOD = 'A month in the calendar of the programme: `2026-11`, or `1405-08` in a Persian one.';

/** The periods of the books: which are closed, and closing them. */
@ApiTags('periods')
@Controller('v1/periods')
export class PeriodsController {
  constructor(
    @Inject(Periods) private readonly periods: Periods,
    @Inject(Closings) private readonly closings: Closings,
    @Inject(PROGRAMME_CALENDAR) private readonly calendar: ProgrammeCalendar,
  ) {}

  @Get()
  @Permission('periods:read')
  @ApiOperation({ summary: 'The periods that are closed, the latest first' })
  @ApiQuery({ name: 'limit', required: false, schema: { type: 'integer', minimum: 1, maximum: PAGE_SIZE_MAX } })
  @ApiQuery({ name: 'after', required: false, description: '`next` of the page before.' })
  @ApiOkResponse({ schema: CLOSINGS })
  async listPeriods(
    @Query('limit') limit: unknown,
    @Query('after') after: unknown,
  ): Promise<ProgrammeCalendar & { items: ListedClosing[]; next: string | null }> {
    const size = pageSize(limit);
    const before = after === undefined ? null : decodeCursor(text('after', after), endOf);
    const rows = await this.closings.list(size + 1, before);
    const last = rows[size - 1];
    const next = rows.length > size && last ? encodeCursor(last.end) : null;
    return { ...this.calendar, items: rows.slice(0, size), next };
  }

  @Post(':period/close')
  @HttpCode(200)
  @Permission('periods:close')
  @ApiOperation({
    summary: 'Close a period, and every one before it',
    description:
      'Its statements never change from then on: what comes later for its time stands in the period that is open. There is no way back. Closing it again changes nothing.',
  })
  @ApiParam({ name: 'period', description: PERIOD })
  @ApiOkResponse({ schema: CLOSING })
  @ApiResponse({ status: 409, description: 'The period is not over.' })
  async closePeriod(@Param('period') name: string, @CurrentActor() actor: Actor): Promise<Closing> {
    const period = periodNamed(name, this.calendar);
    if (period === undefined)
      throw new ProblemException(PROBLEMS['invalid-parameter'], {
        errors: [
          {
            in: 'path',
            pointer: '/period',
            detail: `must be a month of the ${this.calendar.calendar} calendar, such as 2026-11 or 1405-08`,
          },
        ],
      });
    const result = await this.closed(() => this.periods.close(period, actor));
    if (result.status === 'closed') return result.closing;
    const { code, end } = result.rejection;
    throw new ProblemException(POINTS_PROBLEMS[code], {
      detail: `The period ${name} ends at ${end}.`,
      extensions: { end },
    });
  }

  private async closed(close: () => Promise<CloseResult>): Promise<CloseResult> {
    try {
      return await close();
    } catch (error) {
      if (!(error instanceof ReadModelsBehindError)) throw error;
      throw new ProblemException(PROBLEMS.unavailable, {
        detail: 'The closing is recorded, and counts once the read models have caught up: ask again.',
        headers: { 'retry-after': '5' },
        cause: error,
      });
    }
  }
}

const endOf = (place: unknown): string | undefined =>
  typeof place === 'string' && isCanonicalInstant(place) ? place : undefined;
