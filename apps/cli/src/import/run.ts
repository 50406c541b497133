import { Refusal } from '../command.js';
import { formatNumber, type Progress } from '../io/progress.js';
import { saveCheckpoint, type Checkpoint } from './checkpoint.js';
import { addCounts, type Counts } from './counts.js';
import { Lanes } from './lanes.js';
import type { Prepared, PreparedFile, SendableRow } from './prepared.js';
import { RejectsFile } from './rejects-file.js';
import { Segments, type Confirmed, type Rejection, type Segment } from './segments.js';

/** The contract allows 10,000 rows of an import in flight. */
export const ROWS_IN_FLIGHT_MAX = 10_000;
const BYTES_IN_FLIGHT_MAX = 16 * 1024 * 1024;
const BYTES_PER_BATCH = 768 * 1024;
const CHECKPOINT_INTERVAL_MS = 1_000;

/** A row with the segment that its outcome is counted in. */
export type RowInFlight = SendableRow & { readonly segment: Segment };

export type CountEnrolled = (members: number) => void;

export type ImportPlan = {
  readonly file: PreparedFile;
  readonly rowsPerBatch: number;
  readonly lanes: number;
  readonly checkpoint: Checkpoint;
  readonly checkpointPath: string;
  readonly rejectedPath: string;
  readonly prepare: ((rows: readonly RowInFlight[], countEnrolled: CountEnrolled) => Promise<void>) | null;
  /** Sends the rows and counts their outcomes in their segments. */
  readonly send: (rows: readonly RowInFlight[]) => Promise<void>;
  readonly progress: Progress;
  readonly note: (counts: Counts) => string;
  readonly signal: AbortSignal;
};

export type ImportResult = { readonly counts: Counts; readonly seconds: number; readonly rejected: number };

/** Notes a row that did not get where it should. */
export const putAside = (row: RowInFlight, status: Rejection['status'], reason: string, pointer?: string): void => {
  const column = pointer === undefined ? undefined : row.columnAt(pointer);
  const place = column === undefined && pointer !== undefined && pointer !== '' ? `${pointer}: ` : '';
  row.segment.rejections.push({
    line: row.line,
    ...(column === undefined ? {} : { column }),
    status,
    reason: `${place}${reason}`,
    row: row.row(),
  });
};

const rejectionOf = ({ line, column, reason, row }: Extract<Prepared, { kind: 'rejected' }>): Rejection => ({
  line,
  ...(column === undefined ? {} : { column }),
  status: 'rejected',
  reason,
  row,
});

const countSkipped = (counts: Counts, because: string): void => {
  counts.skipped += 1;
  counts.skippedBecause[because] = (counts.skippedBecause[because] ?? 0) + 1;
};

/** One import under way: reads, sends, counts, and notes how far it came. */
export class ImportRun {
  private readonly startedAt = performance.now();
  private readonly segments = new Segments((confirmed) => this.confirmed(confirmed));
  private readonly rejects: RejectsFile;
  private readonly counts: Counts;
  private checkpoint: Checkpoint;
  private savedAt = 0;
  private saving: Promise<void> = Promise.resolve();

  constructor(private readonly plan: ImportPlan) {
    this.checkpoint = plan.checkpoint;
    this.counts = structuredClone(plan.checkpoint.counts);
    this.rejects = new RejectsFile(plan.rejectedPath, plan.checkpoint.rejectedBytes);
  }

  /** Counted at once, not with the row that named them: a member stays enrolled where the row is not confirmed. */
  countEnrolled(members: number): void {
    this.counts.membersEnrolled += members;
  }

  /** Everything up to this line is confirmed, and will not be sent again. */
  get confirmedLine(): number {
    return this.checkpoint.line;
  }

