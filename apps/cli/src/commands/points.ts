import {
  flag,
  line,
  Refusal,
  text,
  UsageError,
  wholeNumber,
  type Command,
  type CommandInput,
  type ExitCode,
} from '../command.js';
import { Api, type ApiAnswer } from '../installation/api.js';
import { credentials } from '../installation/credentials.js';
import { apiAddress } from '../installation/run-file.js';

const TIMEOUT_MS = 10_000;
const LANGUAGES = ['en', 'fa', 'ar'];

type Balance = { balance: number; available: number; pending: number; held: number; debt: number };
type Movement = {
  transactionId: string;
  kind: string;
  amount: number;
  occurredAt: string;
  source: string | null;
  purchaseId: string | null;
};
type Page = { items: Movement[]; next: string | null };
type Explained = { transaction: Movement; sentences: string[] };

/** Asks for one resource of the member. @throws Refusal with the API's own words where it is not there. */
const asker = (input: CommandInput, reference: string) => {
  const { surroundings, options } = input;
  const language = text(options, 'language') ?? 'en';
  if (!LANGUAGES.includes(language))
    throw new UsageError(`--language takes ${LANGUAGES.join(', ')}, not "${language}".`);
  const api = new Api({
    address: () => apiAddress(surroundings),
    credentials: credentials(surroundings, 'support'),
    patienceMs: TIMEOUT_MS,
    onTrouble: (message) => line(surroundings.stderr, message),
    signal: surroundings.signal,
  });
  const base = `/v1/members/${encodeURIComponent(reference)}/points`;
  return async <Body>(path: string): Promise<Body> => {
    const headers = { 'accept-language': language };
    const answer = await api.request({ method: 'GET', path: `${base}${path}`, headers, timeoutMs: TIMEOUT_MS });
    if (answer.status !== 200) throw new Refusal(refusalOf(answer, reference));
    return answer.body as Body;
  };
};

const refusalOf = ({ status, body }: ApiAnswer, reference: string): string => {
  const { title, detail } = (typeof body === 'object' && body !== null ? body : {}) as {
    title?: string;
    detail?: string;
  };
  return `${reference}: ${detail ?? title ?? `HTTP ${status}`}.`.replace(/\.\.$/, '.');
};

const number = new Intl.NumberFormat('en');

const showBalance = ({ surroundings: { stdout } }: CommandInput, reference: string, points: Balance): void => {
  line(stdout, `${reference}: ${number.format(points.balance)} points`);
  line(
    stdout,
    `  ${number.format(points.available)} available, ${number.format(points.pending)} pending, ${number.format(points.held)} held, ${number.format(points.debt)} debt`,
  );
};

const showMovement = ({ surroundings: { stdout } }: CommandInput, movement: Movement): void => {
  const amount = `${movement.amount >= 0 ? '+' : ''}${number.format(movement.amount)}`;
  const purchase = movement.purchaseId === null ? '' : `  ${movement.source ?? ''} ${movement.purchaseId}`;
  line(
    stdout,
    `  ${movement.occurredAt}  ${amount.padStart(9)}  ${movement.kind}  ${movement.transactionId}${purchase}`,
  );
};

const run = async (input: CommandInput): Promise<ExitCode> => {
  const [reference = ''] = input.positionals;
  const { options, surroundings } = input;
  const ask = asker(input, reference);
  const limit = wholeNumber(options, 'limit', { min: 1, max: 500, fallback: 10 });
  const explained = text(options, 'explain');
  if (explained !== undefined) {
    const answer = await ask<Explained>(`/transactions/${encodeURIComponent(explained)}/explanation`);
    if (flag(options, 'json')) line(surroundings.stdout, JSON.stringify(answer));
    else {
      showMovement(input, answer.transaction);
      for (const sentence of answer.sentences) line(surroundings.stdout, `  ${sentence}`);
    }
    return 0;
  }
  const points = await ask<Balance>('');
  const page = await ask<Page>(`/transactions?limit=${limit}`);
  if (flag(options, 'json')) {
    line(surroundings.stdout, JSON.stringify({ ...points, transactions: page.items, next: page.next }));
    return 0;
  }
  showBalance(input, reference, points);
  for (const movement of page.items) showMovement(input, movement);
  if (page.items.length === 0) line(surroundings.stdout, '  no transactions yet');
  else if (page.next !== null) line(surroundings.stdout, `  … the latest ${page.items.length}; --limit shows more`);
  return 0;
};

export const points: Command = {
  name: 'points',
  summary: "Shows a member's points and latest transactions, or why one of them has the points it has.",
  usage: 'REF',
  options: {
    explain: { type: 'string', value: 'TRANSACTION', description: 'The explanation of one transaction, in words.' },
    limit: { type: 'string', value: 'N', description: 'Transactions shown, 10 unless told, 500 at most.' },
    language: { type: 'string', value: 'LANGUAGE', description: 'en, fa or ar, for the explanation.' },
    json: { type: 'boolean', description: 'One line of JSON.' },
  },
  notes: ['REF is the id of a member, card:<number> or external:<id>.'],
  positionals: { min: 1, max: 1 },
  run,
};
