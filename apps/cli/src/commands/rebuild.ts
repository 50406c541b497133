import { setTimeout as pause } from 'node:timers/promises';

import { flag, line, Refusal, UsageError, type Command, type CommandInput, type ExitCode } from '../command.js';
import { Api, problemText } from '../installation/api.js';
import { credentials } from '../installation/credentials.js';
import { apiAddress } from '../installation/run-file.js';
import { formatNumber, formatSeconds, startProgress } from '../io/progress.js';
import { didYouMean } from '../suggest.js';

const READ_MODELS = ['points'] as const;
const TIMEOUT_MS = 15_000;
const PATIENCE_MS = 60_000;
const POLL_MS = 300;

type Rebuild = {
  readonly state: 'never' | 'folding' | 'indexing' | 'swapping' | 'done' | 'failed' | 'interrupted';
  readonly events: number;
  readonly goal: number;
  readonly startedAt: string | null;
  readonly failure: string | null;
};
type Report = { readonly events: number; readonly eventsBehind: number; readonly rebuild: Rebuild };

const UNDER_WAY = new Set<Rebuild['state']>(['folding', 'indexing', 'swapping']);

const NOTES: Readonly<Partial<Record<Rebuild['state'], string>>> = {
  indexing: 'making the indexes',
  swapping: 'waiting for a moment in which nobody reads with an older picture',
};

const follow = async (input: CommandInput, ask: (method: 'GET' | 'POST') => Promise<Report>): Promise<Rebuild> => {
  const { stderr, signal } = input.surroundings;
  const begun = await ask('POST');
  const progress = startProgress(stderr, { total: begun.events + begun.eventsBehind, done: 0, unit: 'events' });
  try {
    for (let { rebuild } = begun; ; { rebuild } = await ask('GET')) {
      progress.update(rebuild.events, NOTES[rebuild.state] ?? '');
      if (!UNDER_WAY.has(rebuild.state)) return rebuild;
      await pause(POLL_MS, undefined, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new Refusal('The rebuild goes on without us; the same command follows it again.');
  } finally {
    progress.stop();
  }
};

const run = async (input: CommandInput): Promise<ExitCode> => {
  const { options, positionals, surroundings } = input;
  const [given = ''] = positionals;
  const name = READ_MODELS.find((model) => model === given);
  if (name === undefined)
    throw new UsageError(
      `There is no read model "${given}".${didYouMean(given, READ_MODELS)} There is: ${READ_MODELS.join(', ')}.`,
    );
  const api = new Api({
    address: () => apiAddress(surroundings),
    credentials: credentials(surroundings, 'admin'),
    patienceMs: PATIENCE_MS,
    onTrouble: (message) => line(surroundings.stderr, message),
    signal: surroundings.signal,
  });
  const started = performance.now();
  const rebuild = await follow(input, async (method) => {
    const path = `/v1/read-models/${name}${method === 'POST' ? '/rebuild' : ''}`;
    const { status, body } = await api.request({ method, path, timeoutMs: TIMEOUT_MS });
    if (status !== 200 && status !== 202) throw new Refusal(`${name}: ${problemText(body)}`);
    return body as Report;
  });
  const seconds = (performance.now() - started) / 1_000;
  const done = rebuild.state === 'done';
  if (flag(options, 'json')) line(surroundings.stdout, JSON.stringify({ readModel: name, ...rebuild, seconds }));
  else if (done)
    line(
      surroundings.stdout,
      `${name}: built anew of ${formatNumber(rebuild.events)} events in ${formatSeconds(seconds)}, and swapped. "vafa verify" proves it.`,
    );
  else
    line(
      surroundings.stderr,
      `${name}: ${rebuild.state}${rebuild.failure === null ? '' : ` (${rebuild.failure})`}. What is read has not been touched.`,
    );
  return done ? 0 : 1;
};

export const rebuild: Command = {
  name: 'rebuild',
  summary: 'Builds a read model anew beside the one in use, then swaps, while purchases go on.',
  usage: 'READ-MODEL',
  options: { json: { type: 'boolean', description: 'One line of JSON at the end.' } },
  notes: [
    'Read models: points (balances, lots, transactions, the snapshots that commands start from).',
    'The service does the work; this command asks for it and follows it, and so does a second one. Nothing is published again. A long transaction of somebody who reads delays the swap, never what they see.',
    'Exit code: 0 when the new tables are in place, 1 when the old ones still are.',
  ],
  positionals: { min: 1, max: 1 },
  run,
};
