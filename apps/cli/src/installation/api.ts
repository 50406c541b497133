import { setTimeout as pause } from 'node:timers/promises';

import { Refusal, UsageError } from '../command.js';
import { causeOf, codeOf, messageOf, nameOf } from '../errors.js';
import type { Credentials } from './credentials.js';

export type ApiAnswer = { readonly status: number; readonly body: unknown };

export type ApiRequest = {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: string;
  /** JSON text. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether the body of a 200 is wanted as it is, a Uint8Array, and not parsed. */
  readonly bytes?: boolean;
  /** How long the whole answer may take, in milliseconds. */
  readonly timeoutMs: number;
};

export type ApiOptions = {
  /** Asked for each attempt: after a restart the address may be another. */
  readonly address: () => Promise<string>;
  readonly credentials: Credentials;
  /** How long one request is tried again while the service cannot be reached or asks for patience, in milliseconds. */
  readonly patienceMs: number;
  /** Told once when trying begins, and once when it worked again. */
  readonly onTrouble: (message: string) => void;
  readonly signal: AbortSignal;
};

const BACKOFF_MS = 200;
const BACKOFF_MAX_MS = 5_000;
const AGAIN = new Set([429, 502, 503, 504]);

type Attempt = { readonly answer: ApiAnswer } | { readonly trouble: string; readonly afterMs?: number };

const troubleOf = (error: unknown): string => {
  if (nameOf(error) === 'TimeoutError') return 'no answer in time';
  const cause = causeOf(error) ?? error;
  return codeOf(cause) ?? messageOf(cause);
};

const parsed = (text: string): unknown => {
  try {
    return text === '' ? null : (JSON.parse(text) as unknown);
  } catch {
    return text;
  }
};

/** The HTTP API of the installation, with patience: what cannot be reached is tried again for a bounded time. */
export class Api {
  private troubled = false;

  constructor(private readonly options: ApiOptions) {}

  /** @throws Refusal where the service stays away, or refuses the token. Any other answer is returned, 4xx and 500 included. */
  async request(request: ApiRequest): Promise<ApiAnswer> {
    const { patienceMs, signal } = this.options;
    const deadline = performance.now() + patienceMs;
    for (let attempt = 0; ; attempt += 1) {
      const result = await this.attempt(request);
      if ('answer' in result) {
        if (this.troubled) this.options.onTrouble('The service answers again.');
        this.troubled = false;
        return accepted(result.answer);
      }
      signal.throwIfAborted();
      const waitMs = result.afterMs ?? Math.min(BACKOFF_MS * 2 ** attempt, BACKOFF_MAX_MS) * (0.5 + Math.random() / 2);
      if (performance.now() + waitMs > deadline)
        throw new Refusal(
          `The service could not be reached for ${Math.round(patienceMs / 1_000)} s (${result.trouble}).`,
        );
      this.tell(result.trouble);
      await pause(waitMs, undefined, { signal });
    }
  }

  private tell(trouble: string): void {
    if (this.troubled) return;
    this.troubled = true;
    const seconds = Math.round(this.options.patienceMs / 1_000);
    this.options.onTrouble(`The service does not answer (${trouble}); trying again for up to ${seconds} s.`);
  }

  private async attempt(request: ApiRequest): Promise<Attempt> {
    const { credentials, address } = this.options;
    // A token that cannot be had will not be had a moment later either: that is no trouble to wait out.
    const token = await credentials.token();
    try {
      const response = await fetch(`${await address()}${request.path}`, {
        method: request.method,
        ...(request.body === undefined ? {} : { body: request.body }),
        headers: {
          accept: 'application/json, application/problem+json',
          authorization: `Bearer ${token}`,
          ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...request.headers,
        },
        // What is under way is finished also after Ctrl-C: half an answer would have to be asked for again.
        signal: AbortSignal.timeout(request.timeoutMs),
      });
      const isWhole = request.bytes === true && response.status === 200;
      const body = isWhole ? new Uint8Array(await response.arrayBuffer()) : parsed(await response.text());
      if (!AGAIN.has(response.status)) return { answer: { status: response.status, body } };
      const after = Number(response.headers.get('retry-after'));
      const trouble = `HTTP ${response.status}`;
      return after > 0 ? { trouble, afterMs: Math.min(after * 1_000, BACKOFF_MAX_MS) } : { trouble };
    } catch (error) {
      // An address that is not known (yet) is the same as one that does not answer.
      if (error instanceof Refusal) return { trouble: 'it does not run' };
      return { trouble: troubleOf(error) };
    }
  }
}

const accepted = (answer: ApiAnswer): ApiAnswer => {
  if (answer.status === 401) throw new Refusal(`The service does not accept the token: ${problemText(answer.body)}`);
  if (answer.status === 403) throw new Refusal(`The token may not do this: ${problemText(answer.body)}`);
  return answer;
};

/** An error in a problem+json answer: where, and what. */
export type ProblemError = { readonly pointer: string; readonly detail: string };

const field = (body: unknown, name: string): unknown =>
  typeof body === 'object' && body !== null ? (body as Record<string, unknown>)[name] : undefined;

/** What a problem+json answer says, in one line. */
export const problemText = (body: unknown): string => {
  const parts = [field(body, 'title'), field(body, 'detail')].filter((part) => typeof part === 'string' && part !== '');
  if (parts.length > 0) return parts.join(': ');
  return typeof body === 'string' ? body.slice(0, 200) : 'no reason given';
};

/** The `errors` of a problem+json answer. */
export const problemErrors = (body: unknown): ProblemError[] => {
  const errors = field(body, 'errors');
  if (!Array.isArray(errors)) return [];
  return errors.flatMap((error: unknown) => {
    const [pointer, detail] = [field(error, 'pointer'), field(error, 'detail')];
    return typeof pointer === 'string' && typeof detail === 'string' ? [{ pointer, detail }] : [];
  });
};

/** An answer that refuses, in its own words: wrong usage where it cannot read what the options said (400), else a refusal. */
export const failureOf = ({ status, body }: ApiAnswer, nameOf: (pointer: string) => string): Error => {
  const errors = problemErrors(body).map(({ pointer, detail }) => `${nameOf(pointer)} ${detail}`);
  const sentence = `${errors.length > 0 ? errors.join('; ') : problemText(body)}.`.replace(/\.\.$/, '.');
  return status === 400 && errors.length > 0 ? new UsageError(sentence) : new Refusal(sentence);
};
