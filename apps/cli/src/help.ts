import type { Command, OptionSpec } from './command.js';

const PROGRAM = 'vafa';
const WIDTH_MAX = 110;

const wrap = (paragraph: string, indent: string): string => {
  const lines: string[] = [];
  let current = indent;
  for (const word of paragraph.split(' ')) {
    if (current.length + word.length + 1 > WIDTH_MAX && current.trim() !== '') {
      lines.push(current);
      current = indent;
    }
    current += (current === indent ? '' : ' ') + word;
  }
  return [...lines, current].join('\n');
};

const optionLabel = ([name, spec]: [string, OptionSpec]): string =>
  spec.type === 'string' ? `--${name} ${spec.value ?? 'VALUE'}` : `--${name}`;

const table = (rows: readonly (readonly [string, string])[]): string => {
  const width = Math.max(...rows.map(([label]) => label.length)) + 2;
  const indent = ' '.repeat(width + 2);
  return rows.map(([label, text]) => `  ${label.padEnd(width)}${wrap(text, indent).trimStart()}`).join('\n');
};

/** The help text of one command. */
export const commandHelp = (command: Command): string => {
  const options: [string, OptionSpec][] = [
    ...Object.entries(command.options),
    ['help', { type: 'boolean', description: 'Shows this.' }],
  ];
  return [
    `Usage: ${PROGRAM} ${command.name} [options]${command.usage === undefined ? '' : ` ${command.usage}`}`,
    '',
    wrap(command.summary, ''),
    '',
    'Options:',
    table(options.map((option) => [optionLabel(option), option[1].description] as const)),
    ...(command.notes ?? []).flatMap((note) => ['', note.startsWith(' ') ? note : wrap(note, '')]),
  ].join('\n');
};

/** The list of all commands, or of those that begin with the words given. */
export const overview = (commands: readonly Command[], words = ''): string =>
  [
    `Usage: ${PROGRAM} ${words === '' ? '' : `${words} `}<command> [options]      (npm run vafa -- ${words === '' ? '' : `${words} `}<command> …)`,
    '',
    'Commands:',
    table(commands.map((command) => [command.name, command.summary] as const)),
    '',
    wrap(
      `"${PROGRAM} <command> --help" says more. Exit codes: 0 done, 1 something was found or refused, 2 wrong usage.`,
      '',
    ),
  ].join('\n');
