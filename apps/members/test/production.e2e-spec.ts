import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { freePort } from '@vafa/persistence';
import { EXIT, EmbeddedIssuer, runService } from '@vafa/service';
import { IDENTITY_PROVIDER_AUDIENCE, IdentityProvider, eventually, withTestDatabase } from '@vafa/testing';
import { membersService } from '../src/index.js';

describe('the service in production, with an OpenID provider', () => {
  let provider: IdentityProvider;
  let folder: string;
  let env: Record<string, string>;
  let ended: Promise<number>;

  afterAll(async () => {
    jest.restoreAllMocks();
    await provider.goAway();
    await rm(folder, { recursive: true, maxRetries: 50, retryDelay: 100 });
  });
  const database = withTestDatabase();

  beforeAll(async () => {
    // What is logged is not for whoever runs the tests.
    jest.spyOn(process.stdout, 'write').mockReturnValue(true);
    provider = await IdentityProvider.start();
    folder = await mkdtemp(join(tmpdir(), 'vafa-production-'));
    env = {
      VAFA_ENVIRONMENT: 'production',
      VAFA_DATABASE_URL: database.url,
      VAFA_MIGRATE: 'true',
      VAFA_PORT: String(await freePort(0)),
      VAFA_DATA: folder,
      VAFA_LOG_LEVEL: 'error',
      // Whoever waits for a new key fails more often than that.
      VAFA_RATE_FAILURES: '0',
      VAFA_OIDC_ISSUER: provider.issuer,
      VAFA_OIDC_AUDIENCE: IDENTITY_PROVIDER_AUDIENCE,
      VAFA_OIDC_ROLE_CLAIM: 'groups',
      VAFA_OIDC_ROLES: 'club-support=support, customers=member',
    };
    ended = runService(membersService, env);
    await eventually(async () => expect(await call('/health/ready')).toMatchObject({ status: 200 }));
  });

  const call = async (path: string, token?: string, body?: unknown) => {
    const answer = await fetch(`http://127.0.0.1:${env['VAFA_PORT']}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };

  it('serves staff and members by the tokens of the provider', async () => {
    const support = await provider.token({ groups: ['club-support'], sub: 'anna', client_id: 'console' });
    const enrolled = await call('/v1/members', support, { externalId: 'p-1' });
    expect(enrolled).toMatchObject({ status: 201, body: { externalId: 'p-1' } });
    const other = await call('/v1/members', support, { externalId: 'p-2' });
    const own = String(enrolled.body['memberId']);
    const member = await provider.token({ groups: ['customers'], sub: 'u-1', member_id: own });
    expect(await call(`/v1/members/${own}`, member)).toMatchObject({ status: 200, body: { memberId: own } });
    expect((await call(`/v1/members/${String(other.body['memberId'])}`, member)).status).toBe(403);
    expect((await call('/v1/audit', member)).status).toBe(403);
  });

  it('follows the keys of the provider', async () => {
    await provider.rotate('ES256');
    const support = await provider.token({ groups: ['club-support'] });
    // Not at once: it was asked for its keys a moment ago.
    await eventually(async () => expect((await call('/v1/members/external:p-1', support)).status).toBe(200));
  });

  it('believes nobody else: neither the embedded issuer nor another audience', async () => {
    const issuer = await EmbeddedIssuer.open({ folder: join(folder, 'keys'), production: false });
    const minted = await issuer.mint({ role: 'admin' });
    const elsewhere = await provider.token({ groups: ['club-support'], aud: 'https://elsewhere.example' });
    const unmapped = await provider.token({ groups: ['admin'] });
    for (const token of [minted, elsewhere, unmapped, undefined])
      expect(await call('/v1/audit', token)).toMatchObject({
        status: 401,
        body: { type: '/problems/unauthenticated' },
      });
  });

  it('ends when it is told to', async () => {
    process.emit('SIGTERM', 'SIGTERM');
    expect(await ended).toBe(EXIT.done);
  });

  it.each<[string, Record<string, string>, string]>([
    ['without an audience', { VAFA_OIDC_AUDIENCE: '' }, 'VAFA_OIDC_AUDIENCE is not set: VAFA_OIDC_ISSUER needs it'],
    ['without an issuer', { VAFA_OIDC_ISSUER: '' }, 'VAFA_OIDC_ISSUER is not set'],
    [
      'with an issuer without TLS',
      { VAFA_OIDC_ISSUER: 'http://id.example' },
      'VAFA_OIDC_ISSUER must be a URL with https',
    ],
    [
      'with a role that is none',
      { VAFA_OIDC_ROLES: 'staff=root' },
      'VAFA_OIDC_ROLES must be a list with commas of NAME=ROLE',
    ],
    ['with a secret as a key', { VAFA_OIDC_ALGORITHMS: 'HS256' }, 'VAFA_OIDC_ALGORITHMS must be a list'],
  ])('does not start %s', async (_name, more, message) => {
    const written = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    expect(await runService(membersService, { ...env, ...more })).toBe(EXIT.misconfigured);
    expect(written.mock.calls.join('')).toContain(message);
  });

  it('does not start where the provider is another than the settings say', async () => {
    provider.discovery = { issuer: 'https://elsewhere.example' };
    expect(await runService(membersService, env)).toBe(EXIT.failed);
  });
});
