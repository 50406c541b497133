import type { LoggerService } from '@nestjs/common';
import type { Logger } from './logger.js';

/** Nest's own log lines in ours: what it tells of its start is for debugging only. */
export const nestLogger = (logger: Logger): LoggerService => ({
  log: (message: unknown, ...rest: unknown[]) => logger.debug({ context: contextOf(rest) }, String(message)),
  debug: (message: unknown, ...rest: unknown[]) => logger.debug({ context: contextOf(rest) }, String(message)),
  verbose: () => undefined,
  warn: (message: unknown, ...rest: unknown[]) => logger.warn({ context: contextOf(rest) }, String(message)),
  error: (message: unknown, ...rest: unknown[]) =>
    message instanceof Error
      ? logger.error({ err: message, context: contextOf(rest) }, message.message)
      : logger.error({ context: contextOf(rest) }, String(message)),
  fatal: (message: unknown, ...rest: unknown[]) => logger.fatal({ context: contextOf(rest) }, String(message)),
});

const contextOf = (rest: readonly unknown[]): unknown => rest.at(-1);
