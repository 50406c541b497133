import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { IDENTITY_PROVIDER_AUDIENCE, IdentityProvider, eventually } from '@vafa/testing';
import { silentLogger } from '../logger.js';
import { OWN_CLAIMS } from './claims.js';
import { OidcIssuer, type OidcOptions } from './oidc.js';
import type { Role } from './permissions.js';
import { TokenVerifier } from './verifier.js';

let provider: IdentityProvider;
let verifier: TokenVerifier | undefined;

beforeEach(async () => {
  provider = await IdentityProvider.start();
});

afterEach(async () => {
  jest.restoreAllMocks();
  verifier?.close();
  await provider.goAway();
});

type Periods = Parameters<typeof OidcIssuer.open>[2];
const HOUR_MS = 3_600_000;
/** Nothing by itself, and an unknown key may be asked for at any time. */
const STILL: Periods = { refreshMs: HOUR_MS, retryMs: 0, ageMaxMs: HOUR_MS };

const open = async (more: Partial<OidcOptions> = {}, periods: Periods = STILL): Promise<TokenVerifier> => {
  const options: OidcOptions = {
    issuer: provider.issuer,
    audiences: [IDENTITY_PROVIDER_AUDIENCE],
    algorithms: ['RS256', 'ES256'],
    clockSkewSeconds: 10,
    claims: OWN_CLAIMS,
    ...more,
  };
  verifier = new TokenVerifier([await OidcIssuer.open(options, silentLogger(), periods)]);
  return verifier;
};

const refused = { kind: { status: 401 } };
const away = { kind: { status: 503 } };
const past = (seconds: number): number => Math.floor(Date.now() / 1_000) - seconds;

describe('tokens of an OpenID provider', () => {
  it('are believed, and say who somebody is', async () => {
    const { issuers } = await open();
    expect(issuers).toHaveLength(1);
    const staff = await provider.token({ role: 'support', client_id: 'console', member_id: 'm-1' });
    expect(await verifier?.verify(staff)).toEqual({
      subject: 'anna',
      role: 'support',
      memberId: null,
      clientId: 'console',
    });
    const member = await provider.token({ role: 'member', azp: 'app', member_id: 'm-1' });
    expect(await verifier?.verify(member)).toEqual({
      subject: 'anna',
      role: 'member',
      memberId: 'm-1',
      clientId: 'app',
    });
  });

  it('have their role where the settings say, under the name that they say', async () => {
    const roles = new Map<string, Role>([
      ['Club Managers', 'admin'],
      ['till', 'cashier'],
      ['customer', 'member'],
    ]);
    const nested = await open({ claims: { role: 'realm_access.roles', member: 'https://club.example/member', roles } });
    const roleOf = async (given: unknown, more: object = {}): Promise<string> =>
      (await nested.verify(await provider.token({ realm_access: { roles: given }, ...more }))).role;
    expect(await roleOf(['offline', 'till'])).toBe('cashier');
    expect(await roleOf(['till', 'Club Managers'])).toBe('admin');
    expect(await roleOf('openid till')).toBe('cashier');
    expect(await roleOf(['customer'], { 'https://club.example/member': 'm-9' })).toBe('member');
    for (const none of [['admin'], [], 'none', 7, null, { till: true }, undefined])
      await expect(roleOf(none)).rejects.toMatchObject(refused);
    await expect(roleOf(['customer'])).rejects.toMatchObject(refused);
  });

  // As of the moment in which the test runs.
  const wrong: [string, () => Record<string, unknown>][] = [
    ['of another audience', () => ({ aud: 'https://elsewhere.example' })],
    ['of another issuer', () => ({ iss: 'https://elsewhere.example' })],
    ['that has ended', () => ({ exp: past(60) })],
    ['that has not begun', () => ({ nbf: past(-60) })],
    ['without an end', () => ({ exp: undefined })],
    ['without a subject', () => ({ sub: undefined })],
    ['without a role', () => ({ role: undefined })],
    ['of a member without a member', () => ({ role: 'member' })],
  ];

  it.each(wrong)('%s are refused', async (_name, claims) => {
    const opened = await open();
    const token = await provider.token({ role: 'admin', ...claims() });
    await expect(opened.verify(token)).rejects.toMatchObject(refused);
  });

  it('may be as far off as clocks may be apart', async () => {
    const opened = await open();
    await expect(opened.verify(await provider.token({ role: 'admin', exp: past(4) }))).resolves.toBeDefined();
    await expect(opened.verify(await provider.token({ role: 'admin', exp: past(30) }))).rejects.toMatchObject(refused);
  });

  it('are refused with the signature of another, with none, and with one that is not on the list', async () => {
    const opened = await open();
    const other = await IdentityProvider.start();
    const claims = { role: 'admin', iss: provider.issuer };
    const forged = await other.token(claims, { kid: 'key-1' });
    await other.goAway();
    const [, payload = ''] = forged.split('.');
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const unsigned = `${part({ alg: 'none' })}.${payload}.`;
    const shared = `${part({ alg: 'HS256', kid: 'key-1' })}.${payload}.${part('x')}`;
    for (const token of [forged, unsigned, shared, 'a.b.c', 'x'])
      await expect(opened.verify(token)).rejects.toMatchObject(refused);
    await provider.rotate('PS256');
    await expect(opened.verify(await provider.token({ role: 'admin' }))).rejects.toMatchObject(refused);
  });
});

