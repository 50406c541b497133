import { pause, type Database, type OrderedLog } from '@vafa/persistence';
import { Consumer } from '../consumer.js';
import type { BusSubscribeOptions } from '../message-bus.js';
import type { WakeUps } from '../wake-ups.js';
import { Session } from './session.js';
import type { Topic } from './topic-catalogue.js';

const BALANCE_INTERVAL_MS = 400;
const RECONNECT_MIN_MS = 100;
const RECONNECT_MAX_MS = 5_000;

/**
 * One consumer of a group. It claims its share of the partitions over a session of its own, gives up what is beyond its share when others come,
 * and begins anew with another session where that one is lost.
 */
export class Membership {
  private readonly closing = new AbortController();
  private readonly running: Promise<void>;
  private epoch = 0;
  private backOffMs = RECONNECT_MIN_MS;

  constructor(
    private readonly database: Database,
    private readonly log: OrderedLog,
    private readonly topics: readonly Topic[],
    private readonly options: BusSubscribeOptions,
    private readonly wakeUps: WakeUps,
    private readonly onError: (error: unknown) => void,
  ) {
    this.running = this.run();
  }

  /** Drains what is under way and lets go of the partitions. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.closing;
    while (!signal.aborted) {
      try {
        await this.serve();
      } catch (error) {
        this.onError(error);
      }
      await pause(this.backOffMs, signal);
      this.backOffMs = Math.min(this.backOffMs * 2, RECONNECT_MAX_MS);
    }
  }

  /** Lives as long as one session does. */
  private async serve(): Promise<void> {
    const session = await Session.open(this.database, this.log, this.options.group, this.topics);
    const consumer = new Consumer({
      ...this.options,
      log: session,
      wakeUps: this.wakeUps,
      onError: this.onError,
      onFailure: this.onError,
      epoch: this.epoch,
    });
    session.onLost((error) => consumer.fail(error));
    const close = (): void => void consumer.stop();
    this.closing.signal.addEventListener('abort', close);
    try {
      await this.balanceWhileOpen(session, consumer);
      // A page that is under way in this process is waited for, so that it never runs beside its own repetition.
      await consumer.stop();
    } finally {
      this.closing.signal.removeEventListener('abort', close);
      this.epoch = consumer.epoch;
      consumer.invalidate();
      await session.close();
    }
  }

  private async balanceWhileOpen(session: Session, consumer: Consumer): Promise<void> {
    const releases = new Map<string, Set<number>>(this.topics.map(({ name }) => [name, new Set()]));
    try {
      while (!consumer.signal.aborted && !this.closing.signal.aborted) {
        const members = await session.members();
        for (const topic of this.topics)
          await this.balance(
            session,
            consumer,
            topic,
            members.get(topic.id) ?? 1,
            releases.get(topic.name) ?? new Set(),
          );
        this.backOffMs = RECONNECT_MIN_MS;
        await pause(BALANCE_INTERVAL_MS, consumer.signal);
      }
    } catch (error) {
      consumer.fail(error);
    }
  }

  private async balance(
    session: Session,
    consumer: Consumer,
    topic: Topic,
    members: number,
    releasing: Set<number>,
  ): Promise<void> {
    const share = Math.ceil(topic.partitions / members);
    const owned = consumer.owned(topic.name);
    const excess = owned.slice(share);
    for (const partition of excess) {
      releasing.add(partition);
      // Not awaited: its page may take long, and the session must go on showing that it lives.
      this.release(session, consumer, topic, partition)
        .catch((error: unknown) => consumer.fail(error))
        .finally(() => releasing.delete(partition));
    }
    const room = share - owned.length;
    if (room <= 0) return;
    // A lock is granted again to the session that has it, so what is still being released must not be asked for.
    const taken = new Set([...owned, ...releasing]);
    const free = Array.from({ length: topic.partitions }, (_, i) => i).filter((partition) => !taken.has(partition));
    const offsets = await session.claim(topic, free, room);
    if (offsets.size > 0) consumer.assign(topic.name, offsets);
  }

  private async release(session: Session, consumer: Consumer, topic: Topic, partition: number): Promise<void> {
    await consumer.revoke(topic.name, [partition]);
    if (!consumer.isStale()) await session.unlock(topic, partition);
  }
}
