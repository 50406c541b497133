import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiPropertyOptional, ApiTags } from '@nestjs/swagger';
import {
  canonicalReference,
  isUuid,
  MEMBER_REFERENCE_PATTERN,
  NATURAL_ID_LENGTH_MAX,
  SOURCE_LENGTH_MAX,
} from '@vafa/contracts';
import { assertNever } from '@vafa/event-sourcing';
import {
  CurrentActor,
  decodeCursor,
  encodeCursor,
  IsReason,
  Permission,
  PROBLEMS,
  ProblemException,
  type Actor,
} from '@vafa/service';
import { Type } from 'class-transformer';
import { IsIn, IsInt, IsOptional, IsString, Matches, Max, MaxLength, Min } from 'class-validator';
import { CLAIM_KINDS, type ClaimKind } from '../application/claims.js';
import { Inbox, type InboxRejection } from '../application/inbox.js';
import { InboxReader, type InboxView } from '../application/inbox-reader.js';
import { INBOX_STATUSES, type InboxAction, type InboxStatus } from '../domain/inbox.js';
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX } from '../read-models/queries.js';
import { publicItem, publicSettlement, publicView, type PublicItem, type PublicView } from './inbox-forms.js';
import { POINTS_PROBLEMS } from './problems.js';
import { INBOX_PAGE, INBOX_VIEW } from './schemas.js';

class InboxQuery {
  @IsOptional()
  @IsIn(CLAIM_KINDS)
  @ApiPropertyOptional({ type: String, enum: CLAIM_KINDS })
  kind?: ClaimKind;

  @IsOptional()
  @IsIn(INBOX_STATUSES)
  @ApiPropertyOptional({ type: String, enum: INBOX_STATUSES })
  status?: InboxStatus;

  @IsOptional()
  @MaxLength(NATURAL_ID_LENGTH_MAX)
  @Matches(/^[a-z-]+$/, { message: 'must be a code such as unknown-member' })
  @ApiPropertyOptional({ type: String, description: 'Why it is there.', example: 'unknown-member' })
  reason?: string;

  @IsOptional()
  @MaxLength(SOURCE_LENGTH_MAX)
  @Matches(/^[^\p{Cc}\p{Cs}]+$/u, { message: 'must be a text without control characters' })
  @ApiPropertyOptional({ type: String, maxLength: SOURCE_LENGTH_MAX, description: 'Who sent it.' })
  source?: string;

  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(PAGE_SIZE_MAX)
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: PAGE_SIZE_MAX, default: PAGE_SIZE_DEFAULT })
  limit: number = PAGE_SIZE_DEFAULT;

  @IsOptional()
  @IsString()
  @ApiPropertyOptional({ type: String, description: '`next` of the page before.' })
  after?: string;
}

class ReasonBody {
  @IsReason()
  reason!: string;
}

class AttachBody extends ReasonBody {
  @IsOptional()
  @Matches(new RegExp(MEMBER_REFERENCE_PATTERN, 'u'), {
    message: 'must be member:<id>, card:<number> or external:<id>',
  })
  @ApiPropertyOptional({
    type: String,
    nullable: true,
    description: 'Whom a purchase or an activity is given to.',
    example: 'external:07592',
  })
  member?: string | null;

  @IsOptional()
  @Matches(new RegExp(`^[^\\p{Cc}\\p{Cs}]{1,${NATURAL_ID_LENGTH_MAX}}$`, 'u'), {
    message: `must be a text of 1 to ${NATURAL_ID_LENGTH_MAX} characters`,
  })
  @ApiPropertyOptional({
    type: String,
    nullable: true,
    maxLength: NATURAL_ID_LENGTH_MAX,
    description: 'The purchase that a return is of, by its id within the same source.',
  })
  purchaseId?: string | null;
}

const ID = { name: 'id', description: 'The item, as the list names it.' };

/** What only a person can settle: inputs that wait, that conflict, that are quarantined. */
@ApiTags('inbox')
@Controller('v1/inbox')
export class InboxController {
  constructor(
    @Inject(Inbox) private readonly inbox: Inbox,
    @Inject(InboxReader) private readonly reader: InboxReader,
  ) {}

  @Get()
  @Permission('inbox:read')
  @ApiOperation({ summary: 'What is to be settled, in the order in which it came' })
  @ApiOkResponse({ schema: INBOX_PAGE })
  async listInbox(
    @Query() { after, limit, ...filter }: InboxQuery,
  ): Promise<{ items: PublicItem[]; next: string | null }> {
    const from = after === undefined ? null : decodeCursor(after, itemIdOf);
    const found = await this.reader.list(filter, limit + 1, from);
    const items = found.slice(0, limit);
    const last = items.at(-1);
    return { items: items.map(publicItem), next: found.length > limit && last ? encodeCursor(last.itemId) : null };
  }

  @Get(':id')
  @Permission('inbox:read')
  @ApiOperation({
    summary: 'One item: its content, what it conflicts with, what can be done about it, and how it was settled',
  })
  @ApiParam(ID)
  @ApiOkResponse({ schema: INBOX_VIEW })
  async showItem(@Param('id') id: string): Promise<PublicView> {
    return publicView(await this.view(id));
  }

