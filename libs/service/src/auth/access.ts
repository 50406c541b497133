import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify';
import type { Actor } from '../audit/audit.js';
import { PROBLEMS, ProblemException } from '../http/problems.js';
import type { RateLimiter } from '../http/rate-limits.js';
import { routeConfig } from '../http/route-config.js';
import type { Logger } from '../logger.js';
import { allows, reaches, type Access, type PermissionName, type Principal } from './permissions.js';
import { unauthenticated } from './unauthenticated.js';
import type { TokenVerifier } from './verifier.js';

/** Says what a route needs, in the words of the permission matrix: `@Permission('purchases:write')`. */
export const Permission = (permission: PermissionName): MethodDecorator => routeConfig({ access: permission });

/** Opens a route to callers without a token. */
export const Public = (): MethodDecorator => routeConfig({ access: 'public' });

/** The caller, as a parameter of a route that is not public. */
export const CurrentPrincipal = createParamDecorator((_data: unknown, context: ExecutionContext): Principal => {
  const { principal } = context.switchToHttp().getRequest<FastifyRequest>();
  if (!principal) throw unauthenticated('A bearer token is needed.');
  return principal;
});

/** The caller as the actor of an audit entry: with the request's id, and without the member. */
export const actorOf = ({ principal, id }: FastifyRequest): Actor => {
  if (!principal) throw unauthenticated('A bearer token is needed.');
  const { subject, role, clientId } = principal;
  return { subject, role, clientId, requestId: id };
};

/** The same as a parameter of a route that is not public. */
export const CurrentActor = createParamDecorator((_data: unknown, context: ExecutionContext): Actor =>
  actorOf(context.switchToHttp().getRequest<FastifyRequest>()),
);

/**
 * The check on the object, besides the one on the route: a member gets 403 for any member but themselves, whether
 * the other exists or not.
 */
export const ensureReaches = (principal: Principal, memberId: string): void => {
  if (!reaches(principal, memberId)) throw new ProblemException(PROBLEMS.forbidden);
};

type RequestHook = (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction) => void;

/** Finds out whose a request is, before its body is read. Synchronous for a token seen before. */
export const identityHook = (verifier: TokenVerifier, logger: Logger, limiter: RateLimiter): RequestHook => {
  const undeclared = new Set<string>();
  return (request, reply, done) => {
    const { access, url } = routeOf(request);
    if (request.is404 || access === 'public') return done();
    if (access === undefined) {
      if (!undeclared.has(url)) logger.error({ route: url }, 'route without a declared permission');
      undeclared.add(url);
      return done(new ProblemException(PROBLEMS.forbidden));
    }
    // That keys cannot be had is not the caller's fault.
    const refuse = (error: Error): void =>
      isRefusal(error) ? void limiter.failed(request, reply, error).then(done, done) : done(error);
    const token = bearerToken(request.headers.authorization);
    if (token === null) return refuse(missingToken());
    request.principal = verifier.remembered(token) ?? null;
    if (request.principal) return done();
    verifier.verify(token).then((principal) => {
      request.principal = principal;
      done();
    }, refuse);
  };
};

/** Lets a caller in where the matrix does. */
export const permissionHook: RequestHook = (request, _reply, done) => {
  const { principal } = request;
  const { access } = routeOf(request);
  if (principal === null || access === undefined || access === 'public') return done();
  if (allows(principal.role, access)) return done();
  done(new ProblemException(PROBLEMS.forbidden, { detail: `This needs the permission ${access}.` }));
};

const isRefusal = (error: Error): boolean =>
  error instanceof ProblemException && error.kind === PROBLEMS.unauthenticated;

const routeOf = (request: FastifyRequest): { access: Access | undefined; url: string } => {
  const { config, url } = request.routeOptions;
  return { access: config.access, url: url ?? '' };
};

const bearerToken = (header: string | undefined): string | null => {
  const match = header === undefined ? null : /^Bearer +([\w.~+/=-]+)$/i.exec(header);
  return match?.[1] ?? null;
};

const missingToken = (): ProblemException =>
  new ProblemException(PROBLEMS.unauthenticated, {
    detail: 'A bearer token is needed.',
    headers: { 'www-authenticate': 'Bearer realm="vafa"' },
  });
