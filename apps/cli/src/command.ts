import type { Readable, Writable } from 'node:stream';

/** 0: done; 1: something was found or refused; 2: wrong usage. */
export type ExitCode = 0 | 1 | 2;

/** What a command may touch of its process, so that tests can hand in their own. */
export type Surroundings = {
  readonly stdin: Readable;
  readonly stdout: Writable & { isTTY?: boolean };
  readonly stderr: Writable & { isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The folder that `.vafa` lies in unless `VAFA_DATA` says otherwise. */
  readonly root: string;
  /** The folder that file names on the command line are relative to. */
  readonly cwd: string;
  /** Aborted by Ctrl-C: save what is needed to go on, then end. */
  readonly signal: AbortSignal;
};

export type OptionSpec = {
  readonly type: 'string' | 'boolean';
  /** What stands for the value in the help text. */
  readonly value?: string;
  readonly description: string;
};

export type OptionValues = Readonly<Record<string, string | boolean | undefined>>;

export type CommandInput = {
  readonly options: OptionValues;
  readonly positionals: readonly string[];
  readonly surroundings: Surroundings;
};

export type Command = {
  /** The words that call it, such as `import purchases`. */
  readonly name: string;
  readonly summary: string;
  /** What follows the name: positional arguments as the help text shows them. */
  readonly usage?: string;
  /** Paragraphs under the options in the help text. */
  readonly notes?: readonly string[];
  readonly options: Readonly<Record<string, OptionSpec>>;
  readonly positionals: { readonly min: number; readonly max: number };
  run(input: CommandInput): Promise<ExitCode>;
};

/** The command was called in a way that cannot work: exit code 2, the message and where to read more. */
export class UsageError extends Error {}

/** What was asked for is refused or cannot be done now: exit code 1, the message and nothing else. */
export class Refusal extends Error {}

/** An option's text, or nothing. */
export const text = (options: OptionValues, name: string): string | undefined => {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
};

export const flag = (options: OptionValues, name: string): boolean => options[name] === true;

/** @throws UsageError unless the option is a whole number within the limits. */
export const wholeNumber = (
  options: OptionValues,
  name: string,
  limits: { readonly min: number; readonly max: number; readonly fallback: number },
): number => {
  const given = text(options, name);
  if (given === undefined) return limits.fallback;
  const value = Number(given.replaceAll('_', ''));
  if (!Number.isSafeInteger(value) || value < limits.min || value > limits.max)
    throw new UsageError(`--${name} takes a whole number from ${limits.min} to ${limits.max}, not "${given}".`);
  return value;
};

export const line = (stream: Writable, message: string): void => {
  stream.write(`${message}\n`);
};
