/** What became of the rows of a file. Every row of it is in exactly one of the numbers under `rows`. */
export type Counts = {
  /** Rows read: the sum of what follows up to `rejected`. */
  rows: number;
  /** In the ledger. */
  taken: number;
  /** Recorded; their member is not enrolled yet. */
  waiting: number;
  /** Recorded without a member. */
  anonymous: number;
  /** The same purchase had come with other content: both are kept for a person, nothing changed. */
  conflict: number;
  /** Recorded, set aside for a person. */
  quarantined: number;
  /** Refused by the club. */
  refused: number;
  /** Left out, as the map says. */
  skipped: number;
  /** Not sent: the row cannot be used. */
  rejected: number;
  /** Of those taken: the ones that earned something. */
  withPoints: number;
  points: number;
  membersEnrolled: number;
  /** Members that the file names and that were enrolled before. */
  membersKnown: number;
  /** Rows left out, by the reason that the map gives. */
  skippedBecause: Record<string, number>;
};

export const OUTCOME_STATUSES = ['taken', 'waiting', 'anonymous', 'conflict', 'quarantined', 'refused'] as const;
export type OutcomeStatus = (typeof OUTCOME_STATUSES)[number];

export const noCounts = (): Counts => ({
  rows: 0,
  taken: 0,
  waiting: 0,
  anonymous: 0,
  conflict: 0,
  quarantined: 0,
  refused: 0,
  skipped: 0,
  rejected: 0,
  withPoints: 0,
  points: 0,
  membersEnrolled: 0,
  membersKnown: 0,
  skippedBecause: {},
});

/** Adds one to the other, in place. */
export const addCounts = (sum: Counts, more: Counts): void => {
  for (const [name, value] of Object.entries(more)) {
    const key = name as keyof Counts;
    if (key !== 'skippedBecause') sum[key] += value as number;
  }
  for (const [because, count] of Object.entries(more.skippedBecause))
    sum.skippedBecause[because] = (sum.skippedBecause[because] ?? 0) + count;
};

/** True where every row came to where it belongs without anybody having to look at it. */
export const isClean = (counts: Counts): boolean =>
  counts.rejected + counts.refused + counts.conflict + counts.quarantined === 0;
