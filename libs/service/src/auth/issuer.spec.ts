import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { SignJWT, generateKeyPair, type CryptoKey } from 'jose';
import { openDeadLetterKey } from '../key-file.js';
import { EmbeddedIssuer } from './issuer.js';
import { OWN_CLAIMS } from './claims.js';
import { TokenVerifier, type TrustedIssuer } from './verifier.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vafa keys '));
});

afterEach(async () => {
  jest.useRealTimers();
  await rm(folder, { recursive: true });
});

const open = (production = false): Promise<EmbeddedIssuer> => EmbeddedIssuer.open({ folder, production });

describe('the embedded issuer', () => {
  it('keeps its key for itself, and across starts', async () => {
    const token = await (await open()).mint({ role: 'member', memberId: 'm1', clientId: 'app' });
    const { mode } = await stat(join(folder, 'issuer.jwk.json'));
    expect(mode & 0o777).toBe(0o600);
    expect(await TokenVerifier.of(await open()).verify(token)).toEqual({
      subject: 'm1',
      role: 'member',
      memberId: 'm1',
      clientId: 'app',
    });
  });

  it('makes one key where two start at once', async () => {
    const [one, other] = await Promise.all([open(), open()]);
    const token = await one.mint({ role: 'admin' });
    await expect(TokenVerifier.of(other).verify(token)).resolves.toMatchObject({ role: 'admin' });
    expect(await readdir(folder)).toEqual(['issuer.jwk.json']);
  });

  it('says which file is broken', async () => {
    await writeFile(join(folder, 'issuer.jwk.json'), '{');
    await expect(open()).rejects.toThrow(/issuer\.jwk\.json cannot be read/);
  });

  it('mints nothing in production, and what it minted before is not believed', async () => {
    const token = await (await open()).mint({ role: 'admin' });
    await expect((await open(true)).mint({ role: 'admin' })).rejects.toThrow(/production/);
    await expect(TokenVerifier.of(await open(true)).verify(token)).rejects.toMatchObject({ kind: { status: 401 } });
  });

  it('refuses what makes no sense', async () => {
    const issuer = await open();
    await expect(issuer.mint({ role: 'member' })).rejects.toThrow(/member/);
    await expect(issuer.mint({ role: 'admin', memberId: 'm1' })).rejects.toThrow(/member/);
    await expect(issuer.mint({ role: 'admin', expiresIn: 0 })).rejects.toThrow(RangeError);
  });
});

const trusted = (key: CryptoKey): TrustedIssuer => ({
  issuer: 'i',
  audiences: ['a'],
  algorithms: ['ES256'],
  clockSkewSeconds: 0,
  key,
  claims: OWN_CLAIMS,
});

describe('the verifier', () => {
  it('remembers a token until it expires', async () => {
    const issuer = await EmbeddedIssuer.ephemeral();
    const verifier = TokenVerifier.of(issuer);
    const token = await issuer.mint({ role: 'cashier', expiresIn: 60 });
    expect(verifier.remembered(token)).toBeUndefined();
    const principal = await verifier.verify(token);
    expect(verifier.remembered(token)).toBe(principal);
    jest.useFakeTimers({ now: Date.now() + 70_000 });
    expect(verifier.remembered(token)).toBeUndefined();
    await expect(verifier.verify(token)).rejects.toMatchObject({ message: 'The token has expired.' });
  });

  it.each([
    ['no role', { client_id: 'x' }],
    ['an unknown role', { role: 'root' }],
    ['a member without an id', { role: 'member' }],
    ['a role that is a number', { role: 1 }],
    ['an empty subject', { role: 'admin', sub: '' }],
    ['a subject with a line break', { role: 'admin', sub: 'a\nb' }],
  ])('refuses a token with %s', async (_name, claims) => {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    const verifier = new TokenVerifier([trusted(publicKey)]);
    const jwt = new SignJWT({ sub: 's', ...claims })
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuer('i')
      .setAudience('a');
    const token = await jwt.setExpirationTime('1m').sign(privateKey);
    await expect(verifier.verify(token)).rejects.toMatchObject({ kind: { status: 401 } });
  });

  it('refuses an unsigned token, another audience, and one without an end', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    const verifier = new TokenVerifier([trusted(publicKey)]);
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const unsigned = `${part({ alg: 'none' })}.${part({ role: 'admin', sub: 's', iss: 'i', aud: 'a', exp: 9e9 })}.`;
    const claims = (audience: string): SignJWT =>
      new SignJWT({ role: 'admin' })
        .setProtectedHeader({ alg: 'ES256' })
        .setSubject('s')
        .setIssuer('i')
        .setAudience(audience);
    const elsewhere = await claims('b').setExpirationTime('1m').sign(privateKey);
    const endless = await claims('a').sign(privateKey);
    for (const token of [unsigned, elsewhere, endless, 'x'.repeat(5_000)])
      await expect(verifier.verify(token)).rejects.toMatchObject({ kind: { status: 401 } });
  });
});

describe('the key of the dead letters', () => {
  it('is the one given, or one that is kept', async () => {
    const given = '0f'.repeat(32);
    expect((await openDeadLetterKey(folder, given)).toString('hex')).toBe(given);
    const kept = await openDeadLetterKey(folder, null);
    expect(kept).toHaveLength(32);
    expect(await openDeadLetterKey(folder, null)).toEqual(kept);
  });
});
