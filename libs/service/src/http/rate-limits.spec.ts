import { Controller, Get, Post, type DynamicModule } from '@nestjs/common';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { createApplication, type Application } from '../application.js';
import { Permission, Public } from '../auth/access.js';
import { EmbeddedIssuer, type MintRequest } from '../auth/issuer.js';
import { TokenVerifier } from '../auth/verifier.js';
import { Health } from '../health.js';
import { silentLogger } from '../logger.js';
import { Metrics } from '../metrics.js';
import { httpConfig } from './http-settings.js';

@Controller('v1')
class LimitedController {
  @Get('things') @Permission('clock:read') read(): object {
    return {};
  }

  @Post('things') @Permission('clock:read') write(): object {
    return {};
  }

  @Get('closed') @Permission('clock:write') closed(): object {
    return {};
  }

  @Get('open') @Public() open(): object {
    return {};
  }
}

class LimitedModule {}

let application: Application | undefined;
let issuer: EmbeddedIssuer;
let metrics: Metrics;

const start = async (env: Record<string, string>): Promise<void> => {
  const module: DynamicModule = { module: LimitedModule, controllers: [LimitedController] };
  issuer = await EmbeddedIssuer.ephemeral();
  const logger = silentLogger();
  metrics = new Metrics('limited');
  const parts = {
    verifier: TokenVerifier.of(issuer),
    http: httpConfig(env),
    logger,
    metrics,
    health: new Health(logger),
  };
  application = await createApplication(module, parts);
  await application.app.init();
  await application.fastify.ready();
};

afterEach(async () => {
  jest.restoreAllMocks();
  await application?.app.close();
});

type Caller = MintRequest | { readonly token: string | null };
type Asked = {
  readonly method?: 'GET' | 'POST';
  readonly path?: string;
  readonly from?: string;
  readonly forwardedFor?: string;
};

const ask = async (as: Caller, asked: Asked = {}) => {
  const token = 'token' in as ? as.token : await issuer.mint(as);
  const headers = {
    ...(token !== null && { authorization: `Bearer ${token}` }),
    ...(asked.forwardedFor !== undefined && { 'x-forwarded-for': asked.forwardedFor }),
  };
  const { method = 'GET', path = '/v1/things', from = '192.0.2.1' } = asked;
  const response = await application?.fastify.inject({ method, url: path, headers, remoteAddress: from });
  if (response === undefined) throw new Error('not started');
  return { status: response.statusCode, headers: response.headers, body: response.json<Record<string, unknown>>() };
};

const statuses = async (times: number, as: Caller, asked?: Asked): Promise<number[]> => {
  const found: number[] = [];
  for (let i = 0; i < times; i++) found.push((await ask(as, asked)).status);
  return found;
};

const anna: MintRequest = { role: 'support', subject: 'anna' };
const nobody: Caller = { token: null };

describe('the rate limits', () => {
  it('let so many requests of one person through in a minute, reading and writing apart', async () => {
    await start({ VAFA_RATE_READS: '3', VAFA_RATE_WRITES: '2' });
    expect(await statuses(4, anna)).toEqual([200, 200, 200, 429]);
    expect(await statuses(3, anna, { method: 'POST' })).toEqual([201, 201, 429]);
    expect(await statuses(1, { role: 'support', subject: 'omid' })).toEqual([200]);
    const now = Date.now();
    jest.spyOn(Date, 'now').mockReturnValue(now + 61_000);
    expect(await statuses(1, anna)).toEqual([200]);
  });

  it('say how many are left, and when to go on', async () => {
    await start({ VAFA_RATE_READS: '2' });
    const first = await ask(anna);
    expect(first.headers).toMatchObject({
      'ratelimit-policy': '"reads";q=2;w=60',
      ratelimit: expect.stringMatching(/^"reads";r=1;t=(59|60)$/),
    });
    await ask(anna);
    const refused = await ask(anna);
    expect(refused.status).toBe(429);
    expect(refused.headers['content-type']).toBe('application/problem+json');
    expect(refused.headers['ratelimit']).toMatch(/^"reads";r=0;t=\d+$/);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(refused.body).toMatchObject({ type: '/problems/too-many-requests', status: 429 });
    expect(await metrics.content()).toContain('vafa_http_limited_total{policy="reads",service="limited"} 1');
  });

  it('count what the matrix refuses as well', async () => {
    await start({ VAFA_RATE_READS: '2' });
    expect(await statuses(3, anna, { path: '/v1/closed' })).toEqual([403, 403, 429]);
  });

  it('leave programs alone unless told otherwise', async () => {
    await start({ VAFA_RATE_READS: '1', VAFA_RATE_WRITES: '1' });
    const till: MintRequest = { role: 'service', clientId: 'tills' };
    expect(await statuses(5, till, { method: 'POST' })).toEqual([201, 201, 201, 201, 201]);
    await application?.app.close();
    await start({ VAFA_RATE_SERVICE: '2' });
    expect(await statuses(3, till)).toEqual([200, 200, 429]);
    expect(await statuses(1, { role: 'service', clientId: 'web shop' })).toEqual([200]);
  });

  it('let an address fail so often, with and without a token, and keep nobody out who has a good one', async () => {
    await start({ VAFA_RATE_FAILURES: '2' });
    expect(await statuses(1, nobody)).toEqual([401]);
    expect(await statuses(2, { token: 'made up' })).toEqual([401, 429]);
    expect(await statuses(1, nobody)).toEqual([429]);
    expect(await statuses(1, anna)).toEqual([200]);
    expect(await statuses(1, nobody, { from: '192.0.2.2' })).toEqual([401]);
    expect(await statuses(3, nobody, { path: '/v1/open' })).toEqual([200, 200, 200]);
  });

  it('know one network of IPv6 for one caller', async () => {
    await start({ VAFA_RATE_FAILURES: '1' });
    expect(await statuses(1, nobody, { from: '2001:db8::1' })).toEqual([401]);
    expect(await statuses(1, nobody, { from: '2001:db8::ffff' })).toEqual([429]);
    expect(await statuses(1, nobody, { from: '2001:db8:0:1::1' })).toEqual([401]);
  });

  it('believe a reverse proxy about the address, and nobody else', async () => {
    await start({ VAFA_RATE_FAILURES: '1', VAFA_TRUSTED_PROXIES: '10.0.0.0/8' });
    const proxied = (forwardedFor: string): Promise<number[]> =>
      statuses(1, nobody, { from: '10.1.2.3', forwardedFor });
    expect(await proxied('192.0.2.7')).toEqual([401]);
    expect(await proxied('192.0.2.8')).toEqual([401]);
    expect(await proxied('192.0.2.7')).toEqual([429]);
    const direct = (forwardedFor: string): Promise<number[]> =>
      statuses(1, nobody, { from: '198.51.100.1', forwardedFor });
    expect(await direct('192.0.2.20')).toEqual([401]);
    expect(await direct('192.0.2.21')).toEqual([429]);
  });

  it.each(['', '10.0.0.0/8, 192.0.2.1', '2001:db8::/32,::1'])('take %j for reverse proxies', (proxies) => {
    expect(httpConfig({ VAFA_TRUSTED_PROXIES: proxies }).trustedProxies).toHaveLength(
      proxies.split(',').filter(Boolean).length,
    );
  });

  it.each(['everybody', '10.0.0.0/33', '10.0.0', '10.0.0.0/8/8', 'true'])('do not take %j for one', (proxies) => {
    expect(() => httpConfig({ VAFA_TRUSTED_PROXIES: proxies })).toThrow(/VAFA_TRUSTED_PROXIES must be/);
  });
});
