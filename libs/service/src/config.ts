import { nearest } from './nearest.js';

/** What a setting's text must be. `expected` completes the sentence "VAFA_X must be …". */
export type Parser<T> = {
  readonly expected: string;
  /** The value, or undefined where the text is not what is expected. */
  parse(text: string): T | undefined;
};

/** One environment variable: its name, type, default and what it is for. */
export type Setting<T> = {
  readonly name: string;
  readonly parser: Parser<T>;
  readonly description: string;
  readonly required: boolean;
  readonly default: T | undefined;
  /** Never shown, neither by `vafa config` nor in an error. */
  readonly secret: boolean;
};

type SettingOptions<D> = { readonly description: string; readonly secret?: boolean; readonly default: D };
type RequiredOptions = { readonly description: string; readonly secret?: boolean };

const NAME = /^VAFA_[A-Z][A-Z0-9_]*$/;

/**
 * Declares a setting. With a default (which may be `null`) it may be left out; without one the process does not start.
 * An empty variable counts as one that is not set.
 */
export function setting<T>(name: string, parser: Parser<T>, options: SettingOptions<NoInfer<T>>): Setting<T>;
export function setting<T>(name: string, parser: Parser<T>, options: SettingOptions<null>): Setting<T | null>;
export function setting<T>(name: string, parser: Parser<T>, options: RequiredOptions): Setting<T>;
export function setting<T>(
  name: string,
  parser: Parser<T>,
  options: RequiredOptions & { readonly default?: T | null },
): Setting<T | null> {
  if (!NAME.test(name)) throw new Error(`A setting is named VAFA_…, in capitals: ${name}`);
  return Object.freeze({
    name,
    parser,
    description: options.description,
    required: !('default' in options),
    default: options.default,
    secret: options.secret ?? false,
  });
}

/** A whole number from `min` to `max`, both included. */
export const integer = (range: { min: number; max: number }): Parser<number> => ({
  expected: `a whole number from ${range.min} to ${range.max}`,
  parse(text) {
    const value = /^-?\d{1,15}$/.test(text) ? Number(text) : NaN;
    return value >= range.min && value <= range.max ? value : undefined;
  },
});

/** Any text of 1 to `maxLength` characters (1,000 by default). */
export const text = (options: { maxLength?: number } = {}): Parser<string> => {
  const maxLength = options.maxLength ?? 1_000;
  return {
    expected: `a text of 1 to ${maxLength} characters`,
    parse: (value) => (value.length > 0 && value.length <= maxLength ? value : undefined),
  };
};

/** So many bytes as hexadecimal digits, two a byte. */
export const hex = (bytes: number): Parser<string> => ({
  expected: `${bytes * 2} hexadecimal digits`,
  parse: (value) => (value.length === bytes * 2 && /^[\da-f]+$/i.test(value) ? value : undefined),
});

/** One of the words given. */
export const oneOf = <const W extends string>(...words: readonly W[]): Parser<W> => ({
  expected: `one of ${words.join(', ')}`,
  parse: (value) => words.find((word) => word === value),
});

/** `true` or `false`. */
export const boolean = (): Parser<boolean> => ({
  expected: 'true or false',
  parse: (value) => (value === 'true' ? true : value === 'false' ? false : undefined),
});

/** A URL with one of these schemes, e.g. `postgresql`, `https`; kept as it was written. */
export const url = (...schemes: readonly string[]): Parser<string> => ({
  expected: `a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`,
  parse: (value) =>
    schemes.some((scheme) => value.startsWith(`${scheme}://`)) && URL.canParse(value) ? value : undefined,
});

/** Several values with commas between them. */
export const listOf = <T>(item: Parser<T>): Parser<readonly T[]> => ({
  expected: `a list with commas, each ${item.expected}`,
  parse(value) {
    const items = value.split(',').map((part) => item.parse(part.trim()));
    return items.includes(undefined) ? undefined : Object.freeze(items as T[]);
  },
});

/** The variables a process was started with, `process.env` or a stand-in. */
export type Environment = Readonly<Record<string, string | undefined>>;

type Shape = Readonly<Record<string, Setting<unknown>>>;
type Values<S extends Shape> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

/** Reads the environment into one frozen object. @throws ConfigError that lists every setting that is wrong. */
export type ConfigDefinition<Config> = {
  (env: Environment): Config;
  readonly settings: readonly Setting<unknown>[];
};

/** The type of the object that a definition reads. */
export type ConfigOf<D> = D extends ConfigDefinition<infer C> ? C : never;

export type ConfigProblem = { readonly name: string; readonly detail: string };

/** The environment does not make a configuration. The message names every wrong setting, one a line, and shows no secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(readonly problems: readonly ConfigProblem[]) {
    super(problems.map(({ detail }) => detail).join('\n'));
  }
}

const registered = new Map<string, Setting<unknown>>();

/** Every setting of the definitions loaded into this process, by name. */
export const registeredSettings = (): Setting<unknown>[] =>
  [...registered.values()].sort((one, other) => (one.name < other.name ? -1 : 1));

