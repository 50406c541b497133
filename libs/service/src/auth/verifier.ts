import { decodeJwt, jwtVerify, type CryptoKey, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { ProblemException } from '../http/problems.js';
import { OWN_CLAIMS, principalOf, type ClaimNames } from './claims.js';
import { ALGORITHM, AUDIENCE, EMBEDDED_ISSUER, type EmbeddedIssuer } from './issuer.js';
import type { Principal } from './permissions.js';
import { unauthenticated } from './unauthenticated.js';

const TOKENS_CACHED_MAX = 10_000;
const TOKEN_LENGTH_MAX = 8_192;
/** After this long a token is verified anew, so that a key that was withdrawn does not live on in what was verified with it. */
const REMEMBERED_MS = 5 * 60_000;
const CLOCK_SKEW_SECONDS = 5;

/** Whose tokens are believed, and how they are read. */
export type TrustedIssuer = {
  /** As in `iss`. */
  readonly issuer: string;
  /** What `aud` must hold one of. */
  readonly audiences: readonly string[];
  /** The signatures that are accepted; `none` is never one. */
  readonly algorithms: readonly string[];
  /** How far clocks may be apart, in seconds. */
  readonly clockSkewSeconds: number;
  readonly key: CryptoKey | JWTVerifyGetKey;
  readonly claims: ClaimNames;
  /** Rejects while its tokens cannot be verified; missing where they always can. */
  check?(): Promise<void>;
  close?(): void;
};

/**
 * Tells who a bearer token speaks for. A token that was verified is remembered for five minutes at most, so that only one of
 * its requests pays for the signature; the memory is bounded, and the least recently used goes first.
 */
export class TokenVerifier {
  private readonly verified = new Map<string, { principal: Principal; until: number }>();

  /** @param issuers whose tokens are believed; with none, nobody gets in. */
  constructor(readonly issuers: readonly TrustedIssuer[]) {}

  /** The verifier of the tokens that this issuer mints; in production it believes none of them. */
  static of(issuer: EmbeddedIssuer): TokenVerifier {
    return new TokenVerifier(issuer.production ? [] : [embedded(issuer)]);
  }

  /** The answer for a token verified before, at once; undefined where `verify` has to look. */
  remembered(token: string): Principal | undefined {
    const found = this.verified.get(token);
    if (!found) return undefined;
    this.verified.delete(token);
    // Token lifetimes are system time, whatever the business clock says.
    if (found.until <= Date.now()) return undefined;
    this.verified.set(token, found);
    return found.principal;
  }

  /** Checks signature, issuer, audience, times and claims. @throws ProblemException 401; 503 where the issuer's keys cannot be had. */
  async verify(token: string): Promise<Principal> {
    const known = this.remembered(token);
    if (known) return known;
    if (token.length > TOKEN_LENGTH_MAX) throw unauthenticated('The token is too long.');
    const issuer = this.issuerOf(token);
    const payload = await payloadOf(token, issuer);
    const principal = principalOf(payload, issuer.claims);
    this.verified.set(token, { principal, until: Math.min((payload.exp ?? 0) * 1_000, Date.now() + REMEMBERED_MS) });
    if (this.verified.size > TOKENS_CACHED_MAX) this.forgetOldest();
    return principal;
  }

  /** Stops what the issuers do by themselves. */
  close(): void {
    for (const issuer of this.issuers) issuer.close?.();
  }

  /** The issuer that a token names, believed only once the signature is found to be that issuer's. */
  private issuerOf(token: string): TrustedIssuer {
    const named = claimedIssuer(token);
    const issuer = this.issuers.find((one) => one.issuer === named);
    if (issuer === undefined) throw unauthenticated('The token is not of an issuer that is trusted here.');
    return issuer;
  }

  private forgetOldest(): void {
    const oldest = this.verified.keys().next();
    if (!oldest.done) this.verified.delete(oldest.value);
  }
}

/** The embedded issuer as one that is trusted. */
export const embedded = ({ publicKey }: EmbeddedIssuer): TrustedIssuer => ({
  issuer: EMBEDDED_ISSUER,
  audiences: [AUDIENCE],
  algorithms: [ALGORITHM],
  clockSkewSeconds: CLOCK_SKEW_SECONDS,
  key: publicKey,
  claims: OWN_CLAIMS,
});

const claimedIssuer = (token: string): string | undefined => {
  try {
    return decodeJwt(token).iss;
  } catch (error) {
    throw unauthenticated('The token is not valid.', error);
  }
};

const payloadOf = async (token: string, trusted: TrustedIssuer): Promise<JWTPayload> => {
  const { key, issuer } = trusted;
  const options = {
    issuer,
    audience: [...trusted.audiences],
    algorithms: [...trusted.algorithms],
    clockTolerance: trusted.clockSkewSeconds,
    requiredClaims: ['exp', 'sub'],
  };
  try {
    const { payload } =
      typeof key === 'function' ? await jwtVerify(token, key, options) : await jwtVerify(token, key, options);
    return payload;
  } catch (error) {
    if (error instanceof ProblemException) throw error;
    const expired = error instanceof Error && 'code' in error && error.code === 'ERR_JWT_EXPIRED';
    throw unauthenticated(expired ? 'The token has expired.' : 'The token is not valid.', error);
  }
};
