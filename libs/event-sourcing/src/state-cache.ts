import type { Revision } from './event-store.js';

/** A stream's state as of a revision; `NO_STREAM` where it has no events. */
export type StreamState<State> = { readonly revision: Revision; readonly state: State };

/** The states of the streams used last, so many at most. What falls out is read from its snapshot again. */
export class StateCache<State> {
  private readonly entries = new Map<string, StreamState<State>>();

  constructor(private readonly entriesMax: number) {
    if (!Number.isInteger(entriesMax) || entriesMax < 0)
      throw new RangeError('a cache holds a whole number of entries');
  }

  get size(): number {
    return this.entries.size;
  }

  get(streamId: string): StreamState<State> | undefined {
    const entry = this.entries.get(streamId);
    if (entry === undefined) return undefined;
    // A Map keeps the order of insertion: what was used goes to the end.
    this.entries.delete(streamId);
    this.entries.set(streamId, entry);
    return entry;
  }

  set(streamId: string, entry: StreamState<State>): void {
    this.entries.delete(streamId);
    this.entries.set(streamId, entry);
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= this.entriesMax) break;
      this.entries.delete(oldest);
    }
  }

  delete(streamId: string): void {
    this.entries.delete(streamId);
  }

  clear(): void {
    this.entries.clear();
  }
}