/** Groups settings into what a service reads at its start, and enters them into the list that `vafa config` shows. */
export const defineConfig = <S extends Shape>(shape: S): ConfigDefinition<Values<S>> => {
  const settings = Object.values(shape);
  for (const one of settings) register(one);
  const read = (env: Environment): Values<S> => {
    const problems: ConfigProblem[] = [];
    const values: Record<string, unknown> = {};
    for (const [key, one] of Object.entries(shape)) {
      const result = readSetting(one, env);
      if ('detail' in result) problems.push({ name: one.name, detail: result.detail });
      else values[key] = result.value;
    }
    problems.push(...misspelt(settings, env));
    if (problems.length > 0) throw new ConfigError(problems);
    return Object.freeze(values) as Values<S>;
  };
  return Object.assign(read, { settings });
};

/** Reads several definitions at once. @throws ConfigError with what is wrong in all of them, each thing once. */
export const readConfigs = <D extends Readonly<Record<string, ConfigDefinition<unknown>>>>(
  definitions: D,
  env: Environment,
): { readonly [K in keyof D]: ConfigOf<D[K]> } => {
  const values: Record<string, unknown> = {};
  const problems = new Map<string, ConfigProblem>();
  for (const [key, read] of Object.entries(definitions)) {
    try {
      values[key] = read(env);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const problem of error.problems) problems.set(problem.name, problem);
    }
  }
  if (problems.size > 0) throw new ConfigError([...problems.values()]);
  return Object.freeze(values) as { readonly [K in keyof D]: ConfigOf<D[K]> };
};

const register = (one: Setting<unknown>): void => {
  const earlier = registered.get(one.name);
  if (earlier && earlier !== one) throw new Error(`The setting ${one.name} is declared twice`);
  registered.set(one.name, one);
};

const readSetting = (one: Setting<unknown>, env: Environment): { value: unknown } | { detail: string } => {
  const given = env[one.name]?.trim();
  if (given === undefined || given === '') {
    return one.required
      ? { detail: `${one.name} is not set: it must be ${one.parser.expected} (${one.description})` }
      : { value: one.default };
  }
  const value = one.parser.parse(given);
  if (value !== undefined) return { value };
  const shown = one.secret ? '' : `, not ${JSON.stringify(given.slice(0, 100))}`;
  return { detail: `${one.name} must be ${one.parser.expected}${shown}` };
};

// A variable one or two letters away from a setting is a slip that would silently leave the default in force.
const TYPO_DISTANCE_MAX = 2;

const misspelt = (settings: readonly Setting<unknown>[], env: Environment): ConfigProblem[] => {
  const names = settings.map(({ name }) => name);
  return unknownNames(env).flatMap((name) => {
    const close = nearest(name, names, TYPO_DISTANCE_MAX);
    return close ? [{ name, detail: `${name} is not a setting: ${close} was probably meant` }] : [];
  });
};

const unknownNames = (env: Environment): string[] =>
  Object.keys(env).filter((name) => name.startsWith('VAFA_') && !registered.has(name));

/** The `VAFA_…` variables that no loaded definition knows, each with the setting nearest to it, if any is near. */
export const unknownSettings = (env: Environment): { name: string; nearest: string | null }[] => {
  const names = [...registered.keys()];
  return unknownNames(env).map((name) => ({ name, nearest: nearest(name, names, Math.ceil(name.length / 3)) }));
};

export type SettingListing = {
  readonly name: string;
  readonly description: string;
  readonly expected: string;
  readonly required: boolean;
  readonly secret: boolean;
  readonly default: string | null;
  /** As given, `null` where the default holds; a secret shows as dots. */
  readonly value: string | null;
  /** What is wrong with it, if anything. */
  readonly problem: string | null;
};

/** What `vafa config` prints: all settings, their defaults and present values. Secrets are hidden. */
export const listSettings = (
  env: Environment,
  settings: readonly Setting<unknown>[] = registeredSettings(),
): SettingListing[] =>
  settings.map((one) => {
    const given = env[one.name]?.trim();
    const set = given !== undefined && given !== '';
    const result = readSetting(one, env);
    return {
      name: one.name,
      description: one.description,
      expected: one.parser.expected,
      required: one.required,
      secret: one.secret,
      default: defaultText(one),
      value: set ? shownValue(one, given) : null,
      problem: 'detail' in result ? result.detail : null,
    };
  });

const defaultText = (one: Setting<unknown>): string | null => {
  if (one.default === undefined || one.default === null) return null;
  return shownValue(one, typeof one.default === 'string' ? one.default : JSON.stringify(one.default));
};

const shownValue = (one: Setting<unknown>, value: string): string => (one.secret ? '••••••' : withoutPassword(value));

/** The same URL with its password hidden; any other text as it is. */
export const withoutPassword = (value: string): string => value.replace(/(\w+:\/\/[^:@/\s]*):[^@/\s]*@/g, '$1:••••••@');
