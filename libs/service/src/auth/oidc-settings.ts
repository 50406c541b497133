import {
  ConfigError,
  defineConfig,
  integer,
  listOf,
  oneOf,
  setting,
  text,
  type ConfigOf,
  type Parser,
} from '../config.js';
import { OWN_CLAIMS } from './claims.js';
import { isSafeUrl } from './fetch-json.js';
import type { OidcOptions } from './oidc.js';
import { ROLES, type Role } from './permissions.js';

/** Signatures by a private key only: with a shared secret whoever verifies could sign. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const;

const issuerUrl: Parser<string> = {
  expected: 'a URL with https, without query and fragment (http on this machine only)',
  parse: (value) => (isSafeUrl(value) && !/[?#]/.test(value) ? value : undefined),
};

const roleNames: Parser<ReadonlyMap<string, Role>> = {
  expected: `a list with commas of NAME=ROLE, each role one of ${ROLES.join(', ')}`,
  parse(value) {
    const pairs = value.split(',').map((pair) => /^(.+)=([a-z]+)$/.exec(pair.trim()));
    const entries = pairs.flatMap((pair): [string, Role][] => {
      const role = ROLES.find((one) => one === pair?.[2]);
      return pair?.[1] !== undefined && role !== undefined ? [[pair[1].trim(), role]] : [];
    });
    return entries.length === pairs.length ? new Map(entries) : undefined;
  },
};

/** Whose tokens are believed besides those of the embedded issuer, which are not believed in production. */
export const oidcConfig = defineConfig({
  issuer: setting('VAFA_OIDC_ISSUER', issuerUrl, {
    default: null,
    description: 'the OpenID provider whose tokens are believed, exactly as in their claim iss',
  }),
  audiences: setting('VAFA_OIDC_AUDIENCE', listOf(text({ maxLength: 255 })), {
    default: null,
    description: 'what the claim aud of its tokens must hold: the name of this API there; one of several, with commas',
  }),
  roleClaim: setting('VAFA_OIDC_ROLE_CLAIM', text({ maxLength: 255 }), {
    default: OWN_CLAIMS.role,
    description: 'the claim with the role or roles, a path with dots where it lies deeper, e.g. realm_access.roles',
  }),
  roles: setting('VAFA_OIDC_ROLES', roleNames, {
    default: null,
    description:
      'our role for each of the provider’s, e.g. shop-staff=cashier; of several in a token the first here holds; by default they have our names',
  }),
  memberClaim: setting('VAFA_OIDC_MEMBER_CLAIM', text({ maxLength: 255 }), {
    default: OWN_CLAIMS.member,
    description: 'the claim with the id of the member, for the role member',
  }),
  algorithms: setting('VAFA_OIDC_ALGORITHMS', listOf(oneOf(...ALGORITHMS)), {
    default: ['RS256', 'PS256', 'ES256', 'EdDSA'],
    description: 'the signatures that are accepted',
  }),
  clockSkewSeconds: setting('VAFA_OIDC_CLOCK_SKEW_SECONDS', integer({ min: 0, max: 300 }), {
    default: 10,
    description: 'how far the provider’s clock may be from ours',
  }),
});

/** The issuer that the settings name, null where they name none. @throws ConfigError for half of it. */
export const oidcOptions = (config: ConfigOf<typeof oidcConfig>): OidcOptions | null => {
  const { issuer, audiences, algorithms, clockSkewSeconds } = config;
  if (issuer === null && audiences === null) return null;
  if (issuer === null) throw missing('VAFA_OIDC_ISSUER', 'VAFA_OIDC_AUDIENCE');
  if (audiences === null) throw missing('VAFA_OIDC_AUDIENCE', 'VAFA_OIDC_ISSUER');
  const claims = { role: config.roleClaim, member: config.memberClaim, roles: config.roles ?? OWN_CLAIMS.roles };
  return { issuer, audiences, algorithms, clockSkewSeconds, claims };
};

const missing = (name: string, beside: string): ConfigError =>
  new ConfigError([{ name, detail: `${name} is not set: ${beside} needs it` }]);
