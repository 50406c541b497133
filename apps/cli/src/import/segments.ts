import { addCounts, noCounts, type Counts } from './counts.js';

/** A line of the file of rejected rows. */
export type Rejection = {
  readonly line: number;
  readonly column?: string;
  readonly status: 'rejected' | 'refused' | 'conflict' | 'quarantined';
  readonly reason: string;
  readonly row: unknown;
};

/** Rows that follow each other in the file and are confirmed together. */
export type Segment = {
  lastLine: number;
  pending: number;
  readonly counts: Counts;
  readonly rejections: Rejection[];
};

/** What a prefix of the file came to: all rows up to and including this line are confirmed. */
export type Confirmed = { readonly line: number; readonly counts: Counts; readonly rejections: readonly Rejection[] };

const SEGMENT_ROWS = 1_000;

/**
 * Rows are sent in parallel and answered in any order, but a checkpoint can only say "everything up to this line".
 * So the file is cut into segments; each counts its own outcomes, and what stands at the front is handed over once it is complete.
 */
export class Segments {
  private readonly queue: Segment[] = [];
  private rowsInLast = 0;

  constructor(private readonly confirm: (confirmed: Confirmed) => void) {}

  /** The segment that the row of this line belongs to; `settle` it once its outcome is counted. */
  open(line: number): Segment {
    let last = this.queue.at(-1);
    if (last === undefined || this.rowsInLast >= SEGMENT_ROWS) {
      last = { lastLine: line, pending: 0, counts: noCounts(), rejections: [] };
      this.queue.push(last);
      this.rowsInLast = 0;
    }
    this.rowsInLast += 1;
    last.lastLine = line;
    last.pending += 1;
    last.counts.rows += 1;
    return last;
  }

  settle(segment: Segment): void {
    segment.pending -= 1;
    if (segment.pending === 0) this.handOver(false);
  }

  /** Hands over what is complete, the segment under way included: nothing more is read. */
  finish(): void {
    this.handOver(true);
  }

  private handOver(all: boolean): void {
    const counts = noCounts();
    const rejections: Rejection[] = [];
    let line: number | undefined;
    for (;;) {
      const first = this.queue[0];
      // The last segment may still grow; an earlier one cannot.
      if (first === undefined || first.pending > 0 || (!all && this.isGrowing())) break;
      addCounts(counts, first.counts);
      rejections.push(...first.rejections);
      line = first.lastLine;
      this.queue.shift();
    }
    if (this.queue.length === 0) this.rowsInLast = 0;
    if (line === undefined) return;
    this.confirm({ line, counts, rejections: rejections.sort((one, other) => one.line - other.line) });
  }

  private isGrowing(): boolean {
    return this.queue.length === 1 && this.rowsInLast < SEGMENT_ROWS;
  }
}
