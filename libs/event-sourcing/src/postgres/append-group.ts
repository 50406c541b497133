import { NO_STREAM } from '../event-store.js';
import type { AppendOutcome, NewEvent, Revision } from '../event-store.js';

export type GroupedAppend = {
  readonly streamId: string;
  readonly expected: Revision;
  readonly events: readonly NewEvent[];
};

/** An event of a group on its way into the log. */
export type PlannedEvent = { readonly streamId: string; readonly revision: Revision; readonly event: NewEvent };

/** The ids that stand in the log, by stream and revision. */
export type StoredIds = ReadonlyMap<string, ReadonlyMap<Revision, string>>;

export type GroupPlan = {
  /** What to write, in the order of the log. */
  readonly rows: readonly PlannedEvent[];
  /** One for each append, in its order. */
  readonly outcomes: readonly AppendOutcome[];
};

/** The appends whose expected revision lies behind the head at their turn: own repeats, or conflicts. Only for these are ids looked up. */
export const late = <Append extends GroupedAppend>(
  appends: readonly Append[],
  heads: ReadonlyMap<string, Revision>,
): Append[] => appends.filter((append) => append.expected < (heads.get(append.streamId) ?? NO_STREAM));

/**
 * Decides a whole group one append after another, as if each were alone: what an earlier one of the group writes counts for the later ones.
 * Pure: `heads` and `stored` were read under the log's lock.
 */
export const planGroup = (
  appends: readonly GroupedAppend[],
  heads: ReadonlyMap<string, Revision>,
  stored: StoredIds,
): GroupPlan => {
  const rows: PlannedEvent[] = [];
  const grown = new Map<string, { first: Revision; ids: string[] }>();
  const outcomes = appends.map(({ streamId, expected, events }): AppendOutcome => {
    const own = grown.get(streamId);
    const first = (heads.get(streamId) ?? NO_STREAM) + 1;
    const head = own === undefined ? first - 1 : first + own.ids.length - 1;
    if (expected !== head) {
      const idAt = (revision: Revision): string | undefined =>
        revision < first ? stored.get(streamId)?.get(revision) : own?.ids[revision - first];
      const repeated = events.every((event, i) => idAt(expected + 1 + i) === event.id);
      if (!repeated) return { status: 'conflict', actual: head };
      return { status: 'appended', revision: expected + events.length, repeated };
    }
    const ids = own?.ids ?? [];
    if (own === undefined) grown.set(streamId, { first, ids });
    for (const event of events) {
      rows.push({ streamId, revision: first + ids.length, event });
      ids.push(event.id);
    }
    return { status: 'appended', revision: first + ids.length - 1, repeated: false };
  });
  return { rows, outcomes };
};
