import {
  flag,
  line,
  text,
  UsageError,
  wholeNumber,
  type Command,
  type CommandInput,
  type ExitCode,
} from '../command.js';
import { Api, failureOf, type ApiRequest } from '../installation/api.js';
import { credentials } from '../installation/credentials.js';
import { apiAddress } from '../installation/run-file.js';

const TIMEOUT_MS = 10_000;
/** A thousand letters, each with what waits behind it, take their time. */
const SETTLE_TIMEOUT_MS = 120_000;
const CHOICE = ['topic', 'service', 'kind', 'reason-begins', 'since'] as const;

type Letter = {
  readonly id: string;
  readonly service: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly key: string | null;
  readonly kind: string;
  readonly status: string;
  readonly reason: string;
  readonly note: string | null;
  readonly at: string;
  readonly settledAt: string | null;
};
type Page = { readonly items: readonly Letter[]; readonly next: string | null };
type Opened = Letter & {
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: number;
  readonly text: string | null;
  readonly hex: string | null;
};
type Done = { readonly letters: number; readonly sent: number; readonly more: boolean };

/** @throws UsageError for an option that the API cannot read, Refusal for anything else but 200; both in the API's own words. */
const ask = async <Body>(
  { surroundings }: CommandInput,
  request: Pick<ApiRequest, 'method' | 'path' | 'body'>,
): Promise<Body> => {
  const api = new Api({
    address: () => apiAddress(surroundings),
    credentials: credentials(surroundings, 'admin'),
    patienceMs: TIMEOUT_MS,
    onTrouble: (message) => line(surroundings.stderr, message),
    signal: surroundings.signal,
  });
  const timeoutMs = request.method === 'GET' ? TIMEOUT_MS : SETTLE_TIMEOUT_MS;
  const answer = await api.request({ ...request, timeoutMs });
  if (answer.status === 200) return answer.body as Body;
  throw failureOf(answer, nameOf);
};

/** The option that a field of the API came from. */
const nameOf = (pointer: string): string => {
  const field = pointer.slice(pointer.lastIndexOf('/') + 1);
  if (pointer === '/reason' || field === '') return 'The reason';
  return field === 'reason' ? '--reason-begins' : `--${field}`;
};

const choiceOf = ({ options }: CommandInput): Record<string, string> => {
  const choice: Record<string, string> = {};
  for (const name of CHOICE) {
    const given = text(options, name);
    if (given !== undefined) choice[name === 'reason-begins' ? 'reason' : name] = given;
  }
  return choice;
};

const CHOICE_OPTIONS = {
  topic: { type: 'string', value: 'TOPIC', description: 'Those that came on this topic.' },
  service: { type: 'string', value: 'NAME', description: 'Those that this service could not take.' },
  kind: {
    type: 'string',
    value: 'KIND',
    description: 'invalid, unhandled, failed or behind (a failed one of its key).',
  },
  'reason-begins': { type: 'string', value: 'TEXT', description: 'Those whose reason begins so, such as not-json.' },
  since: { type: 'string', value: 'INSTANT', description: 'Those of this instant and later.' },
} as const;
const JSON_OPTION = { json: { type: 'boolean', description: 'One line of JSON.' } } as const;

const COLUMNS = ['at', 'status', 'kind', 'service', 'topic', 'id', 'reason'] as const;

