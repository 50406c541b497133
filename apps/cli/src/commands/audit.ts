import { flag, line, text, wholeNumber, type Command, type CommandInput, type ExitCode } from '../command.js';
import { Api, failureOf } from '../installation/api.js';
import { credentials } from '../installation/credentials.js';
import { apiAddress } from '../installation/run-file.js';

const TIMEOUT_MS = 10_000;
const FILTERS = ['action', 'subject', 'actor', 'role', 'from', 'to', 'after'] as const;

type Entry = {
  readonly recordedAt: string;
  readonly actor: { readonly subject: string; readonly role: string; readonly clientId: string };
  readonly action: string;
  readonly subject: string;
  readonly reason: string | null;
  readonly details: Readonly<Record<string, unknown>>;
};
type Page = { readonly items: readonly Entry[]; readonly next: string | null };

const show = ({ surroundings: { stdout } }: CommandInput, entry: Entry): void => {
  const { recordedAt, actor, action, subject, reason, details } = entry;
  const by = `${actor.role} ${actor.subject}${actor.clientId === actor.subject ? '' : ` (${actor.clientId})`}`;
  const why = reason === null ? '' : `  "${reason}"`;
  const more = Object.keys(details).length === 0 ? '' : `  ${JSON.stringify(details)}`;
  line(stdout, `${recordedAt}  ${by}  ${action}  ${subject}${why}${more}`);
};

const run = async (input: CommandInput): Promise<ExitCode> => {
  const { options, surroundings } = input;
  const limit = wholeNumber(options, 'limit', { min: 1, max: 500, fallback: 50 });
  const api = new Api({
    address: () => apiAddress(surroundings),
    credentials: credentials(surroundings, 'auditor'),
    patienceMs: TIMEOUT_MS,
    onTrouble: (message) => line(surroundings.stderr, message),
    signal: surroundings.signal,
  });
  const query = new URLSearchParams({ limit: String(limit) });
  for (const name of FILTERS) {
    const given = text(options, name);
    if (given !== undefined) query.set(name, given);
  }
  const answer = await api.request({ method: 'GET', path: `/v1/audit?${query.toString()}`, timeoutMs: TIMEOUT_MS });
  if (answer.status !== 200) throw failureOf(answer, (pointer) => `--${pointer.slice(1)}`);
  const page = answer.body as Page;
  if (flag(options, 'json')) {
    line(surroundings.stdout, JSON.stringify(page));
    return 0;
  }
  for (const entry of page.items) show(input, entry);
  if (page.items.length === 0) line(surroundings.stdout, 'No entries.');
  else if (page.next !== null) line(surroundings.stdout, `… more with --after ${page.next}`);
  return 0;
};

export const audit: Command = {
  name: 'audit',
  summary: 'Shows what staff and operators did, the latest first.',
  options: {
    action: { type: 'string', value: 'ACTION', description: 'What was done, such as members.enrolled.' },
    subject: { type: 'string', value: 'SUBJECT', description: 'What it was done to, such as member:<id>.' },
    actor: { type: 'string', value: 'SUBJECT', description: "Who did it: a token's subject, or an operator's login." },
    role: { type: 'string', value: 'ROLE', description: 'The role it was done in; operator for this command line.' },
    from: { type: 'string', value: 'INSTANT', description: 'From this instant on.' },
    to: { type: 'string', value: 'INSTANT', description: 'Before this instant.' },
    limit: { type: 'string', value: 'N', description: 'Entries shown, 50 unless told, 500 at most.' },
    after: { type: 'string', value: 'CURSOR', description: 'The page after one that ended with this.' },
    json: { type: 'boolean', description: 'One line of JSON.' },
  },
  positionals: { min: 0, max: 0 },
  run,
};
