/** First come, first served, per stream: several streams are asked for in one go, so that two callers cannot wait for each other. */
export class StreamQueues {
  private readonly tails = new Map<string, Promise<void>>();

  /** Streams that somebody works on or waits for. */
  get size(): number {
    return this.tails.size;
  }

  isFree(streamId: string): boolean {
    return !this.tails.has(streamId);
  }

  /** Runs `work` when everybody who asked for one of these streams before has done; whoever asks later waits for it. */
  async run<T>(streamIds: Iterable<string>, work: () => Promise<T>): Promise<T> {
    const wanted = new Set(streamIds);
    const before = [...wanted].flatMap((streamId) => this.tails.get(streamId) ?? []);
    let done = (): void => undefined;
    const own = new Promise<void>((resolve) => (done = resolve));
    for (const streamId of wanted) this.tails.set(streamId, own);
    try {
      await Promise.all(before);
      return await work();
    } finally {
      for (const streamId of wanted) if (this.tails.get(streamId) === own) this.tails.delete(streamId);
      done();
    }
  }
}