const table = (letters: readonly Letter[]): string[] => {
  const widths = COLUMNS.map((name) => Math.max(name.length, ...letters.map((letter) => letter[name].length)));
  const row = (cells: readonly string[]): string =>
    cells.map((cell, i) => (i === cells.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join('  ');
  return [row(COLUMNS), ...letters.map((letter) => row(COLUMNS.map((name) => letter[name])))];
};

const runList = async (input: CommandInput): Promise<ExitCode> => {
  const { options, surroundings } = input;
  const limit = wholeNumber(options, 'limit', { min: 1, max: 500, fallback: 50 });
  const query = new URLSearchParams({ limit: String(limit), ...choiceOf(input) });
  const [status, after] = [text(options, 'status') ?? 'waiting', text(options, 'after')];
  if (status !== 'any') query.set('status', status);
  if (after !== undefined) query.set('after', after);
  const page = await ask<Page>(input, { method: 'GET', path: `/v1/dead-letters?${query.toString()}` });
  if (flag(options, 'json')) {
    line(surroundings.stdout, JSON.stringify(page));
    return 0;
  }
  if (page.items.length === 0) line(surroundings.stdout, 'No dead letters.');
  else for (const row of table(page.items)) line(surroundings.stdout, row);
  if (page.next !== null) line(surroundings.stdout, `… more with --after ${page.next}`);
  return 0;
};

const pathOf = ([id = '']: readonly string[]): string => `/v1/dead-letters/${encodeURIComponent(id)}`;

const runShow = async (input: CommandInput): Promise<ExitCode> => {
  const { stdout } = input.surroundings;
  const letter = await ask<Opened>(input, { method: 'GET', path: pathOf(input.positionals) });
  if (flag(input.options, 'json')) {
    line(stdout, JSON.stringify(letter));
    return 0;
  }
  const { text: content, hex, headers, bytes, note, settledAt } = letter;
  line(stdout, `${letter.id}  ${letter.kind}, ${letter.status}, since ${letter.at}`);
  line(
    stdout,
    `${letter.service}: ${letter.topic}/${letter.partition} at ${letter.offset}, key ${letter.key ?? 'none'}`,
  );
  line(stdout, letter.reason);
  if (settledAt !== null) line(stdout, `settled ${settledAt}${note === null ? '' : `: ${note}`}`);
  for (const [name, value] of Object.entries(headers)) line(stdout, `  ${name}: ${JSON.stringify(value)}`);
  line(stdout, `${bytes} bytes${content === null ? ' that are no text, in hexadecimal digits' : ''}:`);
  line(stdout, content ?? hex ?? '');
  return 0;
};

/** A request for one letter by its id, or for those that the options choose. */
const settleRequest = (
  input: CommandInput,
  act: 'replay' | 'discard',
  body: Readonly<Record<string, string>>,
): Pick<ApiRequest, 'method' | 'path' | 'body'> => {
  const choice = choiceOf(input);
  const chooses = Object.keys(choice).length > 0;
  if (chooses === input.positionals.length > 0)
    throw new UsageError(
      `"dead-letters ${act}" takes the ID of a letter, or options such as --topic that choose several: one of the two.`,
    );
  if (!chooses) return { method: 'POST', path: `${pathOf(input.positionals)}/${act}`, body: JSON.stringify(body) };
  return { method: 'POST', path: `/v1/dead-letters/${act}`, body: JSON.stringify({ ...body, letters: choice }) };
};

const report = ({ options, surroundings: { stdout } }: CommandInput, done: Done, words: string): ExitCode => {
  if (flag(options, 'json')) line(stdout, JSON.stringify(done));
  else {
    const sent = done.sent === 1 ? '1 message is' : `${done.sent} messages are`;
    line(stdout, `${done.letters === 1 ? '1 letter' : `${done.letters} letters`} ${words}; ${sent} on the way again.`);
    if (done.more) line(stdout, 'There may be more of them: run it once more.');
  }
  return done.letters > 0 ? 0 : 1;
};

const runReplay = async (input: CommandInput): Promise<ExitCode> =>
  report(input, await ask<Done>(input, settleRequest(input, 'replay', {})), 'replayed');

const runDiscard = async (input: CommandInput): Promise<ExitCode> => {
  const reason = text(input.options, 'reason');
  if (reason === undefined) throw new UsageError('"dead-letters discard" needs --reason: it stands in the audit.');
  return report(input, await ask<Done>(input, settleRequest(input, 'discard', { reason })), 'discarded');
};

export const listLetters: Command = {
  name: 'dead-letters list',
  summary: 'Lists the messages that could not be taken, the oldest first.',
  options: {
    ...CHOICE_OPTIONS,
    status: {
      type: 'string',
      value: 'STATUS',
      description: 'waiting (unless told), replaying, replayed, discarded or any.',
    },
    limit: { type: 'string', value: 'N', description: 'Letters shown, 50 unless told, 500 at most.' },
    after: { type: 'string', value: 'CURSOR', description: 'The page after one that ended with this.' },
    ...JSON_OPTION,
  },
  positionals: { min: 0, max: 0 },
  run: runList,
};

export const showLetter: Command = {
  name: 'dead-letters show',
  summary: 'Shows a dead letter with its headers and bytes. They may hold anything that somebody sent.',
  usage: 'ID',
  options: JSON_OPTION,
  positionals: { min: 1, max: 1 },
  run: runShow,
};

export const replayLetters: Command = {
  name: 'dead-letters replay',
  summary:
    'Sends dead letters again, to the service that could not take them, in order and with what waits behind them.',
  usage: '[ID]',
  options: { ...CHOICE_OPTIONS, ...JSON_OPTION },
  notes: [
    'Doing so twice is harmless. Without an ID, up to 1,000 of those that wait and are all of what the options say.',
    'Exit code 1 where there was none that was not settled already.',
  ],
  positionals: { min: 0, max: 1 },
  run: runReplay,
};

export const discardLetters: Command = {
  name: 'dead-letters discard',
  summary: 'Gives dead letters up. What waits behind them follows, in order.',
  usage: '[ID]',
  options: {
    reason: { type: 'string', value: 'TEXT', description: 'Why, for the audit; without anything personal. Needed.' },
    ...CHOICE_OPTIONS,
    ...JSON_OPTION,
  },
  notes: [
    'Without an ID, up to 1,000 of those that wait and are all of what the options say.',
    'Exit code 1 where there was none that was not settled already.',
  ],
  positionals: { min: 0, max: 1 },
  run: runDiscard,
};
