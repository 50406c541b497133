import { fstatSync, mkdirSync, openSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { createLogger, type Logger, type LogLevel } from '@vafa/service';
import pino from 'pino';

const LOG_BYTES_MAX = 64 * 1_048_576;
const LOUD = /"level":"(warn|error|fatal)"/;

export type Log = { loggerFor(name: string): Logger; flush(): void };

export type LogOptions = {
  readonly folder: string;
  readonly to: 'file' | 'stdout';
  readonly level: LogLevel;
  /** A file that has grown beyond is put aside; 64 MiB unless told. */
  readonly bytesMax?: number;
};

/** Logs of all services into one place; on a terminal a person sees only what needs them. */
export function openLog({ folder, to, level, bytesMax = LOG_BYTES_MAX }: LogOptions): Log {
  if (to === 'stdout') return { loggerFor: (name) => createLogger({ name, level }), flush: () => undefined };
  mkdirSync(folder, { recursive: true });
  const file = new LogFile(join(folder, 'vafa.log'), bytesMax);
  const destination = {
    write(line: string): void {
      file.write(line);
      if (LOUD.test(line)) process.stderr.write(`${shortLine(line)}\n`);
    },
  };
  return {
    loggerFor: (name) => createLogger({ name, level, destination, readable: false }),
    flush: () => file.flush(),
  };
}

type Destination = ReturnType<typeof pino.destination>;

/** A log that keeps within its size, also while it is written: one old file is kept beside the present one. */
class LogFile {
  private destination: Destination;
  private bytes = 0;

  constructor(
    private readonly path: string,
    private readonly bytesMax: number,
  ) {
    this.destination = this.open();
    if (this.bytes > bytesMax) this.rotate();
  }

  write(line: string): void {
    this.destination.write(line);
    this.bytes += Buffer.byteLength(line);
    if (this.bytes > this.bytesMax) this.rotate();
  }

  flush(): void {
    this.destination.flushSync();
  }

  private open(): Destination {
    const file = openSync(this.path, 'a', 0o600);
    this.bytes = fstatSync(file).size;
    return pino.destination({ dest: file, sync: false });
  }

  private rotate(): void {
    try {
      renameSync(this.path, `${this.path}.old`);
      const old = this.destination;
      this.destination = this.open();
      old.flushSync();
      old.end();
    } catch {
      // What is logged counts for more than its size: it goes on into the same file, and is tried again as much later.
      this.bytes = 0;
    }
  }
}

function shortLine(line: string): string {
  const { time, level, service, msg, err } = JSON.parse(line) as Record<string, unknown>;
  const cause = typeof err === 'object' && err !== null && 'message' in err ? `: ${String(err.message)}` : '';
  return `${String(time).slice(11, 19)} ${String(level)} ${String(service)} ${typeof msg === 'string' ? msg : ''}${cause}`;
}
