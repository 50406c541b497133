import { ValidationPipe, type ValidationError } from '@nestjs/common';
import { escapePointer } from './json.js';
import { PROBLEMS, ProblemException, type FieldError } from './problems.js';

const ERRORS_MAX = 100;

/** Checks bodies and parameters that have a class: unknown fields are refused, each wrong one is named by its pointer. */
export class FieldsPipe extends ValidationPipe {
  constructor() {
    super({
      whitelist: true,
      forbidNonWhitelisted: true,
      transform: true,
      validationError: { target: false, value: false },
      exceptionFactory: (errors) => errors,
    });
  }

  override async transform(...[value, metadata]: Parameters<ValidationPipe['transform']>): Promise<unknown> {
    try {
      return (await super.transform(value, metadata)) as unknown;
    } catch (thrown) {
      if (!Array.isArray(thrown)) throw thrown;
      throw problemOf(fieldErrors(thrown as ValidationError[]), metadata.type);
    }
  }
}

const problemOf = (errors: FieldError[], place: string): ProblemException => {
  if (place === 'query') return invalidParameters(errors, 'query');
  if (place === 'param') return invalidParameters(errors, 'path');
  return new ProblemException(PROBLEMS['validation-failed'], { errors });
};

const invalidParameters = (errors: FieldError[], place: 'query' | 'path'): ProblemException =>
  new ProblemException(PROBLEMS['invalid-parameter'], { errors: errors.map((error) => ({ ...error, in: place })) });

/** What class-validator found, as a flat list of pointers. */
export const fieldErrors = (errors: readonly ValidationError[], parent = ''): FieldError[] =>
  errors
    .flatMap((error) => {
      const pointer = `${parent}/${escapePointer(error.property)}`;
      const own = Object.values(error.constraints ?? {}).map((detail) => ({
        pointer,
        detail: withoutName(detail, error.property),
      }));
      return [...own, ...fieldErrors(error.children ?? [], pointer)];
    })
    .slice(0, ERRORS_MAX);

// "amount must be an integer": the pointer says which field.
const withoutName = (detail: string, property: string): string =>
  detail.startsWith(`${property} `) ? detail.slice(property.length + 1) : detail.replace(`property ${property} `, '');
