import { assertNever } from '@vafa/event-sourcing';

/** Why something lies in the inbox. */
export const INBOX_STATUSES = ['waiting', 'conflict', 'quarantined'] as const;
export type InboxStatus = (typeof INBOX_STATUSES)[number];

/** What a person can do about it. `claim` is how a member comes to a purchase that was nobody's. */
export const INBOX_ACTIONS = ['keep', 'replace', 'attach', 'approve', 'discard'] as const;
export type InboxAction = (typeof INBOX_ACTIONS)[number];

export type InboxMatter = {
  readonly kind: 'purchase' | 'return' | 'activity';
  readonly status: InboxStatus;
  /** The purchase that a return names; null for everything else. */
  readonly purchaseId: string | null;
  /** The member as the sender named it. */
  readonly reference: string | null;
};

/** What can be done about something in the inbox, the most harmless first. */
export const actionsFor = ({ kind, status, purchaseId, reference }: InboxMatter): readonly InboxAction[] => {
  switch (status) {
    case 'conflict':
      // What a return has taken cannot be given back and taken otherwise: what is right is sent under an id of its own.
      return kind === 'return' ? ['keep'] : ['keep', 'replace'];
    case 'waiting':
      return ['attach', 'discard'];
    case 'quarantined':
      // Approved without a purchase, a return goes back over its member's purchases, from the latest.
      return [
        ...(purchaseId === null ? (['attach'] as const) : []),
        ...(purchaseId !== null || reference !== null ? (['approve'] as const) : []),
        'discard',
      ];
    default:
      return assertNever(status);
  }
};

export type Difference = {
  /** A JSON Pointer into both contents. */
  readonly pointer: string;
  /** What stands there, absent where nothing does. */
  readonly standing?: unknown;
  readonly other?: unknown;
};

/** Differences told of at most: beyond them two contents have nothing to do with each other. */
export const DIFFERENCES_MAX = 200;

/** Where two JSON values differ, in the order of the one that stands; nothing below a place that differs as a whole. */
export const differencesOf = (standing: unknown, other: unknown): Difference[] => {
  const found: Difference[] = [];
  collect(standing, other, '', found);
  return found.slice(0, DIFFERENCES_MAX);
};

const collect = (standing: unknown, other: unknown, pointer: string, found: Difference[]): void => {
  if (found.length > DIFFERENCES_MAX || standing === other) return;
  if (!isBranch(standing) || !isBranch(other) || Array.isArray(standing) !== Array.isArray(other)) {
    found.push({
      pointer,
      ...(standing === undefined ? {} : { standing }),
      ...(other === undefined ? {} : { other }),
    });
    return;
  }
  for (const name of new Set([...Object.keys(standing), ...Object.keys(other)]))
    collect(valueAt(standing, name), valueAt(other, name), `${pointer}/${escaped(name)}`, found);
};

type Branch = Readonly<Record<string, unknown>>;
const isBranch = (value: unknown): value is Branch => typeof value === 'object' && value !== null;
const valueAt = (branch: Branch, name: string): unknown => (Object.hasOwn(branch, name) ? branch[name] : undefined);

// RFC 6901
const escaped = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');
