import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SignJWT, exportJWK, generateKeyPair, type CryptoKey, type JWK } from 'jose';

export const IDENTITY_PROVIDER_AUDIENCE = 'https://club.example/api';

type SigningKey = { readonly kid: string; readonly alg: string; readonly privateKey: CryptoKey; readonly jwk: JWK };

/** An OpenID provider on this machine, as far as a service that verifies tokens meets one: discovery, keys, and tokens signed with them. */
export class IdentityProvider {
  /** What differs from a discovery document that is right. */
  discovery: Readonly<Record<string, unknown>> = {};
  /** Requests for its keys so far. */
  keysAsked = 0;
  private keys: SigningKey[] = [];
  private kids = 0;
  private server: Server | null = null;
  private port = 0;

  /** Starts one with one key. */
  static async start(alg = 'RS256'): Promise<IdentityProvider> {
    const provider = new IdentityProvider();
    await provider.rotate(alg);
    await provider.comeBack();
    return provider;
  }

  get issuer(): string {
    return `http://127.0.0.1:${this.port}/club`;
  }

  /** Replaces its keys by a new one. */
  async rotate(alg = 'RS256'): Promise<void> {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
    const kid = `key-${++this.kids}`;
    this.keys = [{ kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }];
  }

  /** An access token for five minutes, unless the claims say otherwise. A claim that is undefined is left out. */
  async token(claims: Readonly<Record<string, unknown>> = {}, header: { readonly kid?: string } = {}): Promise<string> {
    const [key] = this.keys;
    if (key === undefined) throw new Error('the provider has no key');
    const now = Math.floor(Date.now() / 1_000);
    const all = { iss: this.issuer, aud: IDENTITY_PROVIDER_AUDIENCE, sub: 'anna', iat: now, exp: now + 300, ...claims };
    return new SignJWT(all)
      .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'at+jwt', ...header })
      .sign(key.privateKey);
  }

  /** Answers nobody any more. */
  async goAway(): Promise<void> {
    const { server } = this;
    this.server = null;
    server?.closeAllConnections();
    await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
  }

  /** Answers again, under the same address. */
  async comeBack(): Promise<void> {
    const server = createServer((request, response) => {
      const answer = this.answerTo(request.url ?? '');
      response.writeHead(answer === null ? 404 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer));
    });
    this.server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(this.port, '127.0.0.1', resolve);
    });
    this.port = (server.address() as AddressInfo).port;
  }

  private answerTo(path: string): unknown {
    const { issuer } = this;
    if (path === '/club/.well-known/openid-configuration')
      return { issuer, jwks_uri: `${issuer}/keys`, ...this.discovery };
    if (path !== '/club/keys') return null;
    this.keysAsked++;
    return { keys: this.keys.map(({ jwk }) => jwk) };
  }
}
