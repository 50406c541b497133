/** What somebody asks for who enrols a member. */
export type EnrolmentRequest = {
  /** The shop's own id, opaque; the same one again is the same member. */
  readonly externalId: string | null;
  /** When the member joined; `null` is now. */
  readonly enrolledAt: Temporal.Instant | null;
  /** Where: a shop, a campaign, an import. */
  readonly source: string | null;
  readonly issueCard: boolean;
};

/** Leaving, deactivation and erasure come with their own states. */
export const MEMBER_STATUSES = ['active'] as const;
export type MemberStatus = (typeof MEMBER_STATUSES)[number];

/** Why an enrolment was refused. */
export type EnrolmentRejection = { readonly code: 'idempotency-key-reused' };

/** Members that one request enrols at most. */
export const BATCH_MEMBERS_MAX = 1_000;
