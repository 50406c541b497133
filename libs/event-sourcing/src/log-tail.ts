import type { DecodedEvent, DomainEvent, EventCodec } from './event-codec.js';
import type { EventStore, LogPage } from './event-store.js';

/**
 * The log from its beginning, decoded, in pieces of any size: for a fold that must stop at an exact event, wherever the store's own pages end. The next
 * page is fetched while the one before it is used.
 */
export class LogTail<E extends DomainEvent> implements AsyncDisposable {
  private readonly ended = new AbortController();
  private readonly pages: AsyncIterator<LogPage>;
  private ahead: Promise<readonly DecodedEvent<E>[] | undefined> | undefined;
  private rest: readonly DecodedEvent<E>[] = [];

  constructor(
    store: EventStore,
    private readonly codec: EventCodec<E>,
    prefix: string,
    pageSize: number,
    signal: AbortSignal,
  ) {
    const options = { prefix, after: null, pageSize, signal: AbortSignal.any([signal, this.ended.signal]) };
    this.pages = store.subscribe(options)[Symbol.asyncIterator]();
  }

  /** The next events, `count` at most; waits where there is none yet. None only once the log was closed. */
  async take(count: number): Promise<readonly DecodedEvent<E>[]> {
    while (this.rest.length === 0) {
      const page = await (this.ahead ?? this.fetch());
      this.ahead = undefined;
      if (page === undefined) return [];
      this.rest = page;
      this.ahead = this.fetch();
    }
    const taken = this.rest.slice(0, count);
    this.rest = this.rest.slice(count);
    return taken;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ended.abort();
    await this.ahead?.catch(() => undefined);
  }

  private fetch(): Promise<readonly DecodedEvent<E>[] | undefined> {
    const page = this.pages
      .next()
      .then(({ done, value }) => (done === true ? undefined : value.events.map((event) => this.codec.decode(event))));
    // Told when it is asked for.
    page.catch(() => undefined);
    return page;
  }
}
