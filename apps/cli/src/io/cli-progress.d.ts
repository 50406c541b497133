/** The part of cli-progress that is used here; the package comes without types. */
declare module 'cli-progress' {
  type Stream = import('node:stream').Writable;
  export type Options = {
    readonly format: string;
    readonly stream: Stream;
    readonly barsize?: number;
    readonly fps?: number;
    readonly hideCursor?: boolean;
    readonly clearOnComplete?: boolean;
    readonly barCompleteChar?: string;
    readonly barIncompleteChar?: string;
  };
  export class SingleBar {
    constructor(options: Options);
    start(total: number, value: number, payload?: Readonly<Record<string, string>>): void;
    update(value: number, payload?: Readonly<Record<string, string>>): void;
    stop(): void;
  }
}
