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
import { problemErrors, type ApiAnswer } from '../installation/api.js';
import { languageOf, MOMENT_OPTIONS, pointsApi } from './points-api.js';

const TIMEOUT_MS = 10_000;

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

/** Asks for one resource of the member at the times asked for. @throws UsageError for a time that it cannot read, Refusal where it is not there; both in the API's own words. */
const asker = (input: CommandInput, reference: string) => {
  const language = languageOf(input);
  const api = pointsApi(input);
  const moment = Object.entries({ asOf: text(input.options, 'as-of'), knownAt: text(input.options, 'known-at') });
  const base = `/v1/members/${encodeURIComponent(reference)}/points`;
  return async <Body>(path: string, parameters: Readonly<Record<string, string>> = {}): Promise<Body> => {
    const query = new URLSearchParams(parameters);
    for (const [name, value] of moment) if (value !== undefined) query.set(name, value);
    const headers = { 'accept-language': language };
    const answer = await api.request({
      method: 'GET',
      path: `${base}${path}?${query.toString()}`,
      headers,
      timeoutMs: TIMEOUT_MS,
    });
    if (answer.status !== 200) throw failureOf(answer, reference);
    return answer.body as Body;
  };
};

const OPTION_OF: Readonly<Record<string, string>> = { '/asOf': '--as-of', '/knownAt': '--known-at' };

/** An option that the API cannot read is wrong usage, whatever else it says a refusal. */
const failureOf = ({ status, body }: ApiAnswer, reference: string): Error => {
  const [error] = problemErrors(body);
  const option = error && OPTION_OF[error.pointer];
  if (option !== undefined) return new UsageError(`${option} ${error?.detail}.`);
  const { title, detail } = (typeof body === 'object' && body !== null ? body : {}) as {
    title?: string;
    detail?: string;
  };
  return new Refusal(`${reference}: ${detail ?? title ?? `HTTP ${status}`}.`.replace(/\.\.$/, '.'));
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
  const page = await ask<Page>('/transactions', { limit: String(limit) });
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
    ...MOMENT_OPTIONS,
    explain: { type: 'string', value: 'TRANSACTION', description: 'The explanation of one transaction, in words.' },
    limit: { type: 'string', value: 'N', description: 'Transactions shown, 10 unless told, 500 at most.' },
    language: { type: 'string', value: 'LANGUAGE', description: 'en, fa or ar, for the explanation.' },
    json: { type: 'boolean', description: 'One line of JSON.' },
  },
  notes: ['REF is the id of a member, card:<number> or external:<id>.'],
  positionals: { min: 1, max: 1 },
  run,
};
