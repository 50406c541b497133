import { jwtVerify, type CryptoKey, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { PROBLEMS, ProblemException } from '../http/problems.js';
import { ALGORITHM, AUDIENCE, EMBEDDED_ISSUER, type EmbeddedIssuer } from './issuer.js';
import { ROLES, type Principal, type Role } from './permissions.js';

const TOKENS_CACHED_MAX = 10_000;
const TOKEN_LENGTH_MAX = 4_096;
const CLOCK_TOLERANCE_SECONDS = 5;

export type VerifierOptions = {
  readonly issuer: string;
  readonly audience: string;
  readonly key: CryptoKey | JWTVerifyGetKey;
};

/**
 * Tells who a bearer token speaks for. A token that was verified is remembered until it expires, so that only its first
 * request pays for the signature; the memory is bounded, and the least recently used goes first.
 */
export class TokenVerifier {
  private readonly verified = new Map<string, { principal: Principal; expiresAtMs: number }>();

  constructor(private readonly options: VerifierOptions) {}

  /** The verifier of the tokens that this issuer mints; in production it believes none of them. */
  static of(issuer: EmbeddedIssuer): TokenVerifier {
    const untrusted = (): never => {
      throw new Error('The embedded issuer is not trusted where VAFA_ENVIRONMENT is production');
    };
    const key = issuer.production ? untrusted : issuer.publicKey;
    return new TokenVerifier({ issuer: EMBEDDED_ISSUER, audience: AUDIENCE, key });
  }

  /** The answer for a token verified before, at once; undefined where `verify` has to look. */
  remembered(token: string): Principal | undefined {
    const found = this.verified.get(token);
    if (!found) return undefined;
    this.verified.delete(token);
    // Token lifetimes are system time, whatever the business clock says.
    if (found.expiresAtMs <= Date.now()) return undefined;
    this.verified.set(token, found);
    return found.principal;
  }

  /** Checks signature, issuer, audience, times and claims. @throws ProblemException 401. */
  async verify(token: string): Promise<Principal> {
    const known = this.remembered(token);
    if (known) return known;
    if (token.length > TOKEN_LENGTH_MAX) throw unauthenticated('The token is too long.');
    const payload = await this.payload(token);
    const principal = principalOf(payload);
    this.verified.set(token, { principal, expiresAtMs: (payload.exp ?? 0) * 1_000 });
    if (this.verified.size > TOKENS_CACHED_MAX) this.forgetOldest();
    return principal;
  }

  private async payload(token: string): Promise<JWTPayload> {
    const { key, issuer, audience } = this.options;
    const options = {
      issuer,
      audience,
      algorithms: [ALGORITHM, 'RS256', 'EdDSA'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      requiredClaims: ['exp', 'sub'],
    };
    try {
      const { payload } =
        typeof key === 'function' ? await jwtVerify(token, key, options) : await jwtVerify(token, key, options);
      return payload;
    } catch (error) {
      const expired = error instanceof Error && 'code' in error && error.code === 'ERR_JWT_EXPIRED';
      throw unauthenticated(expired ? 'The token has expired.' : 'The token is not valid.', error);
    }
  }

  private forgetOldest(): void {
    const oldest = this.verified.keys().next();
    if (!oldest.done) this.verified.delete(oldest.value);
  }
}

const principalOf = (payload: JWTPayload): Principal => {
  const { role, member_id: memberId = null, client_id: clientId, sub } = payload;
  if (!isRole(role)) throw unauthenticated('The token names no role that is known here.');
  if (memberId !== null && (typeof memberId !== 'string' || memberId === ''))
    throw unauthenticated('The token names its member wrongly.');
  if ((role === 'member') !== (memberId !== null))
    throw unauthenticated('A token of the role member, and no other, names its member.');
  const subject = sub ?? '';
  return Object.freeze({ subject, role, memberId, clientId: typeof clientId === 'string' ? clientId : subject });
};

const isRole = (value: unknown): value is Role => ROLES.some((role) => role === value);

/** 401, with the challenge that RFC 6750 asks for. */
export const unauthenticated = (detail: string, cause?: unknown): ProblemException =>
  new ProblemException(PROBLEMS.unauthenticated, {
    detail,
    cause,
    headers: { 'www-authenticate': 'Bearer realm="vafa", error="invalid_token"' },
  });
