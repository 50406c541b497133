import { Body, Controller, Get, Headers, Inject, Param, Post, Res } from '@nestjs/common';
import {
  ApiBody,
  ApiConflictResponse,
  ApiCreatedResponse,
  ApiHeader,
  ApiNotFoundResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiProperty,
  ApiTags,
} from '@nestjs/swagger';
import {
  EXTERNAL_ID_LENGTH_MAX,
  isExternalId,
  parseInstant,
  parsePathReference,
  SOURCE_LENGTH_MAX,
} from '@vafa/contracts';
import type { Database } from '@vafa/persistence';
import {
  BodyLimit,
  CurrentActor,
  CurrentPrincipal,
  ensureReaches,
  fieldErrors,
  idempotencyKey,
  Permission,
  ProblemException,
  requiredIdempotencyKey,
  type Actor,
  type FieldError,
  type Principal,
} from '@vafa/service';
import { plainToInstance } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsIn,
  IsOptional,
  Matches,
  MaxLength,
  ValidateBy,
  validateSync,
} from 'class-validator';
import type { FastifyReply } from 'fastify';
import type { Member } from '../application/member.entity.js';
import { Enrolment, type Enrolled, type RequestKey } from '../application/enrolment.js';
import { findMember } from '../application/member-lookup.js';
import { BATCH_MEMBERS_MAX, MEMBER_STATUSES, type EnrolmentRequest } from '../domain/enrolment.js';
import { MEMBER_PROBLEMS } from './problems.js';

/** Under which the service's database is found. */
export const DATABASE = Symbol('database');

const BATCH_BYTES_MAX = 2 * 1024 * 1024;

const IsExternalId = (): PropertyDecorator =>
  ValidateBy({
    name: 'isExternalId',
    validator: {
      validate: (value: unknown) => typeof value === 'string' && isExternalId(value),
      defaultMessage: () =>
        `must be a text of 1 to ${String(EXTERNAL_ID_LENGTH_MAX)} characters, without control characters and without blanks at its ends`,
    },
  });

const IsInstant = (): PropertyDecorator =>
  ValidateBy({
    name: 'isInstant',
    validator: {
      validate: (value: unknown) => typeof value === 'string' && parseInstant(value) !== undefined,
      defaultMessage: () => 'must be a date and time of RFC 3339 with an offset or Z, between 1900 and 9999',
    },
  });

class EnrolmentBody {
  @IsOptional()
  @IsExternalId()
  @ApiProperty({
    type: String,
    required: false,
    nullable: true,
    maxLength: EXTERNAL_ID_LENGTH_MAX,
    description:
      "The shop's own id of the member, opaque: never an e-mail address or a phone number. The same one again is the same member.",
    example: '07592',
  })
  externalId?: string | null;

  @IsOptional()
  @IsInstant()
  @ApiProperty({
    type: String,
    required: false,
    nullable: true,
    format: 'date-time',
    description: 'When the member joined; kept to the millisecond. Now, where it is left out.',
  })
  enrolledAt?: string | null;

  @IsOptional()
  @Matches(/^[^\p{Cc}\p{Cs}]*$/u, { message: 'must be a text without control characters' })
  @MaxLength(SOURCE_LENGTH_MAX)
  @ApiProperty({
    type: String,
    required: false,
    nullable: true,
    maxLength: SOURCE_LENGTH_MAX,
    description: 'Where the member was enrolled: a shop, a campaign, an import.',
    example: 'shop-12',
  })
  source?: string | null;

  @IsOptional()
  @IsIn(['issue'], { message: 'must be "issue"' })
  @ApiProperty({
    type: String,
    required: false,
    nullable: true,
    enum: ['issue'],
    description: 'Issues a card: 16 digits, drawn at random, with a check digit.',
  })
  card?: 'issue' | null;
}

