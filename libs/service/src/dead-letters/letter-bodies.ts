import { applyDecorators } from '@nestjs/common';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { isInstant } from '@vafa/contracts';
import { LETTER_KINDS, LETTER_STATUSES, type LetterKind, type LetterStatus } from '@vafa/messaging';
import { Type } from 'class-transformer';
import {
  IsIn,
  IsInt,
  IsObject,
  IsOptional,
  IsString,
  Matches,
  Max,
  MaxLength,
  Min,
  ValidateBy,
  ValidateNested,
} from 'class-validator';
import { IsReason } from '../audit/reason.js';

export const PAGE_SIZE_DEFAULT = 50;
export const PAGE_SIZE_MAX = 500;
const REASON_PREFIX_LENGTH_MAX = 200;
const NAME = /^[A-Za-z0-9._-]{1,200}$/;

const KINDS =
  '`invalid`: not an event, or one that breaks its contract; `unhandled`: nobody here has a handler for it; `failed`: its handler failed again and again; ' +
  '`behind`: it waits behind one of its key that failed.';
const STATUSES =
  '`waiting` for somebody; `replaying`: on its way again; `replayed`: handled meanwhile; `discarded`: given up.';

/** Texts of a query and a body that go to the database as they are. */
const IsPlainText = (max: number): PropertyDecorator =>
  applyDecorators(IsString(), MaxLength(max), Matches(/^[^\0\p{Cs}]*$/u, { message: 'must not hold U+0000' }));

const IsName = (): PropertyDecorator =>
  Matches(NAME, { message: 'must be a name of 1 to 200 characters of A-Z a-z 0-9 . _ -' });

const IsInstant = (): PropertyDecorator =>
  ValidateBy({
    name: 'isInstant',
    validator: {
      validate: (value: unknown) => typeof value === 'string' && isInstant(value),
      defaultMessage: () => 'must be a date and time of RFC 3339 with an offset or Z, between 1900 and 9999',
    },
  });

/** What both a list and a choice are narrowed down by. */
export class LetterChoiceBody {
  @IsOptional()
  @IsName()
  @ApiPropertyOptional({ type: String, maxLength: 200, description: 'The topic it came on.' })
  topic?: string;

  @IsOptional()
  @IsName()
  @ApiPropertyOptional({ type: String, maxLength: 200, description: 'The service that could not take it.' })
  service?: string;

  @IsOptional()
  @IsIn(LETTER_KINDS)
  @ApiPropertyOptional({ type: String, enum: LETTER_KINDS, description: KINDS })
  kind?: LetterKind;

  @IsOptional()
  @IsPlainText(REASON_PREFIX_LENGTH_MAX)
  @ApiPropertyOptional({
    type: String,
    maxLength: REASON_PREFIX_LENGTH_MAX,
    description: 'What its reason begins with, such as `not-json`.',
  })
  reason?: string;

  @IsOptional()
  @IsInstant()
  @ApiPropertyOptional({ type: String, format: 'date-time', description: 'Letters of this instant and later ones.' })
  since?: string;
}

export class LetterQuery extends LetterChoiceBody {
  @IsOptional()
  @IsIn(LETTER_STATUSES)
  @ApiPropertyOptional({ type: String, enum: LETTER_STATUSES, description: STATUSES })
  status?: LetterStatus;

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

const IsChoice = (): PropertyDecorator =>
  applyDecorators(
    IsObject({ message: 'must be an object' }),
    ValidateNested(),
    Type(() => LetterChoiceBody),
    ApiProperty({ type: LetterChoiceBody, description: 'Which of those that wait: at least one of its fields.' }),
  );

export class ReplayChoiceBody {
  @IsChoice()
  letters!: LetterChoiceBody;
}

export class DiscardBody {
  @IsReason()
  reason!: string;
}

export class DiscardChoiceBody extends DiscardBody {
  @IsChoice()
  letters!: LetterChoiceBody;
}

export class LetterBody {
  @ApiProperty({ type: String, format: 'uuid' })
  id!: string;

  @ApiProperty({ type: String, description: 'The service that could not take it.' })
  service!: string;

  @ApiProperty({ type: String })
  topic!: string;

  @ApiProperty({ type: 'integer' })
  partition!: number;

  @ApiProperty({ type: String, description: 'Its place in the partition, a decimal number.' })
  offset!: string;

  @ApiProperty({ type: String, nullable: true })
  key!: string | null;

  @ApiProperty({ type: String, enum: LETTER_KINDS, description: KINDS })
  kind!: LetterKind;

  @ApiProperty({ type: String, enum: LETTER_STATUSES, description: STATUSES })
  status!: LetterStatus;

  @ApiProperty({ type: String, description: 'What was wrong, without anything of the content.' })
  reason!: string;

  @ApiProperty({ type: String, nullable: true, description: 'Why it was discarded.' })
  note!: string | null;

  @ApiProperty({ type: String, format: 'date-time', description: 'System time.' })
  at!: string;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, description: 'When it was replayed or discarded.' })
  settledAt!: string | null;
}

export class LetterPageBody {
  @ApiProperty({ type: [LetterBody] })
  items!: readonly LetterBody[];

  @ApiProperty({ type: String, nullable: true, description: 'For `after` of the next page; null on the last one.' })
  next!: string | null;
}

export class OpenedLetterBody extends LetterBody {
  @ApiProperty({ type: 'object', additionalProperties: { type: 'string' } })
  headers!: Readonly<Record<string, string>>;

  @ApiProperty({ type: 'integer', description: 'Bytes of the message.' })
  bytes!: number;

  @ApiProperty({ type: String, nullable: true, description: 'The message where it is text in UTF-8.' })
  text!: string | null;

  @ApiProperty({ type: String, nullable: true, description: 'The message in hexadecimal digits where it is not.' })
  hex!: string | null;
}

export class LettersDoneBody {
  @ApiProperty({ type: 'integer', description: 'Letters of those chosen that had not been settled yet.' })
  letters!: number;

  @ApiProperty({ type: 'integer', description: 'Messages sent, with what waited behind the letters.' })
  sent!: number;

  @ApiProperty({ type: Boolean, description: 'Whether there may be further ones: ask once more.' })
  more!: boolean;
}
