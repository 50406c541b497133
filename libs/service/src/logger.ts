import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';
import { hide, hideText } from './redaction.js';

/** Structured log: `logger.info({ purchaseId }, 'taken')`. Secrets and personal fields are hidden whatever is passed. */
export type Logger = PinoLogger;

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export type LoggerOptions = {
  /** Stands on each line as `service`. */
  readonly name: string;
  readonly level?: LogLevel;
  /** Short readable lines rather than JSON; by default where standard output is a terminal. */
  readonly readable?: boolean;
  /** Where lines go; standard output by default. */
  readonly destination?: DestinationStream;
};

/** A logger that never writes tokens, passwords, phone numbers or e-mail addresses. */
export const createLogger = (options: LoggerOptions): Logger => {
  const destination = options.destination ?? process.stdout;
  const readable = options.readable ?? (options.destination === undefined && process.stdout.isTTY);
  return pino(
    {
      level: options.level ?? 'info',
      base: { service: options.name },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: (fields) => hide(fields) as Record<string, unknown> },
      serializers: { err: (error: unknown) => error },
      hooks: {
        logMethod(args, method) {
          method.apply(
            this,
            args.map((arg: unknown) => (typeof arg === 'string' ? hideText(arg) : arg)) as typeof args,
          );
        },
      },
    },
    readable ? readableLines(destination) : destination,
  );
};

/** A logger that writes nothing, for tests. */
export const silentLogger = (): Logger => createLogger({ name: 'silent', level: 'silent' });

const COLOURS: Readonly<Record<string, number>> = { debug: 90, info: 36, warn: 33, error: 31, fatal: 31 };

const readableLines = (destination: DestinationStream): DestinationStream => ({
  write(line: string) {
    destination.write(`${readableLine(line)}\n`);
  },
});

/** One JSON line of the log as a person reads it: time, level, service, message, then what else there is. */
export const readableLine = (line: string): string => {
  const { time, level, service, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const clock = String(time).slice(11, 19);
  const fields = Object.entries(rest).map(([name, value]) => `${name}=${plain(value)}`);
  const error = err as { message?: string; stack?: string } | undefined;
  const label = `\u001b[${COLOURS[String(level)] ?? 0}m${String(level).padEnd(5)}\u001b[0m`;
  const main = [clock, label, String(service), plain(msg ?? ''), ...fields].join(' ');
  return error ? `${main}\n  ${error.stack ?? error.message ?? plain(err)}` : main;
};

const plain = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