class EnrolmentBatchBody {
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(BATCH_MEMBERS_MAX)
  @ApiProperty({ type: () => [EnrolmentBody], minItems: 1, maxItems: BATCH_MEMBERS_MAX })
  members!: unknown[];
}

class MemberBody {
  @ApiProperty({ type: String, format: 'uuid' })
  memberId!: string;

  @ApiProperty({ type: String, nullable: true, description: "The shop's own id, as in `external:<id>`." })
  externalId!: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'The number of the card that this club issued, as in `card:<number>`.',
  })
  card!: string | null;

  @ApiProperty({ type: String, format: 'date-time' })
  enrolledAt!: string;

  @ApiProperty({ type: String, enum: [...MEMBER_STATUSES] })
  status!: string;
}

class FieldErrorBody {
  @ApiProperty({ type: String, description: 'JSON pointer within the entry.' })
  pointer!: string;

  @ApiProperty({ type: String })
  detail!: string;
}

class EnrolmentResultBody {
  @ApiProperty({
    type: String,
    enum: ['enrolled', 'known', 'rejected'],
    description:
      'enrolled: a new member; known: was one before, unchanged; rejected: the entry is not valid, and nothing came of it.',
  })
  status!: 'enrolled' | 'known' | 'rejected';

  @ApiProperty({ type: MemberBody, required: false })
  member?: MemberBody;

  @ApiProperty({ type: [FieldErrorBody], required: false })
  errors?: FieldErrorBody[];
}

class EnrolmentResultsBody {
  @ApiProperty({ type: [EnrolmentResultBody], description: 'In the order of the request.' })
  results!: EnrolmentResultBody[];
}

type RequestHeaders = Readonly<Record<string, string | string[] | undefined>>;

@ApiTags('members')
@Controller('v1/members')
export class MembersController {
  constructor(
    @Inject(Enrolment) private readonly enrolment: Enrolment,
    @Inject(DATABASE) private readonly database: Database,
  ) {}

