/** A row on its way: `key` decides its lane, so that rows of one key are sent in the order of the file. */
export type LaneRow = { readonly key: string | null; readonly bytes: number };

export type LanesOptions<Row extends LaneRow> = {
  readonly lanes: number;
  readonly rowsPerBatch: number;
  readonly bytesPerBatch: number;
  /** What is read but not confirmed yet, at most. */
  readonly rowsInFlightMax: number;
  readonly bytesInFlightMax: number;
  /** Runs for a batch while the one before it is still being sent. */
  readonly prepare: ((batch: readonly Row[]) => Promise<void>) | null;
  /** Resolves once the outcome of every row of the batch is known and counted. */
  readonly send: (batch: readonly Row[]) => Promise<void>;
};

type Lane<Row> = {
  queue: Row[];
  running: boolean;
  work: Promise<void>;
  sending: Promise<void>;
  onFull: (() => void) | undefined;
};

const hash = (key: string): number => {
  let value = 0x811c9dc5;
  for (let at = 0; at < key.length; at += 1) value = Math.imul(value ^ key.charCodeAt(at), 0x01000193);
  return value >>> 0;
};

/**
 * Sends rows in batches over several lanes at once. Each lane has one batch under way; what arrives meanwhile makes the next
 * one, so that batches grow with the load. Whoever pushes waits for `room` while too much is in flight.
 */
export class Lanes<Row extends LaneRow> {
  private readonly lanes: Lane<Row>[];
  private readonly failed: Promise<never>;
  private readonly fail: (error: unknown) => void;
  private failure: { readonly error: unknown } | undefined;
  private rows = 0;
  private bytes = 0;
  private next = 0;
  private onSpace: (() => void) | undefined;

  constructor(private readonly options: LanesOptions<Row>) {
    this.lanes = Array.from({ length: options.lanes }, () => ({
      queue: [],
      running: false,
      work: Promise.resolve(),
      sending: Promise.resolve(),
      onFull: undefined,
    }));
    const { promise, reject } = Promise.withResolvers<never>();
    this.failed = promise;
    this.fail = (error) => {
      this.failure ??= { error };
      reject(error);
    };
    // Whoever pushes or drains learns of it; without either, it must not count as unhandled.
    this.failed.catch(() => undefined);
  }

  /** Whether `room` has to be waited for. */
  get isFull(): boolean {
    return this.rows >= this.options.rowsInFlightMax || this.bytes >= this.options.bytesInFlightMax;
  }

  get rowsInFlight(): number {
    return this.rows;
  }

  /** Resolves once there is room for another row. @throws what `prepare` or `send` threw. */
  async room(): Promise<void> {
    while (this.isFull) await Promise.race([this.space(), this.failed]);
  }

  /** Takes a row on. @throws what `prepare` or `send` threw for an earlier one. */
  push(row: Row): void {
    if (this.failure !== undefined) throw this.failure.error;
    this.rows += 1;
    this.bytes += row.bytes;
    const lane = this.laneOf(row);
    lane.queue.push(row);
    if (lane.queue.length >= this.options.rowsPerBatch) lane.onFull?.();
    if (!lane.running) this.start(lane);
  }

  /** Resolves once nothing is in flight. @throws as `push`. */
  async drain(): Promise<void> {
    if (this.failure !== undefined) throw this.failure.error;
    for (const lane of this.lanes) lane.onFull?.();
    while (this.rows > 0) await Promise.race([this.space(), this.failed]);
  }

  /** Sends nothing more: what is under way is finished, what is queued stays unsent. Whoever waits is told why. */
  stop(reason: unknown): void {
    this.fail(reason);
    for (const lane of this.lanes) lane.onFull?.();
  }

  /** Resolves once nothing is under way any more, whether it went well or not; nothing new is begun after a failure. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.lanes.flatMap(({ work, sending }) => [work, sending]));
  }

  private laneOf(row: Row): Lane<Row> {
    const index =
      row.key === null ? (this.next = (this.next + 1) % this.lanes.length) : hash(row.key) % this.lanes.length;
    return this.lanes[index] as Lane<Row>;
  }

  private space(): Promise<void> {
    return new Promise((resolve) => (this.onSpace = resolve));
  }

  private start(lane: Lane<Row>): void {
    lane.running = true;
    // After the rows that were read together have been pushed, so that the first batch is not one row.
    setImmediate(() => {
      lane.work = this.run(lane).catch((error: unknown) => this.fail(error));
    });
  }

  private async run(lane: Lane<Row>): Promise<void> {
    while (lane.queue.length > 0 && this.failure === undefined) {
      const batch = this.take(lane);
      if (this.options.prepare !== null) await this.options.prepare(batch);
      await lane.sending;
      if (this.failure !== undefined) break;
      lane.sending = this.deliver(batch);
      const under = lane.sending;
      // A failure surfaces at the next turn, or here where it is the last.
      under.catch((error: unknown) => this.fail(error));
      await (this.options.prepare === null ? under : Promise.race([under, this.untilFull(lane)]));
      if (lane.queue.length === 0) await under;
    }
    lane.running = false;
  }

  private untilFull(lane: Lane<Row>): Promise<void> {
    if (lane.queue.length >= this.options.rowsPerBatch) return Promise.resolve();
    return new Promise((resolve) => (lane.onFull = resolve));
  }

  private async deliver(batch: readonly Row[]): Promise<void> {
    await this.options.send(batch);
    this.rows -= batch.length;
    for (const row of batch) this.bytes -= row.bytes;
    this.onSpace?.();
  }

  private take(lane: Lane<Row>): Row[] {
    let bytes = 0;
    let count = 0;
    for (const row of lane.queue) {
      if (count >= this.options.rowsPerBatch || (count > 0 && bytes + row.bytes > this.options.bytesPerBatch)) break;
      bytes += row.bytes;
      count += 1;
    }
    return lane.queue.splice(0, count);
  }
}