  /** @throws what stopped it, after the checkpoint is saved. */
  async run(): Promise<ImportResult> {
    const { plan } = this;
    const { prepare } = plan;
    const lanes = new Lanes<RowInFlight>({
      lanes: plan.lanes,
      rowsPerBatch: plan.rowsPerBatch,
      bytesPerBatch: BYTES_PER_BATCH,
      rowsInFlightMax: ROWS_IN_FLIGHT_MAX,
      bytesInFlightMax: BYTES_IN_FLIGHT_MAX,
      prepare: prepare === null ? null : (rows) => prepare(rows, (members) => this.countEnrolled(members)),
      send: async (rows) => {
        await plan.send(rows);
        for (const row of rows) this.segments.settle(row.segment);
      },
    });
    const stop = (): void => lanes.stop(plan.signal.reason);
    plan.signal.addEventListener('abort', stop);
    try {
      await this.pump(lanes);
      await lanes.drain();
    } finally {
      plan.signal.removeEventListener('abort', stop);
      await lanes.settle();
      this.segments.finish();
      await this.saving;
      await this.save();
      await this.rejects.close();
    }
    const { counts } = this;
    return {
      counts,
      seconds: this.seconds(),
      rejected: counts.rejected + counts.refused + counts.conflict + counts.quarantined,
    };
  }

  private async pump(lanes: Lanes<RowInFlight>): Promise<void> {
    const { file, checkpoint, signal } = this.plan;
    for await (const rows of file.rows()) {
      signal.throwIfAborted();
      for (const prepared of rows) {
        const line = prepared.kind === 'row' ? prepared.row.line : prepared.line;
        if (line <= checkpoint.line) continue;
        const segment = this.segments.open(line);
        if (prepared.kind === 'row') {
          if (lanes.isFull) await lanes.room();
          lanes.push({ ...prepared.row, segment });
          continue;
        }
        if (prepared.kind === 'skipped') {
          countSkipped(segment.counts, prepared.because);
        } else {
          segment.counts.rejected += 1;
          segment.rejections.push(rejectionOf(prepared));
        }
        this.segments.settle(segment);
      }
      // A file of nothing but wrong rows must not be read faster than they are written down.
      await this.saving;
    }
  }

  /** Called with each further piece of the file that is complete, in the order of the file. */
  private confirmed({ line, counts, rejections }: Confirmed): void {
    addCounts(this.counts, counts);
    const { progress, note } = this.plan;
    progress.update(this.counts.rows, note(this.counts));
    const snapshot = structuredClone(this.counts);
    const write = async (): Promise<void> => {
      const rejectedBytes = await this.rejects.append(rejections);
      this.checkpoint = { version: 1, line, counts: snapshot, rejectedBytes, seconds: this.seconds() };
      if (performance.now() - this.savedAt > CHECKPOINT_INTERVAL_MS) await this.save();
    };
    this.saving = this.saving.then(write);
    // Looked at when the run ends; until then it must not count as unhandled.
    this.saving.catch(() => undefined);
  }

  private async save(): Promise<void> {
    this.savedAt = performance.now();
    const { counts } = this.checkpoint;
    const { membersEnrolled } = this.plan.prepare === null ? counts : this.counts;
    await saveCheckpoint(this.plan.checkpointPath, { ...this.checkpoint, counts: { ...counts, membersEnrolled } });
  }

  private seconds(): number {
    return this.plan.checkpoint.seconds + (performance.now() - this.startedAt) / 1_000;
  }
}

/** Reads the whole file and sends nothing. Gives the number of rows that could be sent. */
export const dryRun = async (
  file: PreparedFile,
  counts: Counts,
  progress: Progress,
  signal: AbortSignal,
  onRejected: (rejections: readonly Rejection[]) => Promise<void>,
): Promise<number> => {
  let sendable = 0;
  for await (const rows of file.rows()) {
    signal.throwIfAborted();
    const rejections: Rejection[] = [];
    for (const prepared of rows) {
      counts.rows += 1;
      if (prepared.kind === 'row') sendable += 1;
      else if (prepared.kind === 'skipped') countSkipped(counts, prepared.because);
      else {
        counts.rejected += 1;
        rejections.push(rejectionOf(prepared));
      }
    }
    if (rejections.length > 0) await onRejected(rejections);
    progress.update(counts.rows, `${formatNumber(counts.rejected)} rejected`);
  }
  return sendable;
};

/** What Ctrl-C leaves the user with. */
export const interrupted = (line: number): Refusal =>
  new Refusal(
    `Stopped. Everything up to line ${formatNumber(line)} is confirmed; the same command goes on from there (--restart begins anew).`,
  );
