import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { isTransient } from '@vafa/persistence';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '../logger.js';
import { preferredLanguage } from './headers.js';
import { PROBLEMS, PROBLEM_TYPE, ProblemException, problemBody, type ProblemKind } from './problems.js';
import type { RouteTable } from './route-table.js';

const RETRY_AFTER_SECONDS = 1;

/** Answers every exception as problem+json. What nobody expected says nothing but a trace id; the log has the rest. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly logger: Logger,
    private readonly routes: RouteTable,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.answer(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  /** Sends the problem that an exception stands for. */
  answer(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    if (reply.sent) return;
    const problem = this.withMethods(problemOf(error), request);
    const { status, code } = problem.kind;
    const unexpected = status >= 500;
    const route = request.routeOptions.url ?? 'unknown';
    if (unexpected) this.logger.error({ err: error, traceId: request.id, method: request.method, route, code });
    const language = preferredLanguage(request.headers['accept-language']);
    const body = problemBody(problem, language, unexpected ? request.id : undefined);
    // As bytes: to a text Fastify would add a charset, which problem+json does not have.
    void reply
      .code(status)
      .headers({ ...problem.more.headers, 'content-type': PROBLEM_TYPE })
      .send(Buffer.from(body));
  }

  // Fastify knows no route for a method it was not given: whether the path has others is looked up here.
  private withMethods(problem: ProblemException, request: FastifyRequest): ProblemException {
    if (!request.is404 || problem.kind !== PROBLEMS['not-found']) return problem;
    const methods = this.routes.methodsOf(request.url.split('?', 1)[0] ?? '');
    if (methods.length === 0) return new ProblemException(PROBLEMS['not-found']);
    return new ProblemException(PROBLEMS['method-not-allowed'], { headers: { allow: methods.join(', ') } });
  }
}

/** The problem that an exception stands for: what nobody expected is an internal error. */
export const problemOf = (error: unknown): ProblemException => {
  if (error instanceof ProblemException) return error;
  const known = fastifyKind(error) ?? (error instanceof HttpException ? httpKind(error.getStatus()) : undefined);
  if (known) return new ProblemException(known, { cause: error });
  if (isTransient(error)) {
    return new ProblemException(PROBLEMS.unavailable, {
      cause: error,
      headers: { 'retry-after': String(RETRY_AFTER_SECONDS) },
    });
  }
  return new ProblemException(PROBLEMS['internal-error'], { cause: error });
};

const FASTIFY_KINDS: Readonly<Record<string, ProblemKind>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: PROBLEMS['body-too-large'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: PROBLEMS['unsupported-media-type'],
  FST_ERR_CTP_EMPTY_JSON_BODY: PROBLEMS['malformed-json'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: PROBLEMS['malformed-request'],
  FST_ERR_BAD_URL: PROBLEMS['malformed-request'],
  FST_ERR_MAX_PARAM_LENGTH: PROBLEMS['uri-too-long'],
};

// Nest wraps Fastify's errors, with the original as the cause.
const fastifyKind = (error: unknown): ProblemKind | undefined => {
  for (const one of [error, error instanceof Error ? error.cause : undefined])
    if (one instanceof Error && 'code' in one && typeof one.code === 'string' && one.code in FASTIFY_KINDS)
      return FASTIFY_KINDS[one.code];
  return undefined;
};

const httpKind = (status: number): ProblemKind | undefined => {
  const kind = Object.values(PROBLEMS).find((one) => one.status === status);
  if (kind) return kind;
  return status < 500 ? PROBLEMS['malformed-request'] : undefined;
};
