import type { Logger } from '../logger.js';
import { EmbeddedIssuer } from './issuer.js';
import { OidcIssuer, type OidcOptions } from './oidc.js';
import { TokenVerifier, embedded } from './verifier.js';

export type VerifierSettings = {
  /** The OpenID provider, where there is one. */
  readonly oidc: OidcOptions | null;
  readonly production: boolean;
  /** Where the key of the embedded issuer is kept. */
  readonly folder: string;
  readonly logger: Logger;
};

/**
 * The verifier of the tokens that this process believes: the provider's, and outside production those of the embedded
 * issuer as well, so that the commands go on working. @throws IssuerFault where the provider answers with what cannot be right.
 */
export const openVerifier = async ({ oidc, production, folder, logger }: VerifierSettings): Promise<TokenVerifier> => {
  const own = production ? [] : [embedded(await EmbeddedIssuer.open({ folder, production }))];
  if (production && oidc === null)
    logger.warn(
      'no issuer of tokens is trusted: in production VAFA_OIDC_ISSUER names one; every request with a token gets 401',
    );
  return new TokenVerifier(oidc === null ? own : [...own, await OidcIssuer.open(oidc, logger)]);
};
