import { open, rm, type FileHandle } from 'node:fs/promises';

import { messageOf } from '../errors.js';
import { Refusal } from '../command.js';
import type { Rejection } from './segments.js';

/** `FILE.rejected.ndjson`: one line for each row that did not get where it should, in the order of the file. */
export class RejectsFile {
  private handle: FileHandle | undefined;
  private bytes: number;
  private queue: Promise<void> = Promise.resolve();

  /** `keepBytes`: what an interrupted import had written up to its checkpoint; anything beyond is written anew.
   * A file that was removed in between begins again. */
  constructor(
    readonly path: string,
    private readonly keepBytes: number,
  ) {
    this.bytes = keepBytes;
  }

  /** Appends in the order of the calls. Resolves with the length that the file then has. */
  async append(rejections: readonly Rejection[]): Promise<number> {
    if (rejections.length === 0) return this.bytes;
    const turn = this.queue.then(() => this.write(rejections));
    this.queue = turn.catch(() => undefined);
    await turn;
    return this.bytes;
  }

  /** A run without rejected rows leaves no file, not even that of an earlier run. */
  async close(): Promise<void> {
    await this.queue;
    await this.handle?.close();
    if (this.bytes === 0) await rm(this.path, { force: true });
  }

  private async write(rejections: readonly Rejection[]): Promise<void> {
    this.handle ??= await this.open();
    const text = Buffer.from(rejections.map((rejection) => `${JSON.stringify(rejection)}\n`).join(''));
    await this.handle.write(text, 0, text.length, this.bytes);
    this.bytes += text.length;
  }

  private async open(): Promise<FileHandle> {
    try {
      const handle = await open(this.path, this.keepBytes === 0 ? 'w' : 'a+');
      if ((await handle.stat()).size < this.keepBytes) this.bytes = 0;
      await handle.truncate(this.bytes);
      await handle.close();
      return await open(this.path, 'r+');
    } catch (error) {
      const cause = messageOf(error);
      throw new Refusal(
        `Rejected rows cannot be written to ${this.path} (${cause}). Name another file with --rejected.`,
      );
    }
  }
}
