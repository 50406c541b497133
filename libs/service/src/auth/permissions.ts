/** What a bearer token may say its holder is. */
export const ROLES = [
  'admin',
  'marketer',
  'support',
  'cashier',
  'moderator',
  'finance',
  'auditor',
  'analyst',
  'service',
  'member',
] as const;

export type Role = (typeof ROLES)[number];

/**
 * The whole permission matrix: what may be done, and by whom. Who is not named may not. `member` always means
 * the member's own data only: routes that name a member check that besides.
 */
export const PERMISSIONS = {
  'members:enrol': ['admin', 'support', 'cashier', 'service'],
  'members:read': ['admin', 'marketer', 'support', 'cashier', 'auditor', 'service', 'member'],
  'members:write': ['admin', 'support', 'service'],
  'purchases:write': ['admin', 'cashier', 'service'],
  'purchases:read': ['admin', 'support', 'cashier', 'finance', 'auditor', 'service', 'member'],
  'purchases:preview': ['admin', 'marketer', 'support', 'cashier', 'service', 'member'],
  'purchases:claim': ['admin', 'support', 'cashier', 'service', 'member'],
  'returns:write': ['admin', 'cashier', 'service'],
  'returns:read': ['admin', 'support', 'cashier', 'finance', 'auditor', 'service', 'member'],
  'activities:write': ['admin', 'cashier', 'service'],
  'activities:read': ['admin', 'support', 'cashier', 'auditor', 'service', 'member'],
  'inbox:read': ['admin', 'support', 'auditor'],
  'inbox:settle': ['admin', 'support'],
  'points:read': ['admin', 'support', 'cashier', 'finance', 'auditor', 'service', 'member'],
  'points:adjust': ['admin', 'support', 'service'],
  'periods:read': ['admin', 'support', 'finance', 'auditor'],
  'periods:close': ['admin', 'finance'],
  'programme:read': ['admin', 'marketer', 'support', 'finance', 'auditor', 'analyst', 'service', 'member'],
  'programme:write': ['admin', 'marketer'],
  'dead-letters:read': ['admin', 'auditor'],
  'dead-letters:settle': ['admin'],
  'audit:read': ['admin', 'auditor'],
  'operations:read': ['admin', 'auditor', 'service'],
  'operations:write': ['admin'],
  'clock:read': ROLES,
  'clock:write': ['admin'],
} as const satisfies Readonly<Record<string, readonly Role[]>>;

export type PermissionName = keyof typeof PERMISSIONS;

/** Who may call a route: everybody, or who has the permission. A route that says neither answers 403 to everybody. */
export type Access = 'public' | PermissionName;

/** Whether people who work for the club have this role: what they change is audited. Programs and members act for themselves. */
export const isStaff = (role: Role | 'operator'): boolean => role !== 'service' && role !== 'member';

/** Who a verified token speaks for. */
export type Principal = {
  readonly subject: string;
  readonly role: Role;
  /** The member that a `member` token belongs to, else null. */
  readonly memberId: string | null;
  /** The program that asked: the `source` of bare purchases. */
  readonly clientId: string;
};

const rolesOf: ReadonlyMap<string, ReadonlySet<Role>> = new Map(
  Object.entries(PERMISSIONS).map(([name, roles]) => [name, new Set<Role>(roles)]),
);

/** Whether the matrix lets this role do that. */
export const allows = (role: Role, permission: PermissionName): boolean => rolesOf.get(permission)?.has(role) ?? false;

/** Whether this principal may touch this member's data at all: members reach only their own. */
export const reaches = (principal: Principal, memberId: string): boolean =>
  principal.role !== 'member' || principal.memberId === memberId;
