import { Controller, Get, Inject, Param, Query, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiProduces, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import {
  CurrentPrincipal,
  Permission,
  preferredLanguage,
  ProblemException,
  type Clock,
  type Principal,
} from '@vafa/service';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { References } from '../application/references.js';
import { Statements, type Statement } from '../application/statements.js';
import { dayNamed, periodAt, periodNamed, type ProgrammeCalendar, type Span } from '../domain/programme-calendar.js';
import { CLOCK, PROGRAMME_CALENDAR } from '../points.tokens.js';
import { statementCsv } from '../statements/csv.js';
import { acceptedForm, type Form } from '../statements/form.js';
import { statementJson } from '../statements/json.js';
import { statementPdf } from '../statements/pdf/statement-pdf.js';
import { pathMember, REF } from './path-member.js';
import { parameterProblem, text } from './parameters.js';
import { POINTS_PROBLEMS } from './problems.js';
import { STATEMENT } from './schemas.js';
import { AS_OF, askedTimes, KNOWN_AT } from './times.js';

/** The longest range of a statement: ten years. */
const RANGE_DAYS_MAX = 3_660;

/** Movements of a statement at most. On paper fewer: setting a row costs milliseconds. */
const MOVEMENTS_MAX: Readonly<Record<Form, number>> = {
  'application/json': 5_000,
  'text/csv': 5_000,
  'application/pdf': 1_000,
};

type StatementQuery = Readonly<Record<'period' | 'from' | 'to' | 'asOf' | 'knownAt', unknown>>;
type Range = { readonly period: string | null; readonly span: Span };

/** Statements of a member's points. */
@ApiTags('points')
@Controller('v1/members/:ref/points/statement')
export class StatementController {
  constructor(
    @Inject(Statements) private readonly statements: Statements,
    @Inject(References) private readonly references: References,
    @Inject(PROGRAMME_CALENDAR) private readonly calendar: ProgrammeCalendar,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  @Get()
  @Permission('points:read')
  @ApiOperation({
    summary: 'A statement of points',
    description:
      'Of a period, or of a range of days; of the current period by default. As JSON, CSV or PDF by Accept, its words in the language of Accept-Language. The statement of a closed period never changes.',
  })
  @ApiParam(REF)
  @ApiQuery({ name: 'period', required: false, description: 'A month in the calendar of the programme: `2026-11`.' })
  @ApiQuery({
    name: 'from',
    required: false,
    description: 'The first day in the calendar of the programme: `2026-11-01`, or `1405-08-10` in a Persian one.',
  })
  @ApiQuery({ name: 'to', required: false, description: 'The last day, inclusive; today by default.' })
  @ApiQuery(AS_OF)
  @ApiQuery(KNOWN_AT)
  @ApiProduces('application/json', 'text/csv', 'application/pdf')
  @ApiResponse({
    status: 200,
    description: 'The statement.',
    content: {
      'application/json': { schema: STATEMENT },
      'text/csv': { schema: { type: 'string' } },
      'application/pdf': { schema: { type: 'string', format: 'binary' } },
    },
  })
  @ApiResponse({ status: 406, description: 'None of the accepted forms can be given.' })
  @ApiResponse({ status: 422, description: 'The range has more movements than a statement may have.' })
  async statement(
    @Param('ref') ref: string,
    @Query() query: StatementQuery,
    @CurrentPrincipal() principal: Principal,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const form = acceptedForm(request.headers.accept);
    const language = preferredLanguage(request.headers['accept-language']);
    const statement = await this.made(ref, query, principal, MOVEMENTS_MAX[form]);
    void reply.header('vary', 'accept, accept-language').header('cache-control', 'private, no-store');
    if (form === 'application/json') return void reply.send(statementJson(statement, this.calendar, language));
    const file = `statement-${statement.period ?? `${statement.from.date}-${statement.to.date}`}`;
    const [bytes, type, extension] =
      form === 'text/csv'
        ? [statementCsv(statement, language), 'text/csv; charset=utf-8; header=present', 'csv']
        : [await statementPdf(statement, this.calendar, language), form, 'pdf'];
    void reply
      .type(type)
      .header('content-language', language)
      .header('content-disposition', `attachment; filename="${file}.${extension}"`)
      .send(bytes);
  }

  private async made(ref: string, query: StatementQuery, principal: Principal, limit: number): Promise<Statement> {
    const { times } = askedTimes(query.asOf, query.knownAt, this.clock);
    const { period, span } = this.range(query);
    const now = Temporal.Instant.from(times.asOf);
    if (Temporal.Instant.compare(span.start, now) > 0)
      throw query.asOf === undefined
        ? parameterProblem(period === null ? 'from' : 'period', 'must not begin in the future')
        : parameterProblem('asOf', 'must not lie before the range');
    // The last microsecond: what counts from the end on belongs to what follows.
    const last = span.end.subtract({ microseconds: 1 });
    const asOf = Temporal.Instant.compare(now, last) < 0 ? now : last;
    const memberId = await pathMember(this.references, ref, principal);
    const result = await this.statements.make({ memberId, period, span, asOf, knownAt: times.knownAt, limit });
    if (result.status === 'made') return result.statement;
    throw new ProblemException(POINTS_PROBLEMS['statement-too-long'], {
      detail: `A statement in this form has ${limit} movements at most: ask for a shorter range.`,
      extensions: { limit },
    });
  }

  private range({ period, from, to }: StatementQuery): Range {
    if (period !== undefined && (from !== undefined || to !== undefined))
      throw parameterProblem('period', 'must not be given with from or to');
    if (from !== undefined || to !== undefined) return { period: null, span: this.days(from, to) };
    const found =
      period === undefined
        ? periodAt(this.clock.now(), this.calendar)
        : periodNamed(text('period', period), this.calendar);
    if (found === undefined)
      throw parameterProblem('period', `must be a month of the ${this.calendar.calendar} calendar: YYYY-MM`);
    return { period: found.name, span: found };
  }

  private days(from: unknown, to: unknown): Span {
    const first = this.day('from', from);
    const { start } = first;
    const end = to === undefined ? this.today().end : this.day('to', to).end;
    if (Temporal.Instant.compare(start, end) >= 0 && to !== undefined)
      throw parameterProblem('to', 'must not be before from');
    if (end.since(start).total('hours') > RANGE_DAYS_MAX * 24)
      throw parameterProblem('to', `must be ${RANGE_DAYS_MAX} days after from at most`);
    // A range that begins in the future is told so by whoever knows the time.
    return Temporal.Instant.compare(start, end) >= 0 ? first : { start, end };
  }

  private day(name: string, value: unknown): Span {
    const day = value === undefined ? undefined : dayNamed(text(name, value), this.calendar);
    if (day === undefined)
      throw parameterProblem(name, `must be a day of the ${this.calendar.calendar} calendar: YYYY-MM-DD`);
    return day;
  }

  private today(): Span {
    const now = this.clock.now().toZonedDateTimeISO(this.calendar.zone);
    return { start: now.startOfDay().toInstant(), end: now.add({ days: 1 }).startOfDay().toInstant() };
  }
}
