import { mkdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createLogger, type Logger, type LogLevel } from '@vafa/service';
import pino from 'pino';

const LOG_BYTES_MAX = 64 * 1_048_576;
const LOUD = /"level":"(warn|error|fatal)"/;

export type Log = { loggerFor(name: string): Logger; flush(): void };

/** Logs of all services into one place; on a terminal a person sees only what needs them. */
export function openLog(options: { folder: string; to: 'file' | 'stdout'; level: LogLevel }): Log {
  const { level } = options;
  if (options.to === 'stdout') return { loggerFor: (name) => createLogger({ name, level }), flush: () => undefined };
  mkdirSync(options.folder, { recursive: true });
  const path = join(options.folder, 'vafa.log');
  keepWithinSize(path);
  const file = pino.destination({ dest: path, sync: false, mode: 0o600 });
  const destination = {
    write(line: string): void {
      file.write(line);
      if (LOUD.test(line)) process.stderr.write(`${shortLine(line)}\n`);
    },
  };
  return {
    loggerFor: (name) => createLogger({ name, level, destination, readable: false }),
    flush: () => file.flushSync(),
  };
}

/** One old log is kept beside the present one. */
function keepWithinSize(path: string): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_BYTES_MAX) renameSync(path, `${path}.old`);
}

function shortLine(line: string): string {
  const { time, level, service, msg, err } = JSON.parse(line) as Record<string, unknown>;
  const cause = typeof err === 'object' && err !== null && 'message' in err ? `: ${String(err.message)}` : '';
  return `${String(time).slice(11, 19)} ${String(level)} ${String(service)} ${typeof msg === 'string' ? msg : ''}${cause}`;
}
