import { Body, Controller, Get, HttpCode, Module, Param, Post, Query, type DynamicModule } from '@nestjs/common';
import { Type } from 'class-transformer';
import { IsInt, IsOptional, IsString, Max, Min, ValidateNested } from 'class-validator';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createApplication, type Application } from './application.js';
import { CurrentPrincipal, Permission, Public, ensureReaches } from './auth/access.js';
import { EmbeddedIssuer } from './auth/issuer.js';
import { PERMISSIONS, ROLES, type Principal } from './auth/permissions.js';
import { TokenVerifier } from './auth/verifier.js';
import { Health } from './health.js';
import { Accepts, BODY_BYTES_MAX, BodyLimit, CLOUD_EVENT_TYPE, JSON_TYPE } from './http/bodies.js';
import { NO_RATE_LIMITS } from './http/rate-limits.js';
import { PROBLEMS, ProblemException } from './http/problems.js';
import { silentLogger } from './logger.js';
import { Metrics } from './metrics.js';

class Line {
  @IsInt() @Min(0) amount!: number;
}

class Basket {
  @IsString() note!: string;
  @Type(() => Line) @ValidateNested({ each: true }) lines!: Line[];
}

class Page {
  @IsOptional() @Type(() => Number) @IsInt() @Max(100) limit = 50;
}

@Controller('v1')
class SampleController {
  @Post('baskets') @HttpCode(202) @Permission('purchases:write') basket(@Body() body: Basket): unknown {
    return { note: body.note, isBasket: body instanceof Basket };
  }

  @Post('events') @Permission('purchases:write') @Accepts(CLOUD_EVENT_TYPE, JSON_TYPE) event(@Body() body: unknown) {
    return { body };
  }

  @Post('batches') @Permission('purchases:write') @BodyLimit(2 * BODY_BYTES_MAX) batch(@Body() body: unknown[]) {
    return { count: body.length };
  }

  @Get('members/:id') @Permission('points:read') member(
    @Param('id') id: string,
    @CurrentPrincipal() principal: Principal,
  ) {
    ensureReaches(principal, id);
    return { id };
  }

  @Get('pages') @Public() page(@Query() query: Page): unknown {
    return { limit: query.limit };
  }

  @Get('forgotten') forgotten(): string {
    return 'never seen';
  }

  @Get('broken') @Public() broken(): string {
    throw new Error('the secret is 42');
  }

  @Get('away') @Public() away(): string {
    throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  }

  @Get('refusal') @Public() refusal(): string {
    throw new ProblemException(PROBLEMS.conflict, { extensions: { requested: 11, available: 10 } });
  }
}

@Module({})
class SampleModule {
  static create(): DynamicModule {
    return { module: SampleModule, controllers: [SampleController] };
  }
}

let application: Application;
let issuer: EmbeddedIssuer;
let token: string;

beforeAll(async () => {
  issuer = await EmbeddedIssuer.ephemeral();
  const logger = silentLogger();
  application = await createApplication(SampleModule.create(), {
    verifier: TokenVerifier.of(issuer),
    http: { ...NO_RATE_LIMITS, trustedProxies: [] },
    logger,
    metrics: new Metrics('sample'),
    health: new Health(logger),
  });
  await application.app.init();
  await application.fastify.ready();
  token = await issuer.mint({ role: 'service' });
});

afterAll(() => application.app.close());

type Call = { headers?: Record<string, string>; payload?: string | Buffer; auth?: string | null };
type Answer = { status: number; headers: Record<string, unknown>; body: Record<string, unknown> };

