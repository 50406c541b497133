import { parseArgs } from 'node:util';

import { codeOf, messageOf } from './errors.js';
import {
  line,
  Refusal,
  UsageError,
  type Command,
  type CommandInput,
  type ExitCode,
  type Surroundings,
} from './command.js';
import { commandHelp, overview } from './help.js';
import { didYouMean } from './suggest.js';

const HELP_WORDS = new Set(['--help', '-h', 'help']);

type Found = { readonly command: Command; readonly rest: readonly string[] };

/** The command that the first words name: the longest name wins. */
const find = (commands: readonly Command[], words: readonly string[]): Found | undefined => {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(' ');
    const command = commands.find((candidate) => candidate.name === name);
    if (command !== undefined) return { command, rest: words.slice(length) };
  }
  return undefined;
};

const parse = (command: Command, args: readonly string[]): Omit<CommandInput, 'surroundings'> & { help: boolean } => {
  const options = Object.fromEntries(Object.entries(command.options).map(([name, { type }]) => [name, { type }]));
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { ...options, help: { type: 'boolean', short: 'h' } },
    allowPositionals: true,
    strict: true,
  });
  return { options: values, positionals, help: values['help'] === true };
};

/** node:util explains a wrong option at length; one sentence and the nearest option that exists serve better. */
const wrongOption = (command: Command, message: string): UsageError => {
  const unknown = /Unknown option '(-+)([^' ]+)'/.exec(message);
  if (unknown === null) return new UsageError(`${message.split('. ')[0]}.`);
  const [, dashes = '', name = ''] = unknown;
  const hint = didYouMean(
    `--${name}`,
    Object.keys(command.options).map((option) => `--${option}`),
  );
  return new UsageError(`"${command.name}" has no option "${dashes}${name}".${hint}`);
};

const runCommand = async (command: Command, args: readonly string[], surroundings: Surroundings): Promise<ExitCode> => {
  let parsed;
  try {
    parsed = parse(command, args);
  } catch (error) {
    if (codeOf(error)?.startsWith('ERR_PARSE_ARGS') === true) throw wrongOption(command, messageOf(error));
    throw error;
  }
  if (parsed.help) {
    line(surroundings.stdout, commandHelp(command));
    return 0;
  }
  const { min, max } = command.positionals;
  if (parsed.positionals.length < min) throw new UsageError(`"${command.name}" needs ${command.usage ?? 'more'}.`);
  const extra = parsed.positionals[max];
  if (extra !== undefined) throw new UsageError(`"${command.name}" does not know what to do with "${extra}".`);
  return command.run({ ...parsed, surroundings });
};

const unknownCommand = (commands: readonly Command[], words: readonly string[]): UsageError => {
  const given = words.filter((word) => !word.startsWith('-')).slice(0, 2);
  const names = commands.map((command) => command.name);
  const two = didYouMean(given.join(' '), names);
  const hint = two === '' ? didYouMean(given[0] ?? '', names) : two;
  return new UsageError(`There is no command "${given.join(' ')}".${hint}`);
};

const dispatch = async (
  commands: readonly Command[],
  args: readonly string[],
  surroundings: Surroundings,
): Promise<ExitCode> => {
  const asksHelp = args.some((word) => HELP_WORDS.has(word));
  const words = args[0] === 'help' ? [...args.slice(1), '--help'] : args;
  const first = words[0];
  if (first === undefined || first.startsWith('-')) {
    if (first !== undefined && !asksHelp) throw new UsageError(`A command comes first, not "${first}".`);
    line(asksHelp ? surroundings.stdout : surroundings.stderr, overview(commands));
    return asksHelp ? 0 : 2;
  }
  const found = find(commands, words);
  if (found !== undefined) return runCommand(found.command, found.rest, surroundings);

  const group = commands.filter((command) => command.name.startsWith(`${first} `));
  const second = words[1];
  if (group.length === 0 || (second !== undefined && !second.startsWith('-'))) throw unknownCommand(commands, words);
  line(asksHelp ? surroundings.stdout : surroundings.stderr, overview(group, first));
  return asksHelp ? 0 : 2;
};

/** Runs one command line and gives its exit code. A mistake of the user ends in one sentence; a bug in its stack. */
export const runCli = async (
  commands: readonly Command[],
  args: readonly string[],
  surroundings: Surroundings,
): Promise<ExitCode> => {
  try {
    return await dispatch(commands, args, surroundings);
  } catch (error) {
    if (error instanceof UsageError) {
      line(surroundings.stderr, `${error.message} See "vafa --help", or --help after a command.`);
      return 2;
    }
    if (error instanceof Refusal) {
      line(surroundings.stderr, error.message);
      return 1;
    }
    line(surroundings.stderr, error instanceof Error ? (error.stack ?? error.message) : String(error));
    return 1;
  }
};
