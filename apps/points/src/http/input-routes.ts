import { applyDecorators, Get, HttpCode, Post } from '@nestjs/common';
import {
  ApiBody,
  ApiHeader,
  ApiNotFoundResponse,
  ApiOkResponse,
  ApiOperation,
  ApiQuery,
  ApiResponse,
  type ApiBodyOptions,
} from '@nestjs/swagger';
import { BATCH_EVENTS_MAX } from '@vafa/contracts';
import {
  Accepts,
  BATCH_BYTES_MAX,
  BodyLimit,
  CLOUD_EVENT_TYPE,
  CLOUD_EVENTS_BATCH_TYPE,
  JSON_TYPE,
  Permission,
  type PermissionName,
} from '@vafa/service';

type Schema = Extract<ApiBodyOptions, { schema: unknown }>['schema'];

/** What the routes of one kind of input are called and answer with. */
export type InputRoutes = {
  /** With its article: `a purchase`. */
  readonly one: string;
  /** `purchases`. */
  readonly many: string;
  /** What its id is called: `purchaseId`. */
  readonly id: string;
  /** A sentence of its own about one of them, with a space behind it; empty where there is nothing to say. */
  readonly note: string;
  readonly write: PermissionName;
  readonly read: PermissionName;
  readonly body: Schema;
  readonly event: Schema;
  readonly outcome: Schema;
  readonly pending: Schema;
  readonly batch: Schema;
  /** What a look-up answers with. */
  readonly found: Schema;
};

const noun = ({ one }: InputRoutes): string => one.slice(one.indexOf(' ') + 1);

/** `POST`: one input, a CloudEvent or its bare data. */
export const TakesOne = (routes: InputRoutes): MethodDecorator =>
  applyDecorators(
    Post(),
    Permission(routes.write),
    Accepts(CLOUD_EVENT_TYPE, JSON_TYPE),
    HttpCode(202),
    ApiOperation({
      summary: `Take in ${routes.one}`,
      description: `A CloudEvent, or its bare data with an Idempotency-Key. ${routes.note}The same ${noun(routes)} again gets the same answer; other content under the same id is a conflict.`,
    }),
    ApiHeader({
      name: 'Prefer',
      required: false,
      description: 'wait=<seconds>: answer with the outcome, 30 s at most.',
    }),
    ApiHeader({ name: 'Idempotency-Key', required: false, description: 'Needed with bare data.' }),
    ApiBody({ schema: routes.body }),
    ApiOkResponse({ description: 'The outcome.', schema: routes.outcome }),
    ApiResponse({ status: 202, description: 'It is safe; the outcome is still to come.', schema: routes.pending }),
  );

/** `POST batch`: many CloudEvents, all of them or none. */
export const TakesMany = (routes: InputRoutes): MethodDecorator =>
  applyDecorators(
    Post('batch'),
    Permission(routes.write),
    Accepts(CLOUD_EVENTS_BATCH_TYPE, JSON_TYPE),
    BodyLimit(BATCH_BYTES_MAX),
    HttpCode(202),
    ApiOperation({
      summary: `Take in many ${routes.many}`,
      description: `Up to ${BATCH_EVENTS_MAX} CloudEvents. Where one is not valid, none is taken and the answer points at every fault.`,
    }),
    ApiHeader({
      name: 'Prefer',
      required: false,
      description: 'wait=<seconds>: answer with the outcomes, 30 s at most.',
    }),
    ApiBody({ schema: { type: 'array', minItems: 1, maxItems: BATCH_EVENTS_MAX, items: routes.event } }),
    ApiOkResponse({ description: 'All outcomes, in the order sent.', schema: routes.batch }),
    ApiResponse({ status: 202, description: 'All are safe; some outcomes are still to come.', schema: routes.batch }),
  );

/** `GET`: what became of one input, by its natural key. */
export const FindsOne = (routes: InputRoutes, summary = `What became of ${routes.one}`): MethodDecorator =>
  applyDecorators(
    Get(),
    Permission(routes.read),
    ApiOperation({ summary }),
    ApiQuery({ name: 'source', required: true, description: 'Who sent it.' }),
    ApiQuery({ name: routes.id, required: true, description: 'Its id within the source.' }),
    ApiOkResponse({ schema: routes.found }),
    ApiNotFoundResponse({ description: 'Nothing came in under this source and id.' }),
  );
