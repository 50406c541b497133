import { Body, Controller, HttpCode, Inject, Param, Post } from '@nestjs/common';
import {
  ApiBody,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiProperty,
  ApiPropertyOptional,
  ApiTags,
} from '@nestjs/swagger';
import { NATURAL_ID_LENGTH_MAX, SOURCE_LENGTH_MAX } from '@vafa/contracts';
import { assertNever } from '@vafa/event-sourcing';
import {
  CurrentActor,
  CurrentPrincipal,
  FieldsPipe,
  IsReason,
  Permission,
  PROBLEMS,
  ProblemException,
  type Actor,
  type Principal,
} from '@vafa/service';
import { Type } from 'class-transformer';
import { IsInt, IsObject, IsOptional, Matches, Max, Min, ValidateNested } from 'class-validator';
import {
  needsReceipt,
  OWN_MISSES_PER_DAY_MAX,
  PurchaseClaims,
  type PurchaseClaimRejection,
} from '../application/purchase-claims.js';
import { References } from '../application/references.js';
import { Register } from '../application/register.js';
import { findOne, type PublicOutcome } from './inputs.js';
import { pathMember } from './path-member.js';
import { POINTS_PROBLEMS } from './problems.js';
import { OUTCOME } from './schemas.js';

class ReceiptBody {
  @IsInt()
  @Min(0)
  @Max(Number.MAX_SAFE_INTEGER)
  @ApiProperty({ type: 'integer', minimum: 0, description: 'What was paid, in minor units of the currency.' })
  total!: number;

  @Matches(/^[A-Z]{3}$/, { message: 'must be a currency of ISO 4217, such as EUR' })
  @ApiProperty({ type: String, pattern: '^[A-Z]{3}$', example: 'EUR' })
  currency!: string;

  @Matches(/^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$/, { message: 'must be a date such as 2026-11-21' })
  @ApiProperty({ type: String, format: 'date', description: 'The date on the receipt.' })
  date!: string;
}

class PurchaseClaimBody {
  @Matches(new RegExp(`^[^\\p{Cc}\\p{Cs}]{1,${SOURCE_LENGTH_MAX}}$`, 'u'), {
    message: `must be a text of 1 to ${SOURCE_LENGTH_MAX} characters`,
  })
  @ApiProperty({ type: String, minLength: 1, maxLength: SOURCE_LENGTH_MAX, description: 'Who sent the purchase.' })
  source!: string;

  @Matches(new RegExp(`^[^\\p{Cc}\\p{Cs}]{1,${NATURAL_ID_LENGTH_MAX}}$`, 'u'), {
    message: `must be a text of 1 to ${NATURAL_ID_LENGTH_MAX} characters`,
  })
  @ApiProperty({ type: String, minLength: 1, maxLength: NATURAL_ID_LENGTH_MAX, description: 'The receipt number.' })
  purchaseId!: string;

  @IsOptional()
  @IsObject()
  @ValidateNested()
  @Type(() => ReceiptBody)
  @ApiPropertyOptional({
    type: ReceiptBody,
    description: 'What stands on the receipt. All but admins and support have to give it.',
  })
  receipt?: ReceiptBody | null;

  @IsOptional()
  @IsReason()
  reason?: string | null;
}

const FIELDS = new FieldsPipe();

/** Purchases that were nobody's, for members who have their receipts. */
@ApiTags('purchases')
@Controller('v1/members/:ref/purchases/claims')
export class PurchaseClaimsController {
  constructor(
    @Inject(PurchaseClaims) private readonly claims: PurchaseClaims,
    @Inject(Register) private readonly register: Register,
    @Inject(References) private readonly references: References,
  ) {}

  @Post()
  @Permission('purchases:claim')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Gives an anonymous purchase to a member who has its receipt',
    description:
      'The first claim wins; the same one again gets the same answer. Whoever claims proves it with what stands on the receipt, except for admins and support; all but the member say why.',
  })
  @ApiParam({ name: 'ref', description: 'The id of a member, `card:<number>` or `external:<id>`.' })
  @ApiBody({ type: PurchaseClaimBody })
  @ApiOkResponse({ description: 'The outcome of the purchase.', schema: OUTCOME })
  async claimPurchase(
    @Param('ref') ref: string,
    @Body() given: unknown,
    @CurrentPrincipal() principal: Principal,
    @CurrentActor() actor: Actor,
  ): Promise<PublicOutcome> {
    const memberId = await pathMember(this.references, ref, principal);
    // Not before: the body of a member who asks for another is never looked at.
    const body = (await FIELDS.transform(given, { type: 'body', metatype: PurchaseClaimBody })) as PurchaseClaimBody;
    const { source, purchaseId, receipt = null } = body;
    if (receipt !== null && !isDate(receipt.date)) throw missing('/receipt/date', 'must be a date of the calendar');
    if (needsReceipt(actor) && receipt === null) throw missing('/receipt', 'is needed: what stands on the receipt');
    if (actor.role !== 'member' && typeof body.reason !== 'string')
      throw missing('/reason', 'is needed: why it is theirs');
    const reason = body.reason ?? 'claimed with the receipt';
    const rejection = await this.claims.claim({ memberId, source, purchaseId, receipt, actor, reason });
    if (rejection !== null) throw problemOf(rejection);
    return findOne(this.register, { kind: 'purchase', source, id: purchaseId }, principal);
  }
}

const isDate = (text: string): boolean => {
  try {
    return Temporal.PlainDate.from(text, { overflow: 'reject' }).toString() === text;
  } catch {
    return false;
  }
};

const missing = (pointer: string, detail: string): ProblemException =>
  new ProblemException(PROBLEMS['validation-failed'], { errors: [{ pointer, detail }] });

const problemOf = (rejection: PurchaseClaimRejection): ProblemException => {
  switch (rejection.code) {
    case 'unknown-purchase':
      return new ProblemException(POINTS_PROBLEMS['unknown-purchase'], {
        detail: 'No anonymous purchase with this id and receipt came from this source.',
      });
    case 'already-claimed':
      return new ProblemException(POINTS_PROBLEMS['already-claimed']);
    case 'purchase-too-old':
      return new ProblemException(POINTS_PROBLEMS['purchase-too-old'], {
        detail: `A member may claim purchases of the last ${rejection.days} days; staff may claim any.`,
        extensions: { days: rejection.days },
      });
    case 'too-many-claims':
      return new ProblemException(POINTS_PROBLEMS['too-many-claims'], {
        detail: `A member may claim ${rejection.limit} purchases in 24 hours, and try ${OWN_MISSES_PER_DAY_MAX} times what is not found; staff may claim any number.`,
        extensions: { limit: rejection.limit },
      });
    default:
      return assertNever(rejection);
  }
};
