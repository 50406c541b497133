import type { Readable } from 'node:stream';

/** A line of the file, counted from 1. `error` stands where it could not be read; the lines after it can. */
export type Line = { readonly number: number; readonly text: string; readonly error?: string };

/** A longer line is no purchase: an event has 256 KiB at most. */
export const LINE_BYTES_MAX = 1024 * 1024;

const NEWLINE = 0x0a;

/** The text encodings a file may have. UTF-16 and the like are refused: their bytes cannot be split at line ends. */
export const ENCODINGS = ['utf-8', 'windows-1256', 'windows-1252', 'iso-8859-1', 'iso-8859-6'] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** Splits bytes into lines block by block. Holds one unfinished line at most. */
class LineSplitter {
  private readonly decoder: TextDecoder;
  private carry: Buffer[] = [];
  private carried = 0;
  private skipping = false;
  private number = 0;

  constructor(encoding: Encoding) {
    this.decoder = new TextDecoder(encoding, { fatal: true, ignoreBOM: false });
  }

  push(chunk: Buffer): Line[] {
    const last = chunk.lastIndexOf(NEWLINE);
    if (last === -1) {
      this.keep(chunk);
      return [];
    }
    const block =
      this.carried === 0 ? chunk.subarray(0, last) : Buffer.concat([...this.carry, chunk.subarray(0, last)]);
    this.carry = [];
    this.carried = 0;
    const lines = this.skipping ? this.afterSkipped(block) : this.decode(block);
    this.keep(chunk.subarray(last + 1));
    return lines;
  }

  end(): Line[] {
    if (this.skipping) return [this.tooLong()];
    return this.carried === 0 ? [] : this.decode(Buffer.concat(this.carry));
  }

  private keep(rest: Buffer): void {
    if (rest.length === 0 || this.skipping) return;
    if (this.carried + rest.length > LINE_BYTES_MAX) {
      // The rest of this line is thrown away unread, so that a file without line ends cannot fill the memory.
      this.skipping = true;
      this.carry = [];
      this.carried = 0;
      return;
    }
    this.carry.push(rest);
    this.carried += rest.length;
  }

  private tooLong(): Line {
    this.skipping = false;
    this.number += 1;
    return { number: this.number, text: '', error: `the line is longer than ${LINE_BYTES_MAX} bytes` };
  }

  private afterSkipped(block: Buffer): Line[] {
    const error = this.tooLong();
    const end = block.indexOf(NEWLINE);
    return end === -1 ? [error] : [error, ...this.decode(block.subarray(end + 1))];
  }

  private decode(block: Buffer): Line[] {
    try {
      return this.decoder
        .decode(block)
        .split('\n')
        .map((text) => this.next(text));
    } catch {
      return this.decodeOneByOne(block);
    }
  }

  private next(text: string): Line {
    this.number += 1;
    return { number: this.number, text: text.endsWith('\r') ? text.slice(0, -1) : text };
  }

  /** Bytes that are no text spoil their own line only. */
  private decodeOneByOne(block: Buffer): Line[] {
    const lines: Line[] = [];
    let start = 0;
    while (start <= block.length) {
      const found = block.indexOf(NEWLINE, start);
      const end = found === -1 ? block.length : found;
      try {
        lines.push(this.next(this.decoder.decode(block.subarray(start, end))));
      } catch {
        this.number += 1;
        lines.push({ number: this.number, text: '', error: `the line is not valid ${this.decoder.encoding} text` });
      }
      start = end + 1;
    }
    return lines;
  }
}

/** The lines of a stream of bytes, as many at once as arrived together. A byte order mark is no part of the first. */
export async function* readLines(stream: Readable, encoding: Encoding): AsyncGenerator<Line[]> {
  const splitter = new LineSplitter(encoding);
  for await (const chunk of stream) {
    const lines = splitter.push(chunk as Buffer);
    if (lines.length > 0) yield lines;
  }
  const rest = splitter.end();
  if (rest.length > 0) yield rest;
}