  @Post(':id/keep')
  @Permission('inbox:settle')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Closes a conflict: what stands stays',
    description: 'The other content is kept, and never counts.',
  })
  @ApiParam(ID)
  @ApiOkResponse({ schema: INBOX_VIEW })
  keepItem(@Param('id') id: string, @Body() body: ReasonBody, @CurrentActor() actor: Actor): Promise<PublicView> {
    return this.settle(id, 'keep', body, actor);
  }

  @Post(':id/replace')
  @Permission('inbox:settle')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Closes a conflict: the other content counts instead of what stands',
    description:
      'Points end as if only the other content had been sent. It counts under an id of its own, which the answer names; returns of either id find it. A return cannot be replaced: discard the one that stands if it waits or is quarantined, keep here, and send what is right as a return with an id of its own.',
  })
  @ApiParam(ID)
  @ApiOkResponse({ schema: INBOX_VIEW })
  replaceItem(@Param('id') id: string, @Body() body: ReasonBody, @CurrentActor() actor: Actor): Promise<PublicView> {
    return this.settle(id, 'replace', body, actor);
  }

  @Post(':id/attach')
  @Permission('inbox:settle')
  @HttpCode(200)
  @ApiOperation({ summary: 'Gives what waits to the member, or a return to the purchase, it belongs to' })
  @ApiParam(ID)
  @ApiOkResponse({ schema: INBOX_VIEW })
  attachItem(@Param('id') id: string, @Body() body: AttachBody, @CurrentActor() actor: Actor): Promise<PublicView> {
    return this.settle(id, 'attach', body, actor);
  }

  @Post(':id/approve')
  @Permission('inbox:settle')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Takes what is quarantined',
    description: 'A return outside the window; or one that names no purchase, over the latest purchases of its member.',
  })
  @ApiParam(ID)
  @ApiOkResponse({ schema: INBOX_VIEW })
  approveItem(@Param('id') id: string, @Body() body: ReasonBody, @CurrentActor() actor: Actor): Promise<PublicView> {
    return this.settle(id, 'approve', body, actor);
  }

  @Post(':id/discard')
  @Permission('inbox:settle')
  @HttpCode(200)
  @ApiOperation({ summary: 'Refuses for good what waits or is quarantined', description: 'Its content is kept.' })
  @ApiParam(ID)
  @ApiOkResponse({ schema: INBOX_VIEW })
  discardItem(@Param('id') id: string, @Body() body: ReasonBody, @CurrentActor() actor: Actor): Promise<PublicView> {
    return this.settle(id, 'discard', body, actor);
  }

  private async settle(id: string, action: InboxAction, body: AttachBody, actor: Actor): Promise<PublicView> {
    const given = body.member ?? null;
    const member = given === null ? null : (canonicalReference(given) ?? given);
    const outcome = await this.inbox.settle(checkedId(id), {
      action,
      reason: body.reason,
      actor,
      member,
      purchaseId: body.purchaseId ?? null,
    });
    if (!outcome.accepted) throw problemOf(outcome.rejection);
    return publicView(await this.view(id));
  }

  private async view(id: string): Promise<InboxView> {
    const view = await this.reader.show(checkedId(id));
    if (view === undefined) throw problemOf({ code: 'unknown-item' });
    return view;
  }
}

const checkedId = (id: string): string => {
  if (isUuid(id)) return id.toLowerCase();
  throw problemOf({ code: 'unknown-item' });
};

const itemIdOf = (place: unknown): string | undefined =>
  typeof place === 'string' && isUuid(place) ? place : undefined;

const RETURN_NOT_REPLACED =
  'A return cannot be replaced: discard the one that stands if it waits or is quarantined, keep here, and send what is right as a return with an id of its own.';

const problemOf = (rejection: InboxRejection): ProblemException => {
  switch (rejection.code) {
    case 'unknown-item':
      return new ProblemException(POINTS_PROBLEMS['unknown-item'], {
        detail: 'Nothing waits, conflicts or is quarantined under this id; it may have been settled by itself.',
      });
    case 'already-settled': {
      const { settlement } = rejection;
      return new ProblemException(POINTS_PROBLEMS['already-settled'], {
        detail:
          settlement === null ? 'It settled itself in the meantime.' : `Somebody decided to ${settlement.action} it.`,
        extensions: { settlement: settlement === null ? null : publicSettlement(settlement) },
      });
    }
    case 'action-not-possible': {
      const { kind, action, actions } = rejection;
      const instead = kind === 'return' && action === 'replace' ? ` ${RETURN_NOT_REPLACED}` : '';
      return new ProblemException(POINTS_PROBLEMS['action-not-possible'], {
        detail: `What can be done about it: ${actions.join(', ')}.${instead}`,
        extensions: { actions },
      });
    }
    case 'replacement-refused':
      return new ProblemException(POINTS_PROBLEMS['action-not-possible'], {
        detail: `What would replace it would be refused itself: ${rejection.reason}.`,
        extensions: { actions: rejection.actions },
      });
    case 'target-needed':
      return invalid(rejection.field, 'is needed: what it belongs to');
    case 'target-unknown':
      return invalid(rejection.field, 'is not known here');
    default:
      return assertNever(rejection);
  }
};

const invalid = (field: string, detail: string): ProblemException =>
  new ProblemException(PROBLEMS['validation-failed'], { errors: [{ pointer: `/${field}`, detail }] });
