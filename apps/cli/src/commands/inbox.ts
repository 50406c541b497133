import {
  flag,
  line,
  text,
  UsageError,
  wholeNumber,
  type Command,
  type CommandInput,
  type ExitCode,
  type OptionSpec,
} from '../command.js';
import { Api, failureOf, type ApiRequest } from '../installation/api.js';
import { credentials } from '../installation/credentials.js';
import { apiAddress } from '../installation/run-file.js';

const TIMEOUT_MS = 10_000;
/** What follows from a decision is waited for. */
const SETTLE_TIMEOUT_MS = 60_000;
const FILTERS = ['kind', 'status', 'reason', 'source', 'after'] as const;

type Item = {
  readonly id: string;
  readonly kind: 'purchase' | 'return' | 'activity';
  readonly source: string;
  readonly purchaseId?: string | null;
  readonly returnId?: string;
  readonly activityId?: string;
  readonly status: string;
  readonly reason: string;
  readonly member: string | null;
  readonly receivedAt: string;
};
type Page = { readonly items: readonly Item[]; readonly next: string | null };
type Outcome = {
  readonly source: string;
  readonly purchaseId?: string | null;
  readonly returnId?: string;
  readonly activityId?: string;
  readonly status: string;
  readonly memberId: string | null;
  readonly points: number;
  readonly reason: string | null;
};
type View = Item & {
  readonly actions: readonly string[];
  readonly content: unknown;
  readonly standing: { readonly member: string | null; readonly content: unknown } | null;
  readonly differences: readonly { readonly pointer: string; readonly standing?: unknown; readonly other?: unknown }[];
  readonly outcome: Outcome;
  readonly replacement: Outcome | null;
  readonly settlement: {
    readonly action: string;
    readonly target: string | null;
    readonly actor: { readonly subject: string; readonly role: string };
    readonly reason: string;
    readonly decidedAt: string;
    readonly finishedAt: string | null;
  } | null;
};

/** @throws UsageError for an option that the API cannot read, Refusal for anything else but 200; both in the API's own words. */
const ask = async <Body>(
  { surroundings }: CommandInput,
  request: Pick<ApiRequest, 'method' | 'path' | 'body'>,
): Promise<Body> => {
  const api = new Api({
    address: () => apiAddress(surroundings),
    credentials: credentials(surroundings, 'support'),
    patienceMs: TIMEOUT_MS,
    onTrouble: (message) => line(surroundings.stderr, message),
    signal: surroundings.signal,
  });
  const timeoutMs = request.method === 'GET' ? TIMEOUT_MS : SETTLE_TIMEOUT_MS;
  const answer = await api.request({ ...request, timeoutMs });
  if (answer.status === 200) return answer.body as Body;
  throw failureOf(answer, (pointer) => `--${pointer === '/purchaseId' ? 'purchase' : pointer.slice(1)}`);
};

type Ids = Pick<Item, 'purchaseId' | 'returnId' | 'activityId'>;

const idIn = (kind: Item['kind'], { purchaseId, returnId, activityId }: Ids): string =>
  ({ purchase: purchaseId, return: returnId, activity: activityId })[kind] ?? '';
const idOf = (item: Item): string => idIn(item.kind, item);

const COLUMNS = ['received', 'status', 'reason', 'kind', 'source', 'number', 'member', 'id'] as const;

const table = (items: readonly Item[]): string[] => {
  const rows = [
    COLUMNS,
    ...items.map((item) => {
      const { receivedAt, status, reason, kind, source, member, id } = item;
      return [receivedAt, status, reason, kind, source, idOf(item), member ?? '-', id];
    }),
  ];
  const widths = COLUMNS.map((_name, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
};

const runList = async (input: CommandInput): Promise<ExitCode> => {
  const { options, surroundings } = input;
  const limit = wholeNumber(options, 'limit', { min: 1, max: 500, fallback: 50 });
  const query = new URLSearchParams({ limit: String(limit) });
  for (const name of FILTERS) {
    const given = text(options, name);
    if (given !== undefined) query.set(name, given);
  }
  const page = await ask<Page>(input, { method: 'GET', path: `/v1/inbox?${query.toString()}` });
  if (flag(options, 'json')) {
    line(surroundings.stdout, JSON.stringify(page));
    return 0;
  }
  if (page.items.length === 0) line(surroundings.stdout, 'Nothing is to be settled.');
  else for (const row of table(page.items)) line(surroundings.stdout, row);
  if (page.next !== null) line(surroundings.stdout, `… more with --after ${page.next}`);
  return 0;
};

const pathOf = ([id = '']: readonly string[]): string => `/v1/inbox/${encodeURIComponent(id)}`;

const cell = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value));

const differenceLines = ({ standing, member, differences }: View): string[] => {
  if (standing === null) return [];
  const other =
    standing.member === member ? [] : [`  member: ${cell(standing.member)} stands, ${cell(member)} came as well`];
  const rows = differences.map(
    (difference) =>
      `  ${difference.pointer}: ${cell(difference.standing)} stands, ${cell(difference.other)} came as well`,
  );
  const all = [...other, ...rows];
  return ['Differences:', ...(all.length > 0 ? all : ['  none in what is kept of them'])];
};

const outcomeText = ({ status, memberId, points, reason }: Outcome): string =>
  `${status}${memberId === null ? '' : `, member ${memberId}, ${points} points`}${reason === null ? '' : ` (${reason})`}`;

