import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { SettingListing } from '@vafa/service/commands';

import { flag, line, Refusal, type Command, type CommandInput, type ExitCode, type Surroundings } from '../command.js';
import { messageOf } from '../errors.js';

type Listing = {
  readonly settings: readonly SettingListing[];
  /** Variables that look like a setting and are none, with the one that was probably meant. */
  readonly unknown: readonly { readonly name: string; readonly nearest: string | null }[];
};

/** No app knows another; the one that composes them all lists what they declare. */
const LISTER = ['apps', 'standalone', 'dist', 'list-settings.js'];
const OUTPUT_BYTES_MAX = 4 * 1024 * 1024;

/** Read by the commands alone. */
const OWN: readonly (readonly [name: string, description: string])[] = [
  ['VAFA_TOKEN', 'bearer token of the commands, where the embedded issuer mints none'],
  ['VAFA_API_URL', 'address of the API for the commands, where it does not run on this machine'],
];

const list = async ({ env, root }: Surroundings): Promise<Listing> => {
  try {
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, [join(root, ...LISTER)], {
      env: { ...env },
      maxBuffer: OUTPUT_BYTES_MAX,
    });
    const { settings, unknown } = JSON.parse(stdout) as Listing;
    const own = OWN.map(([name]) => name);
    return { settings, unknown: unknown.filter(({ name, nearest }) => nearest !== null && !own.includes(name)) };
  } catch (error) {
    throw new Refusal(`The settings cannot be listed: ${messageOf(error)}`);
  }
};

const show = ({ stdout }: Surroundings, { settings, unknown }: Listing): void => {
  const width = Math.max(...settings.map(({ name }) => name.length));
  const indent = ' '.repeat(width + 2);
  for (const { name, description, expected, value, default: fallback, problem } of settings) {
    const now = value === null ? (fallback ?? 'not set') : `${value}   (set; default: ${fallback ?? 'none'})`;
    line(stdout, `${name.padEnd(width)}  ${now}`);
    line(stdout, `${indent}${description}; ${expected}`);
    if (problem !== null) line(stdout, `${indent}WRONG: ${problem}`);
  }
  for (const [name, description] of OWN) line(stdout, `${name.padEnd(width)}  ${description}`);
  for (const { name, nearest } of unknown) line(stdout, `${name} is no setting: ${nearest ?? ''} was probably meant`);
};

const run = async ({ options, surroundings }: CommandInput): Promise<ExitCode> => {
  const listing = await list(surroundings);
  if (flag(options, 'json')) line(surroundings.stdout, JSON.stringify(listing));
  else show(surroundings, listing);
  return listing.unknown.length > 0 || listing.settings.some(({ problem }) => problem !== null) ? 1 : 0;
};

export const config: Command = {
  name: 'config',
  summary: 'Lists every setting: what it is for, its default and its value now.',
  options: { json: { type: 'boolean', description: 'One line of JSON.' } },
  notes: [
    'Settings are environment variables. Secrets are not shown. Exit code: 1 where one of them is wrong or misspelt.',
  ],
  positionals: { min: 0, max: 0 },
  run,
};