describe('the keys of an OpenID provider', () => {
  it('are followed when they change, and those that are gone are not believed', async () => {
    const opened = await open();
    const old = await provider.token({ role: 'admin' });
    await opened.verify(old);
    await provider.rotate('ES256');
    await expect(opened.verify(await provider.token({ role: 'auditor' }))).resolves.toMatchObject({ role: 'auditor' });
    const another = new TokenVerifier(opened.issuers);
    await expect(another.verify(old)).rejects.toMatchObject(refused);
  });

  it('are asked for by themselves, now and then', async () => {
    await open({}, { ...STILL, refreshMs: 20 });
    await eventually(() => expect(provider.keysAsked).toBeGreaterThan(2));
  });

  it('are not asked for again for every token with an unknown key', async () => {
    const opened = await open({}, { ...STILL, retryMs: HOUR_MS });
    expect(provider.keysAsked).toBe(1);
    for (let i = 0; i < 5; i++)
      await expect(
        opened.verify(await provider.token({ role: 'admin' }, { kid: `made-up-${i}` })),
      ).rejects.toMatchObject(refused);
    expect(provider.keysAsked).toBe(1);
  });

  it('hold while the provider is away, though not for ever', async () => {
    const opened = await open();
    const token = await provider.token({ role: 'admin' });
    const signedLater = await provider.token({ role: 'auditor', sub: 'later' });
    const afterAges = await provider.token({ role: 'finance', sub: 'ages later' });
    await opened.verify(token);
    await provider.goAway();
    await expect(opened.verify(signedLater)).resolves.toMatchObject({ role: 'auditor' });
    await expect(opened.issuers[0]?.check?.()).resolves.toBeUndefined();
    const later = Date.now() + 2 * HOUR_MS;
    jest.spyOn(Date, 'now').mockReturnValue(later);
    await expect(opened.issuers[0]?.check?.()).rejects.toMatchObject(away);
    await expect(opened.verify(afterAges)).rejects.toMatchObject(away);
    await provider.comeBack();
    await expect(opened.verify(afterAges)).resolves.toMatchObject({ role: 'finance' });
  });

  it('are waited for where the provider is away at the start', async () => {
    const token = await provider.token({ role: 'admin' });
    await provider.goAway();
    const opened = await open({}, { ...STILL, retryMs: 30 });
    await expect(opened.issuers[0]?.check?.()).rejects.toMatchObject(away);
    await expect(opened.verify(token)).rejects.toMatchObject(away);
    await provider.comeBack();
    await eventually(() => expect(opened.issuers[0]?.check?.()).resolves.toBeUndefined());
    await expect(opened.verify(token)).resolves.toMatchObject({ role: 'admin' });
  });

  it.each([
    [
      'is of another issuer',
      { issuer: 'https://elsewhere.example' },
      /is that of the issuer https:\/\/elsewhere\.example/,
    ],
    ['names keys without TLS', { jwks_uri: 'http://elsewhere.example/keys' }, /no jwks_uri with https/],
    ['names no keys', { jwks_uri: undefined }, /no jwks_uri/],
  ])('end the start where the discovery document %s', async (_name, discovery, message) => {
    provider.discovery = discovery;
    await expect(open()).rejects.toThrow(message);
  });

  it('end the start where there is no discovery document', async () => {
    await expect(open({ issuer: provider.issuer.replace('/club', '/elsewhere') })).rejects.toThrow(/answers 404/);
  });
});