const call = async (method: 'GET' | 'POST' | 'DELETE', url: string, options: Call = {}): Promise<Answer> => {
  const auth = options.auth === undefined ? token : options.auth;
  const response = await application.fastify.inject({
    method,
    url,
    headers: {
      ...(auth !== null && { authorization: `Bearer ${auth}` }),
      ...(options.payload !== undefined && { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(options.payload !== undefined && { payload: options.payload }),
  });
  if (response.statusCode >= 400) expect(response.headers['content-type']).toBe('application/problem+json');
  return { status: response.statusCode, headers: response.headers, body: response.json() };
};

describe('the HTTP side of a service', () => {
  it('takes a valid body and answers', async () => {
    const answer = await call('POST', '/v1/baskets', { payload: '{"note":"x","lines":[{"amount":1}]}' });
    expect(answer).toMatchObject({ status: 202, body: { note: 'x', isBasket: true } });
    expect(answer.headers['x-request-id']).toEqual(expect.any(String));
  });

  it('names each wrong field by its pointer', async () => {
    const answer = await call('POST', '/v1/baskets', { payload: '{"lines":[{"amount":1},{"amount":-1}],"more":1}' });
    expect(answer.status).toBe(422);
    expect(answer.body).toMatchObject({ type: '/problems/validation-failed', status: 422 });
    expect(answer.body['errors']).toEqual([
      { pointer: '/more', detail: 'should not exist' },
      { pointer: '/note', detail: 'must be a string' },
      { pointer: '/lines/1/amount', detail: 'must not be less than 0' },
    ]);
  });

  it.each(['null', '[]', '1', '"x"', '{"lines":{"0":{}}}', '{"lines":"x","note":1}', '{"lines":[null],"note":""}'])(
    'answers a body of another shape with a problem: %s',
    async (payload) => {
      const answer = await call('POST', '/v1/baskets', { payload });
      expect(answer.status).toBe(422);
    },
  );

  it('says where JSON is broken', async () => {
    const answer = await call('POST', '/v1/baskets', { payload: '{\n "note": x}' });
    expect(answer).toMatchObject({
      status: 400,
      body: { type: '/problems/malformed-json', position: 11, line: 2, column: 10 },
    });
  });

  it.each([
    ['bad UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['an empty body', ''],
    ['deep nesting', '['.repeat(200_000)],
    ['__proto__', '{"a":{"__proto__":{"admin":true}}}'],
    ['__proto__ in escapes', '{"a":{"\\u005f_proto__":{"admin":true}}}'],
  ])('refuses %s', async (_name, payload) => {
    expect((await call('POST', '/v1/baskets', { payload })).status).toBe(400);
  });

  it('answers 413 to a body over the limit of its route', async () => {
    const payload = JSON.stringify(['x'.repeat(BODY_BYTES_MAX)]);
    expect((await call('POST', '/v1/events', { payload })).status).toBe(413);
    expect(await call('POST', '/v1/batches', { payload })).toMatchObject({ status: 201, body: { count: 1 } });
  });

  it('answers 415 to a content type the route does not take', async () => {
    const xml = { payload: '<x/>', headers: { 'content-type': 'application/xml' } };
    expect((await call('POST', '/v1/events', xml)).status).toBe(415);
    const event = { payload: '{}', headers: { 'content-type': `${CLOUD_EVENT_TYPE}; charset=utf-8` } };
    expect((await call('POST', '/v1/events', event)).status).toBe(201);
    expect((await call('POST', '/v1/baskets', event)).status).toBe(415);
    const packed = { payload: '{}', headers: { 'content-encoding': 'gzip' } };
    expect((await call('POST', '/v1/events', packed)).status).toBe(415);
  });

  it('tells a path that is not there from a method that is not', async () => {
    expect((await call('GET', '/v1/nowhere', { auth: null })).status).toBe(404);
    const answer = await call('DELETE', '/v1/members/1', { auth: null });
    expect(answer).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
    expect((await call('GET', '/v1/%zz')).status).toBe(400);
    expect((await call('GET', `/v1/members/${'x'.repeat(600)}`)).status).toBe(414);
  });

  it('checks parameters of the query', async () => {
    expect((await call('GET', '/v1/pages?limit=7')).body).toEqual({ limit: 7 });
    expect((await call('GET', '/v1/pages')).body).toEqual({ limit: 50 });
    expect(await call('GET', '/v1/pages?limit=500')).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/limit', in: 'query', detail: 'must not be greater than 100' }] },
    });
  });

  it('says nothing of the inside of an unknown error but a trace id', async () => {
    const answer = await call('GET', '/v1/broken', { headers: { 'x-request-id': 'trace-1' } });
    expect(answer.status).toBe(500);
    expect(answer.body).toEqual({
      type: '/problems/internal-error',
      title: 'Something went wrong on our side',
      status: 500,
      traceId: 'trace-1',
    });
  });

  it('takes the trace that a request belongs to', async () => {
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    const traceparent = `00-${trace}-00f067aa0ba902b7-01`;
    expect((await call('GET', '/v1/broken', { headers: { traceparent } })).body).toMatchObject({ traceId: trace });
    const { headers } = await call('GET', '/v1/broken', { headers: { 'x-request-id': 'a\tb', traceparent: 'x' } });
    expect(headers['x-request-id']).toMatch(/^[\w-]+$/);
  });

  it('answers 503 with Retry-After while the database is away', async () => {
    expect(await call('GET', '/v1/away')).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
  });

  it('answers a refusal with its own members, in the language asked for', async () => {
    const answer = await call('GET', '/v1/refusal', { headers: { 'accept-language': 'de, fa-IR;q=0.9, en;q=0.5' } });
    expect(answer).toMatchObject({ status: 409, body: { title: PROBLEMS.conflict.title.fa, requested: 11 } });
  });

  it('serves health and metrics without a token', async () => {
    expect(await call('GET', '/health/live', { auth: null })).toMatchObject({ status: 200 });
    expect(await call('GET', '/health/ready', { auth: null })).toMatchObject({ status: 200, body: { ready: true } });
    const metrics = await application.fastify.inject('/metrics');
    expect(
      metrics.body.split('\n').some((line) => line.includes('service="sample"') && line.includes('/v1/pages')),
    ).toBe(true);
  });
});

describe('access', () => {
  it('asks for a token, before the body is looked at', async () => {
    const answer = await call('POST', '/v1/baskets', { payload: '{', auth: null });
    expect(answer).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer realm="vafa"' } });
  });

  it.each(['x', 'a.b.c', ''])('refuses a token that is not one: "%s"', async (auth) => {
    expect((await call('POST', '/v1/baskets', { payload: '{}', auth })).status).toBe(401);
  });

  it('refuses the token of another issuer', async () => {
    const other = await EmbeddedIssuer.ephemeral();
    const auth = await other.mint({ role: 'admin' });
    expect((await call('GET', '/v1/members/1', { auth })).status).toBe(401);
  });

  it('closes a route that declares no permission to everybody', async () => {
    const auth = await issuer.mint({ role: 'admin' });
    expect((await call('GET', '/v1/forgotten', { auth })).status).toBe(403);
  });

  it('lets in exactly the roles of the matrix', async () => {
    for (const role of ROLES) {
      const auth = await issuer.mint(role === 'member' ? { role, memberId: 'm1' } : { role });
      const { status } = await call('GET', '/v1/members/m1', { auth });
      const allowed = (PERMISSIONS['points:read'] as readonly string[]).includes(role);
      expect([role, status]).toEqual([role, allowed ? 200 : 403]);
    }
  });

  it('lets members reach themselves and nobody else', async () => {
    const auth = await issuer.mint({ role: 'member', memberId: 'm1' });
    expect((await call('GET', '/v1/members/m1', { auth })).status).toBe(200);
    expect((await call('GET', '/v1/members/m2', { auth })).status).toBe(403);
  });

  it('knows every route and what it needs', () => {
    const undeclared = application.routes.all().filter(({ access }) => access === undefined);
    expect(undeclared.map(({ path }) => path)).toEqual(['/v1/forgotten', '/v1/forgotten']);
  });
});
