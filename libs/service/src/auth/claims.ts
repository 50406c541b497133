import type { JWTPayload } from 'jose';
import { ROLES, type Principal, type Role } from './permissions.js';
import { unauthenticated } from './unauthenticated.js';

/** Where a token says what we ask of it. */
export type ClaimNames = {
  /** The claim with the role or the roles: a name, or a path with dots such as `realm_access.roles`. */
  readonly role: string;
  /** The claim with the member's id, likewise. */
  readonly member: string;
  /** Our role for each of the issuer's, the weightiest first: of several roles in a token the first here holds. */
  readonly roles: ReadonlyMap<string, Role>;
};

/** The claims as the embedded issuer writes them. */
export const OWN_CLAIMS: ClaimNames = {
  role: 'role',
  member: 'member_id',
  roles: new Map(ROLES.map((role) => [role, role])),
};

/** OpenID Connect's own limit of a subject, taken for every name in a token. */
const NAME_LENGTH_MAX = 255;

/** Who a verified token speaks for. @throws ProblemException 401 where it does not say so, or names no role that is known here. */
export const principalOf = (payload: JWTPayload, names: ClaimNames): Principal => {
  const { sub, client_id: client, azp } = payload;
  if (!isName(sub)) throw unauthenticated('The token names its subject wrongly.');
  const role = roleOf(claimOf(payload, names.role), names.roles);
  if (role === undefined) throw unauthenticated('The token names no role that is known here.');
  const memberId = claimOf(payload, names.member);
  if (role === 'member' && !isName(memberId)) throw unauthenticated('The token of a member does not name its member.');
  return Object.freeze({
    subject: sub,
    role,
    // Staff may be members as well; here they are staff.
    memberId: role === 'member' ? (memberId as string) : null,
    clientId: [client, azp].find(isName) ?? sub,
  });
};

const isName = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= NAME_LENGTH_MAX && !/[\p{Cc}\p{Cs}]/u.test(value);

/** A claim by its name, or else by its path: some issuers have dots in their names. */
const claimOf = (payload: JWTPayload, name: string): unknown => {
  if (Object.hasOwn(payload, name)) return payload[name];
  return name
    .split('.')
    .reduce<unknown>(
      (value, part) =>
        typeof value === 'object' && value !== null && Object.hasOwn(value, part)
          ? (value as Record<string, unknown>)[part]
          : undefined,
      payload,
    );
};

const roleOf = (claim: unknown, roles: ReadonlyMap<string, Role>): Role | undefined => {
  const given = new Set<unknown>(
    Array.isArray(claim) ? claim : typeof claim === 'string' ? [claim, ...claim.split(' ')] : [],
  );
  for (const [name, role] of roles) if (given.has(name)) return role;
  return undefined;
};
