import { flag, line, type Command, type CommandInput, type ExitCode } from '../command.js';
import type { RunFile } from '@vafa/service/commands';
import { dataFolder, isAlive, readRunFile } from '../installation/run-file.js';

const HEALTH_TIMEOUT_MS = 3_000;

/** What a service says of its parts: figures by name, such as `messagesBehind`. */
type Parts = Readonly<
  Record<string, { readonly ok: boolean; readonly figures?: Readonly<Record<string, number | boolean>> }>
>;

type Answer = {
  readonly answered: boolean;
  readonly healthy: boolean;
  readonly detail: string;
  /** The parts of each service. */
  readonly parts: Readonly<Record<string, Parts>>;
};

/** What the service says of itself; an answer that it is not ready is an answer, too. */
const health = async (api: string): Promise<Answer> => {
  try {
    const response = await fetch(`${api}/health/ready`, { signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS) });
    const { services = {} } = (await response.json()) as { services?: Record<string, { checks?: Parts }> };
    const parts = Object.fromEntries(Object.entries(services).map(([name, { checks = {} }]) => [name, checks]));
    return {
      answered: true,
      healthy: response.ok,
      detail: response.ok ? 'ready' : `not ready (HTTP ${response.status})`,
      parts,
    };
  } catch {
    return { answered: false, healthy: false, detail: 'no answer', parts: {} };
  }
};

/** `consumer 0 messages behind, reader 3 events behind`. */
const lagOf = (parts: Parts): string => {
  const words = (figure: string): string => figure.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return Object.entries(parts)
    .flatMap(([part, { ok, figures = {} }]) => [
      ...(ok ? [] : [`${part} fails`]),
      ...Object.entries(figures)
        .filter(([figure]) => figure.endsWith('Behind'))
        .map(([figure, value]) => `${part} ${value} ${words(figure)}`),
    ])
    .join(', ');
};

const report = ({ surroundings }: CommandInput, run: RunFile, answer: Answer): void => {
  const { stdout } = surroundings;
  line(stdout, `Vafa ${run.version} runs since ${run.startedAt} (process ${run.pid}): ${answer.detail}`);
  line(stdout, `  API       ${run.api}      documentation: ${run.api}/docs`);
  line(stdout, `  database  ${run.database}`);
  for (const [name, service] of Object.entries(run.services)) {
    line(stdout, `  ${name.padEnd(9)} ${service.health}`);
    const lag = lagOf(answer.parts[name] ?? {});
    if (lag !== '') line(stdout, `            ${lag}`);
  }
};

const run = async (input: CommandInput): Promise<ExitCode> => {
  const { options, surroundings } = input;
  const found = await readRunFile(dataFolder(surroundings));
  if (found === undefined || !isAlive(found.pid)) {
    line(
      surroundings.stdout,
      flag(options, 'json') ? JSON.stringify({ running: false }) : 'Vafa does not run here. Start it with "npm start".',
    );
    return 1;
  }
  const answer = await health(found.api);
  // After a crash the number of the process may belong to another by now: what counts is who answers.
  if (!answer.answered) {
    const sentence = `Vafa does not answer at ${found.api}, where process ${found.pid} began to serve at ${found.startedAt}.`;
    line(surroundings.stdout, flag(options, 'json') ? JSON.stringify({ running: false }) : sentence);
    return 1;
  }
  if (!flag(options, 'json')) {
    report(input, found, answer);
    return answer.healthy ? 0 : 1;
  }
  // The owner's URL opens every table: it stays in the file that only this user can read.
  const { databaseOwner: _owner, ...shown } = found;
  line(surroundings.stdout, JSON.stringify({ running: true, ready: answer.healthy, ...shown, parts: answer.parts }));
  return answer.healthy ? 0 : 1;
};

export const status: Command = {
  name: 'status',
  summary: 'Says whether it runs, since when, which version and where.',
  options: { json: { type: 'boolean', description: 'One line of JSON.' } },
  notes: ['Exit code: 0 when it runs and is ready, 1 otherwise.'],
  positionals: { min: 0, max: 0 },
  run,
};
