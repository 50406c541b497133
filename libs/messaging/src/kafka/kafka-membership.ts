import kafkajs from 'kafkajs';

const { KafkaJSProtocolError } = kafkajs;

/** The group has gone on without this member: what it has under way belongs to someone else. */
const LOST = new Set(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'FENCED_INSTANCE_ID']);
/** The group gathers anew and waits for this member, as long as it is heard of. */
const GATHERING = 'REBALANCE_IN_PROGRESS';
const MOVED = 'NOT_COORDINATOR_FOR_GROUP';

/** Partitions by topic, in the names of the brokers. */
export type Assignment = Readonly<Record<string, readonly number[]>>;

const typeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'type' in error ? error.type : undefined;

/** An error upon which the client looks for the group's coordinator and joins anew. */
const joinAnew = (cause: unknown): Error => {
  const error = new KafkaJSProtocolError(cause instanceof Error ? cause : String(cause));
  return Object.assign(error, { type: MOVED, retriable: true });
};

/**
 * One time of being a member of a group, from a join to the next. Within it partitions stay the same. It ends by our own doing (closing), because
 * the group gathers anew (what is under way is finished and committed, then this member joins again), or because the group has given us up.
 */
export class Generation {
  private readonly ending = new AbortController();
  private endedBy: Error | undefined;
  private lost = false;
  private gone = false;
  private lastHeardMs = performance.now();

  constructor(
    readonly epoch: number,
    private readonly sessionTimeoutMs: number,
    private readonly assignment: Assignment,
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

  /** Somebody else may have the partitions: what would be done or committed now would be beside them. */
  isLost(): boolean {
    return this.lost;
  }

  /** Whether the partition is among this member's. What was asked for before a join may come after it. */
  has(topic: string, partition: number): boolean {
    return this.assignment[topic]?.includes(partition) ?? false;
  }

  /** Whether the group keeps this member's place as long as it is heard of: also while others wait for it to finish and join. */
  isMember(): boolean {
    return !this.gone;
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
    if (type === GATHERING) this.heard();
    else if (LOST.has(type) || type === MOVED) this.gone = true;
    else return false;
    this.finish(error, LOST.has(type));
    return true;
  }

  /** The coordinator cannot be reached: it is looked for anew. */
  leave(error: unknown): void {
    this.gone = true;
    this.finish(joinAnew(error), this.isStale());
  }

  /**
   * The client has joined anew by itself, as it does when a leader moves, while pages were under way: their partitions may be somebody else's, and
   * what they would commit would be in the name of the next generation. Nothing is to be told to the client then.
   */
  replace(): void {
    this.gone = true;
    this.lost = true;
    this.ending.abort();
  }

  private finish(error: unknown, lost: boolean): void {
    this.lost ||= lost;
    this.endedBy ??= error instanceof Error ? error : joinAnew(error);
    this.ending.abort();
  }
}
