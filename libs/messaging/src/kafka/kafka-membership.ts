import kafkajs from 'kafkajs';

const { KafkaJSProtocolError } = kafkajs;

/** The group has gone on without this member: what it has under way belongs to someone else. */
const LOST = new Set(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'FENCED_INSTANCE_ID']);
/** The group gathers anew and waits for this member. */
const GATHERING = new Set(['REBALANCE_IN_PROGRESS', 'NOT_COORDINATOR_FOR_GROUP']);

const typeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'type' in error ? error.type : undefined;

/** An error upon which the client looks for the group's coordinator and joins anew. */
const joinAnew = (cause: unknown): Error => {
  const error = new KafkaJSProtocolError(cause instanceof Error ? cause : String(cause));
  return Object.assign(error, { type: 'NOT_COORDINATOR_FOR_GROUP', retriable: true });
};

/**
 * One time of being a member of a group, from a join to the next. Within it partitions stay the same. It ends by our own doing (closing), because
 * the group gathers anew (what is under way is finished and committed, then this member joins again), or because the group has given us up.
 */
export class Generation {
  private readonly ending = new AbortController();
  private endedBy: Error | undefined;
  private lost = false;
  private lastHeardMs = performance.now();

  constructor(
    readonly epoch: number,
    private readonly sessionTimeoutMs: number,
  ) {}

  /** Aborted when nothing further is to be begun. */
  get signal(): AbortSignal {
    return this.ending.signal;
  }

  /** What to tell the client in place of going on; undefined while going on is right. */
  get reason(): Error | undefined {
    return this.endedBy;
  }

  /** Also true where nothing was heard for so long that the group has given us up, as after a long freeze: asking would come too late. */
  isStale(): boolean {
    return this.lost || performance.now() - this.lastHeardMs > this.sessionTimeoutMs;
  }

  /** The coordinator answered. */
  heard(): void {
    this.lastHeardMs = performance.now();
  }

  end(): void {
    this.ending.abort();
  }

  /** Judges what a heartbeat or a commit failed with. Answers whether this generation is over. */
  failed(error: unknown): boolean {
    const type = String(typeOf(error));
    if (!LOST.has(type) && !GATHERING.has(type)) return false;
    this.finish(error, LOST.has(type));
    return true;
  }

  /** The coordinator cannot be reached: it is looked for anew. */
  leave(error: unknown): void {
    this.finish(joinAnew(error), this.isStale());
  }

  private finish(error: unknown, lost: boolean): void {
    this.lost ||= lost;
    this.endedBy ??= error instanceof Error ? error : joinAnew(error);
    this.ending.abort();
  }
}
