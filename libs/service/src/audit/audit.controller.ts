import { Controller, Get, Inject, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProperty, ApiPropertyOptional, ApiTags } from '@nestjs/swagger';
import { isInstant } from '@vafa/contracts';
import { Type } from 'class-transformer';
import { IsIn, IsInt, IsOptional, IsString, Matches, Max, MaxLength, Min, ValidateBy } from 'class-validator';
import { Permission } from '../auth/access.js';
import { ROLES } from '../auth/permissions.js';
import { decodeCursor, encodeCursor } from '../http/cursor.js';
import { AUDIT_ACTIONS } from './actions.js';
import { AUDIT_PAGE_SIZE_MAX, Audit } from './audit.js';

const PAGE_SIZE_DEFAULT = 100;
const FILTER_LENGTH_MAX = 1_024;
const ACTIONS = Object.keys(AUDIT_ACTIONS);
const ACTOR_ROLES = [...ROLES, 'operator'];

const IsInstant = (): PropertyDecorator =>
  ValidateBy({
    name: 'isInstant',
    validator: {
      validate: (value: unknown) => typeof value === 'string' && isInstant(value),
      defaultMessage: () => 'must be a date and time of RFC 3339 with an offset or Z, between 1900 and 9999',
    },
  });

class AuditQuery {
  @IsOptional()
  @IsIn(ACTIONS)
  @ApiPropertyOptional({ type: String, enum: ACTIONS, description: 'What was done.' })
  action?: string;

  @IsOptional()
  @MaxLength(FILTER_LENGTH_MAX)
  @Matches(/^[^\p{Cc}\p{Cs}]*$/u, { message: 'must be a text without control characters' })
  @ApiPropertyOptional({ type: String, maxLength: FILTER_LENGTH_MAX, description: 'What it was done to.' })
  subject?: string;

  @IsOptional()
  @MaxLength(FILTER_LENGTH_MAX)
  @Matches(/^[^\p{Cc}\p{Cs}]*$/u, { message: 'must be a text without control characters' })
  @ApiPropertyOptional({ type: String, maxLength: FILTER_LENGTH_MAX, description: "Who did it: the token's subject." })
  actor?: string;

  @IsOptional()
  @IsIn(ACTOR_ROLES)
  @ApiPropertyOptional({ type: String, enum: ACTOR_ROLES })
  role?: string;

  @IsOptional()
  @IsInstant()
  @ApiPropertyOptional({ type: String, format: 'date-time', description: 'From this instant on.' })
  from?: string;

  @IsOptional()
  @IsInstant()
  @ApiPropertyOptional({ type: String, format: 'date-time', description: 'Before this instant.' })
  to?: string;

  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(AUDIT_PAGE_SIZE_MAX)
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: AUDIT_PAGE_SIZE_MAX, default: PAGE_SIZE_DEFAULT })
  limit: number = PAGE_SIZE_DEFAULT;

  @IsOptional()
  @IsString()
  @ApiPropertyOptional({ type: String, description: '`next` of the page before.' })
  after?: string;
}

class ActorBody {
  @ApiProperty({ type: String, description: "The token's subject, or the operator's login." })
  subject!: string;

  @ApiProperty({ type: String, enum: ACTOR_ROLES })
  role!: string;

  @ApiProperty({ type: String, description: 'The program that was used.' })
  clientId!: string;

  @ApiProperty({ type: String, nullable: true, description: 'The request, as in `x-request-id` and the log.' })
  requestId!: string | null;
}

class AuditEntryBody {
  @ApiProperty({ type: 'integer', format: 'int64' })
  id!: number;

  @ApiProperty({ type: String, format: 'date-time', description: 'System time.' })
  recordedAt!: string;

  @ApiProperty({ type: ActorBody })
  actor!: ActorBody;

  @ApiProperty({ type: String, description: 'The service that carried it out, or `cli`.' })
  service!: string;

  @ApiProperty({ type: String, description: 'What was done.', example: 'members.enrolled' })
  action!: string;

  @ApiProperty({ type: String, description: 'What it was done to: `<kind>:<id>`.' })
  subject!: string;

  @ApiProperty({ type: String, nullable: true, description: "Why, in the actor's words." })
  reason!: string | null;

  @ApiProperty({ type: 'object', additionalProperties: true })
  details!: Readonly<Record<string, unknown>>;
}

class AuditPageBody {
  @ApiProperty({ type: [AuditEntryBody] })
  items!: readonly AuditEntryBody[];

  @ApiProperty({ type: String, nullable: true, description: 'For `after` of the next page; null on the last one.' })
  next!: string | null;
}

/** What staff did. One service of the installation serves it for all. */
@ApiTags('audit')
@Controller('v1/audit')
export class AuditController {
  constructor(@Inject(Audit) private readonly audit: Audit) {}

  @Get()
  @Permission('audit:read')
  @ApiOperation({ summary: 'What staff did, the latest first', description: 'Entries are added, and never changed.' })
  @ApiOkResponse({ type: AuditPageBody })
  async listAudit(@Query() { after, limit, ...filter }: AuditQuery): Promise<AuditPageBody> {
    const before = after === undefined ? undefined : decodeCursor(after, entryId);
    const { entries, next } = await this.audit.list({ ...filter, before, limit });
    return { items: entries, next: next === null ? null : encodeCursor(next) };
  }
}

const entryId = (place: unknown): number | undefined =>
  typeof place === 'number' && Number.isSafeInteger(place) && place > 0 ? place : undefined;
