import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify';
import type { Metrics } from '../metrics.js';
import { PROBLEMS, ProblemException } from './problems.js';

/** Requests a minute; 0 sets no limit. */
export type RateLimits = {
  /** GET and HEAD of one person: staff or a member. */
  readonly reads: number;
  /** Everything else of one person. */
  readonly writes: number;
  /** Everything of one program, the role `service`. */
  readonly programs: number;
  /** Requests of one address without a token, or with one that is not valid. */
  readonly failures: number;
};

export const NO_RATE_LIMITS: RateLimits = { reads: 0, writes: 0, programs: 0, failures: 0 };

type Policy = keyof RateLimits;
type Limiter = ReturnType<FastifyInstance['createRateLimit']>;

const WINDOW_SECONDS = 60;
/** Callers remembered for each limit; the least recently seen goes first. */
const CALLERS_MAX = 20_000;
const READING: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/**
 * Keeps one caller from taking what all need: so many requests in a minute that begins with the first of them. Each
 * service of each process counts for itself.
 */
export class RateLimiter {
  private readonly limiters = new Map<Policy, Limiter>();
  private readonly refused;

  constructor(
    private readonly limits: RateLimits,
    metrics: Metrics,
  ) {
    this.refused = metrics.counter({
      name: 'vafa_http_limited_total',
      help: 'Requests answered with 429',
      labels: ['policy'],
    });
  }

  /** To be called before there are routes. */
  register(fastify: FastifyInstance): void {
    // The plugin does the counting, in a bounded memory, and knows the callers of one IPv6 network for one.
    void fastify.register(rateLimit, { global: false, cache: CALLERS_MAX });
    fastify.addHook('onReady', (done) => {
      for (const policy of ['reads', 'writes', 'programs', 'failures'] as const) {
        const options = { max: this.limits[policy], timeWindow: WINDOW_SECONDS * 1_000, cache: CALLERS_MAX };
        if (options.max === 0) continue;
        const byPrincipal = policy === 'failures' ? {} : { keyGenerator: principalKey };
        this.limiters.set(policy, fastify.createRateLimit({ ...options, ...byPrincipal }));
      }
      done();
    });
  }

  /** Counts a request of a caller who is known. At once where there is no limit. */
  readonly hook = (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void => {
    const limiter = request.principal ? this.limiters.get(policyOf(request)) : undefined;
    if (limiter === undefined) return done();
    this.count(policyOf(request), request, reply).then((problem) => done(problem), done);
  };

  /** Counts a request that is refused because nobody knows whose it is. The answer is `refusal`, or that there were too many. */
  async failed(request: FastifyRequest, reply: FastifyReply, refusal: Error): Promise<Error> {
    return (await this.count('failures', request, reply)) ?? refusal;
  }

  private async count(
    policy: Policy,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<ProblemException | undefined> {
    const counted = await this.limiters.get(policy)?.(request);
    if (counted === undefined || counted.isAllowed) return undefined;
    const { max, remaining, ttlInSeconds, isExceeded } = counted;
    reply.headers({
      'ratelimit-policy': `"${policy}";q=${max};w=${WINDOW_SECONDS}`,
      ratelimit: `"${policy}";r=${remaining};t=${ttlInSeconds}`,
    });
    if (!isExceeded) return undefined;
    this.refused.inc({ policy });
    return new ProblemException(PROBLEMS['too-many-requests'], {
      detail: `${max} requests a minute are allowed here; go on in ${ttlInSeconds} s.`,
      headers: { 'retry-after': String(ttlInSeconds) },
    });
  }
}

const policyOf = ({ principal, method }: FastifyRequest): Policy => {
  if (principal?.role === 'service') return 'programs';
  return READING.has(method) ? 'reads' : 'writes';
};

const principalKey = ({ principal }: FastifyRequest): string => `${principal?.role ?? ''} ${principal?.subject ?? ''}`;