  @Post()
  @Permission('members:enrol')
  @ApiOperation({
    summary: 'Enrols a member.',
    description:
      'The same `externalId` again gives the same member, unchanged, with 200. Without an `externalId` an `Idempotency-Key` is needed: the same key and body give ' +
      'the same member, the same key with another body is refused. Waiting purchases of the member are taken up.',
  })
  @ApiHeader({ name: 'Idempotency-Key', required: false, description: 'Needed where there is no `externalId`.' })
  @ApiCreatedResponse({ type: MemberBody })
  @ApiOkResponse({ type: MemberBody, description: 'Was enrolled before.' })
  @ApiConflictResponse({ description: 'The `Idempotency-Key` stood for another request.' })
  async enrolMember(
    @Body() body: EnrolmentBody,
    @Headers() headers: RequestHeaders,
    @CurrentActor() actor: Actor,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<MemberBody> {
    const request = requestOf(body);
    const [enrolled] = await this.enrol([request], requestKey([request], headers, actor), actor);
    if (enrolled === undefined) throw new Error('One enrolment has one outcome.');
    const { member, created } = enrolled;
    reply.status(created ? 201 : 200).header('location', `/v1/members/${member.memberId}`);
    return memberBody(member);
  }

  @Post('batch')
  @Permission('members:enrol')
  @BodyLimit(BATCH_BYTES_MAX)
  @ApiOperation({
    summary: `Enrols up to ${String(BATCH_MEMBERS_MAX)} members in one transaction.`,
    description:
      'Entries that are not valid are rejected one by one; the others are enrolled all together. An `Idempotency-Key` is needed where an entry has no `externalId`.',
  })
  @ApiHeader({ name: 'Idempotency-Key', required: false, description: 'Needed where an entry has no `externalId`.' })
  @ApiBody({ type: EnrolmentBatchBody })
  @ApiOkResponse({ type: EnrolmentResultsBody })
  @ApiConflictResponse({ description: 'The `Idempotency-Key` stood for another request.' })
  async enrolMembers(
    @Body() body: EnrolmentBatchBody,
    @Headers() headers: RequestHeaders,
    @CurrentActor() actor: Actor,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<EnrolmentResultsBody> {
    const entries = body.members.map(readEntry);
    const requests = entries.flatMap((entry) => ('request' in entry ? [entry.request] : []));
    const enrolled =
      requests.length === 0 ? [] : await this.enrol(requests, requestKey(requests, headers, actor), actor);
    const outcomes = enrolled.values();
    reply.status(200);
    return {
      results: entries.map((entry) =>
        'request' in entry ? resultBody(outcomes.next().value) : { status: 'rejected', errors: entry.errors },
      ),
    };
  }

  @Get(':ref')
  @Permission('members:read')
  @ApiOperation({ summary: 'Reads a member.', description: 'A member reads only their own.' })
  @ApiParam({
    name: 'ref',
    description:
      'An id, `card:<number>` or `external:<id>`. Never a phone number or an e-mail address: they do not belong into URLs.',
    example: 'external:07592',
  })
  @ApiOkResponse({ type: MemberBody })
  @ApiNotFoundResponse({ description: 'There is no such member.' })
  async readMember(@Param('ref') ref: string, @CurrentPrincipal() principal: Principal): Promise<MemberBody> {
    const reference = parsePathReference(ref);
    if (reference === undefined)
      throw new ProblemException(MEMBER_PROBLEMS['invalid-reference'], {
        errors: [{ in: 'path', pointer: '/ref', detail: 'must be a member id, card:<number> or external:<id>' }],
      });
    const member = await findMember(this.database, reference);
    // For somebody who reaches only their own data, another member and no member look alike.
    ensureReaches(principal, member?.memberId ?? '');
    if (member === null) throw new ProblemException(MEMBER_PROBLEMS['member-not-found']);
    return memberBody(member);
  }

  private async enrol(
    requests: readonly EnrolmentRequest[],
    key: RequestKey | null,
    actor: Actor,
  ): Promise<readonly Enrolled[]> {
    const outcome = await this.enrolment.enrol(requests, key, actor);
    if (!outcome.accepted) throw new ProblemException(MEMBER_PROBLEMS[outcome.rejection.code]);
    return outcome.enrolled;
  }
}

/** A natural key needs no other; whoever has none must bring one. */
function requestKey(
  requests: readonly EnrolmentRequest[],
  headers: RequestHeaders,
  { clientId }: Actor,
): RequestKey | null {
  const natural = requests.every(({ externalId }) => externalId !== null);
  const key = natural ? idempotencyKey(headers) : requiredIdempotencyKey(headers);
  return key === null ? null : { clientId, key };
}

type Entry = { readonly request: EnrolmentRequest } | { readonly errors: FieldError[] };

function readEntry(entry: unknown): Entry {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry))
    return { errors: [{ pointer: '', detail: 'must be an object' }] };
  const body = plainToInstance(EnrolmentBody, entry);
  const errors = validateSync(body, {
    whitelist: true,
    forbidNonWhitelisted: true,
    validationError: { target: false, value: false },
  });
  return errors.length > 0 ? { errors: fieldErrors(errors) } : { request: requestOf(body) };
}

const requestOf = (body: EnrolmentBody): EnrolmentRequest => ({
  externalId: body.externalId ?? null,
  enrolledAt: (typeof body.enrolledAt === 'string' ? parseInstant(body.enrolledAt) : null) ?? null,
  source: body.source ?? null,
  issueCard: body.card === 'issue',
});

const memberBody = ({ memberId, externalId, card, enrolledAt, status }: Member): MemberBody => ({
  memberId,
  externalId,
  card,
  enrolledAt: enrolledAt.toString(),
  status,
});

function resultBody(outcome: Enrolled | undefined): EnrolmentResultBody {
  if (outcome === undefined) throw new Error('Every entry has an outcome.');
  return { status: outcome.created ? 'enrolled' : 'known', member: memberBody(outcome.member) };
}
