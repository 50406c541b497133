import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { PROBLEMS, ProblemException } from '../http/problems.js';
import type { Logger } from '../logger.js';
import type { ClaimNames } from './claims.js';
import { fetchJson, isSafeUrl, IssuerFault } from './fetch-json.js';
import type { TrustedIssuer } from './verifier.js';

/** Keys are asked for again so often, so that one that the issuer has withdrawn is not believed for long. */
const REFRESH_MS = 10 * 60_000;
/** The pause before asking again while there are none yet, and the least between two requests, whatever unknown keys come. */
const RETRY_MS = 5_000;
/** While the issuer is away its last keys hold for so long. */
const KEYS_AGE_MAX_MS = 24 * 60 * 60_000;

export type OidcOptions = {
  /** As in `iss`, exactly; its discovery document is asked for. */
  readonly issuer: string;
  /** What `aud` must hold one of. */
  readonly audiences: readonly string[];
  readonly algorithms: readonly string[];
  /** How far clocks may be apart, in seconds. */
  readonly clockSkewSeconds: number;
  readonly claims: ClaimNames;
};

type Keys = { readonly find: JWTVerifyGetKey; readonly at: number };
type Periods = {
  readonly refreshMs: number;
  readonly retryMs: number;
  readonly ageMaxMs: number;
};
const PERIODS: Periods = {
  refreshMs: REFRESH_MS,
  retryMs: RETRY_MS,
  ageMaxMs: KEYS_AGE_MAX_MS,
};

/** An OpenID provider whose tokens are believed: its keys by discovery, kept, and followed when they change. */
export class OidcIssuer implements TrustedIssuer {
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly algorithms: readonly string[];
  readonly clockSkewSeconds: number;
  readonly claims: ClaimNames;
  private keys: Keys | null = null;
  private askedAt = -Infinity;
  private asking: Promise<void> | null = null;
  private failure: unknown = null;
  private timer: NodeJS.Timeout | null = null;

  private constructor(
    options: OidcOptions,
    private readonly logger: Logger,
    private readonly periods: Periods,
  ) {
    this.issuer = options.issuer;
    this.audiences = options.audiences;
    this.algorithms = options.algorithms;
    this.clockSkewSeconds = options.clockSkewSeconds;
    this.claims = options.claims;
  }

  /**
   * Asks for the keys once. An issuer that is away is no reason not to start: readiness says so, and it is asked again.
   * @throws IssuerFault where it answers with what cannot be right.
   */
  static async open(options: OidcOptions, logger: Logger, periods: Partial<Periods> = {}): Promise<OidcIssuer> {
    const opened = new OidcIssuer(options, logger, { ...PERIODS, ...periods });
    await opened.ask();
    if (opened.failure instanceof IssuerFault) throw opened.failure;
    opened.schedule();
    return opened;
  }

  /** The key that a token was signed with. One that is not known may be new: then the issuer is asked, but not all the time. */
  readonly key: JWTVerifyGetKey = async (header, token) => {
    if (this.current === null) await this.askInTime();
    const { current } = this;
    if (current === null) throw away(this.failure);
    try {
      return await current.find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || !(await this.askInTime())) throw error;
      return (this.current ?? current).find(header, token);
    }
  };

  /** @throws where no key may be used: nobody's token can be verified then. */
  check(): Promise<void> {
    return this.current === null ? Promise.reject(away(this.failure)) : Promise.resolve();
  }

  /** Asks no more. */
  close(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
  }

  private get current(): Keys | null {
    return this.keys !== null && Date.now() - this.keys.at <= this.periods.ageMaxMs ? this.keys : null;
  }

  /** Whether the keys are newer than they were. */
  private async askInTime(): Promise<boolean> {
    const before = this.keys;
    if (this.asking === null && performance.now() - this.askedAt < this.periods.retryMs) return false;
    await this.ask();
    return this.keys !== before;
  }

  private ask(): Promise<void> {
    this.askedAt = performance.now();
    this.asking ??= this.load()
      .then(
        () => (this.failure = null),
        (err: unknown) => {
          this.failure = err;
          this.logger.warn({ err, issuer: this.issuer }, 'the keys of the issuer could not be had');
        },
      )
      .then(() => void (this.asking = null));
    return this.asking;
  }

  private async load(): Promise<void> {
    const url = `${this.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const { issuer, jwks_uri: keysUrl } = fieldsOf(await fetchJson(url));
    if (issuer !== this.issuer)
      throw new IssuerFault(
        `${url} is that of the issuer ${String(issuer)}, not of ${this.issuer}: they must be the same`,
      );
    if (typeof keysUrl !== 'string' || !isSafeUrl(keysUrl))
      throw new IssuerFault(`${url} names no jwks_uri with https (http on this machine only)`);
    const keys = fieldsOf(await fetchJson(keysUrl));
    if (!Array.isArray(keys['keys']) || keys['keys'].length === 0) throw new IssuerFault(`${keysUrl} has no keys`);
    this.keys = { find: createLocalJWKSet(keys as unknown as JSONWebKeySet), at: Date.now() };
  }

  private schedule(): void {
    const ms = this.keys === null ? this.periods.retryMs : this.periods.refreshMs;
    this.timer = setTimeout(() => void this.ask().then(() => this.timer && this.schedule()), ms).unref();
  }
}

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

const away = (cause: unknown): ProblemException =>
  new ProblemException(PROBLEMS.unavailable, {
    detail: 'The keys of the identity provider cannot be had at the moment.',
    cause,
    headers: { 'retry-after': '5' },
  });