const linesOf = (view: View): string[] => {
  const { id, kind, source, status, reason, member, receivedAt, actions, settlement, standing } = view;
  const contents = standing === null ? [] : ['What stands:', JSON.stringify(standing.content, null, 2)];
  return [
    `${id}  ${kind} ${source} ${idOf(view)}, ${status}: ${reason}, since ${receivedAt}`,
    `member: ${member ?? 'none'}`,
    `under its key now: ${outcomeText(view.outcome)}`,
    ...(view.replacement === null
      ? []
      : [`counts as ${idIn(view.kind, view.replacement)}: ${outcomeText(view.replacement)}`]),
    ...(settlement === null ? [] : settlementLines(settlement)),
    ...(actions.length === 0 ? [] : [`can be done: ${actions.join(', ')}`]),
    ...differenceLines(view),
    ...contents,
    standing === null ? 'Its content:' : 'What came as well:',
    JSON.stringify(view.content, null, 2),
  ];
};

const settlementLines = (settlement: NonNullable<View['settlement']>): string[] => {
  const { action, target, actor, reason, decidedAt, finishedAt } = settlement;
  const to = target === null ? '' : ` to ${target}`;
  return [
    `${action}${to}, by ${actor.role} ${actor.subject}, ${decidedAt}: "${reason}"`,
    ...(finishedAt === null ? ['What follows from it is still being done.'] : []),
  ];
};

const runShow = async (input: CommandInput): Promise<ExitCode> => {
  const view = await ask<View>(input, { method: 'GET', path: pathOf(input.positionals) });
  const { stdout } = input.surroundings;
  if (flag(input.options, 'json')) line(stdout, JSON.stringify(view));
  else for (const row of linesOf(view)) line(stdout, row);
  return 0;
};

const JSON_OPTION = { json: { type: 'boolean', description: 'One line of JSON.' } } as const;

/** A command that settles one item. */
const settling = (
  action: string,
  more: {
    readonly summary: string;
    readonly notes?: readonly string[];
    readonly options?: Readonly<Record<string, OptionSpec>>;
  },
): Command => ({
  name: `inbox ${action}`,
  summary: more.summary,
  usage: 'ID',
  options: {
    reason: { type: 'string', value: 'TEXT', description: 'Why, for the audit; without anything personal. Needed.' },
    ...more.options,
    ...JSON_OPTION,
  },
  ...(more.notes && { notes: more.notes }),
  positionals: { min: 1, max: 1 },
  run: async (input) => {
    const reason = text(input.options, 'reason');
    if (reason === undefined) throw new UsageError(`"inbox ${action}" needs --reason: it stands in the audit.`);
    const given = Object.keys(more.options ?? {}).flatMap((name) => {
      const value = text(input.options, name);
      return value === undefined ? [] : [[name === 'purchase' ? 'purchaseId' : name, value] as const];
    });
    const body = JSON.stringify({ reason, ...Object.fromEntries(given) });
    const view = await ask<View>(input, { method: 'POST', path: `${pathOf(input.positionals)}/${action}`, body });
    const { stdout } = input.surroundings;
    if (flag(input.options, 'json')) line(stdout, JSON.stringify(view));
    else {
      line(stdout, `${view.kind} ${view.source} ${idOf(view)}: ${outcomeText(view.outcome)}`);
      if (view.replacement !== null)
        line(stdout, `counts as ${idIn(view.kind, view.replacement)}: ${outcomeText(view.replacement)}`);
      if (view.settlement?.finishedAt === null) line(stdout, 'What follows from it is still being done.');
    }
    return 0;
  },
});

/** Everything about what only a person can settle. */
export const inboxCommands: readonly Command[] = [
  {
    name: 'inbox list',
    summary: 'Lists what waits, conflicts or is quarantined, in the order in which it came.',
    options: {
      kind: { type: 'string', value: 'KIND', description: 'purchase, return or activity.' },
      status: { type: 'string', value: 'STATUS', description: 'waiting, conflict or quarantined.' },
      reason: { type: 'string', value: 'CODE', description: 'Why it is there, such as unknown-member.' },
      source: { type: 'string', value: 'SOURCE', description: 'Who sent it.' },
      limit: { type: 'string', value: 'N', description: 'Items shown, 50 unless told, 500 at most.' },
      after: { type: 'string', value: 'CURSOR', description: 'The page after one that ended with this.' },
      ...JSON_OPTION,
    },
    positionals: { min: 0, max: 0 },
    run: runList,
  },
  {
    name: 'inbox show',
    summary: 'Shows one item: its content, what it conflicts with, what can be done, and how it was settled.',
    usage: 'ID',
    options: JSON_OPTION,
    positionals: { min: 1, max: 1 },
    run: runShow,
  },
  settling('keep', { summary: 'Closes a conflict: what stands stays, the other content never counts.' }),
  settling('replace', {
    summary: 'Closes a conflict: the other content counts instead of what stands.',
    notes: [
      'Points end as if only the other content had been sent. It counts under an id of its own; returns find it by either.',
      'A return cannot be replaced: discard the one that stands if it waits or is quarantined, keep here, and send what is right as a return with an id of its own.',
    ],
  }),
  settling('attach', {
    summary: 'Gives what waits to the member, or a return to the purchase, that it belongs to.',
    options: {
      member: { type: 'string', value: 'REF', description: 'member:<id>, card:<number> or external:<id>.' },
      purchase: { type: 'string', value: 'ID', description: 'The purchase of a return, from the same source.' },
    },
  }),
  settling('approve', {
    summary: 'Takes what is quarantined.',
    notes: ['A return that names no purchase goes back over the purchases of its member, from the latest.'],
  }),
  settling('discard', { summary: 'Refuses for good what waits or is quarantined. Its content is kept.' }),
];
