import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { Length, Matches } from 'class-validator';
import { REASON_LENGTH_MAX } from './audit.js';

/** A field of a body that says why: for the audit, so without anything personal. */
export const IsReason = (): PropertyDecorator =>
  applyDecorators(
    ApiProperty({
      type: String,
      minLength: 1,
      maxLength: REASON_LENGTH_MAX,
      description: 'Why, for the audit. No personal data: it is kept for good.',
      example: 'the till sent it twice',
    }),
    Length(1, REASON_LENGTH_MAX, { message: `must be a text of 1 to ${REASON_LENGTH_MAX} characters` }),
    Matches(/^[^\p{Cc}\p{Cs}]*\S[^\p{Cc}\p{Cs}]*$/u, { message: 'must be a text without control characters' }),
  );
