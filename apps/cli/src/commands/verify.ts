import { setTimeout as pause } from 'node:timers/promises';

import type { OpenLedger } from '@vafa/service/commands';
import type pg from 'pg';

import { flag, line, type Command, type CommandInput, type ExitCode, type Surroundings } from '../command.js';
import { withLedger } from '../installation/ledger.js';
import { withOwnerDatabase } from '../installation/owner-database.js';
import { formatNumber, startProgress } from '../io/progress.js';
import { wrongClosings } from '../verify/closings.js';
import { Differences } from '../verify/differences.js';
import { Proof, type ProofFigures } from '../verify/proof.js';
import { foldedEvents, foldedLog } from '../verify/folded-log.js';
import { CLOSINGS, FORGOTTEN, OVERDRAWN, REFERENCES, RESERVED, UNSETTLED } from '../verify/queries.js';

/** What is under way at one moment must be done some moments later. */
const SETTLES_WITHIN_MS = 15_000;
const LOOK_AGAIN_MS = 500;
const SHOWN_MAX = 20;

type Row = Readonly<Record<string, unknown>>;

type Loose = {
  readonly check: string;
  readonly sql: string;
  /** Which of the rows do break the rule, where SQL alone cannot tell. */
  readonly breaks?: (rows: readonly Row[], ledger: OpenLedger) => Promise<Row[]>;
  readonly subject: (row: Row) => string;
  readonly expected: (row: Row) => unknown;
  readonly found: (row: Row) => unknown;
};

const input = ({ kind, source, natural_id: id }: Row): string => [kind, id, 'of', source].map(String).join(' ');

/** Claims whose event is not in the ledger either. */
const withoutEvent = async (rows: readonly Row[], { store }: OpenLedger): Promise<Row[]> => {
  const after = new Map<string, number>();
  for (const { stream, revision } of rows)
    after.set(String(stream), Math.min(after.get(String(stream)) ?? Infinity, Number(revision ?? -1)));
  const tails = await store.load([...after.keys()], after);
  return rows.filter(({ stream, id }) => !(tails.get(String(stream)) ?? []).some((event) => event.id === id));
};

/** Rules between services, which hold once everything under way has arrived: what breaks them is looked at again for a while. */
const LOOSE: readonly Loose[] = [
  {
    check: 'a claim that is taken has its event',
    sql: UNSETTLED,
    breaks: withoutEvent,
    subject: input,
    expected: (row) => `event ${String(row['id'])}`,
    found: () => 'none',
  },
  {
    check: 'references lead to their member',
    sql: REFERENCES,
    subject: (row) => String(row['reference']),
    expected: (row) => row['expected'],
    found: (row) => row['found'],
  },
  {
    check: 'nothing waits for a member who is known, or for a purchase that is settled',
    sql: FORGOTTEN,
    subject: input,
    expected: () => 'taken',
    found: (row) => `waiting, of ${String(row['reference'])}`,
  },
  {
    check: 'a closed period knows what its closing fixed',
    sql: CLOSINGS,
    breaks: wrongClosings,
    subject: (row) => `closing ${String(row['closing'])}`,
    expected: (row) => row['expected'],
    found: (row) => row['found'],
  },
  {
    check: 'no line gives back more than it cost',
    sql: OVERDRAWN,
    subject: (row) => `line ${String(row['line_id'])} of ${String(row['purchase_id'])} of ${String(row['source'])}`,
    expected: (row) => row['cost'],
    found: (row) => row['returned'],
  },
  {
    check: 'lines are reserved for returns that are taken',
    sql: RESERVED,
    subject: (row) => `return ${String(row['id'])}`,
    expected: () => 'taken',
    found: (row) => row['status'],
  },
];

/** Rows that break a rule, those left out that were not there a moment before or have gone since. */
const lasting = async (
  client: pg.Client,
  ledger: OpenLedger,
  { sql, breaks }: Loose,
  signal: AbortSignal,
): Promise<Row[]> => {
  const deadline = performance.now() + SETTLES_WITHIN_MS;
  const look = async (): Promise<Row[]> => {
    const found = (await client.query(sql)).rows as Row[];
    return breaks === undefined || found.length === 0 ? found : breaks(found, ledger);
  };
  let rows = await look();
  while (rows.length > 0 && performance.now() < deadline) {
    await pause(LOOK_AGAIN_MS, undefined, { signal });
    const before = new Set(rows.map((row) => JSON.stringify(row)));
    rows = (await look()).filter((row) => before.has(JSON.stringify(row)));
  }
  return rows;
};

/** Folds the ledger and compares; what differs goes to `differences`. */
export const prove = async (
  client: pg.Client,
  ledger: OpenLedger,
  surroundings: Surroundings,
  differences: Differences,
): Promise<ProofFigures> => {
  const { stderr, signal } = surroundings;
  const progress = startProgress(stderr, { total: await foldedEvents(client), done: 0, unit: 'events' });
  try {
    await client.query('begin isolation level repeatable read');
    const proof = new Proof(
      client,
      await foldedLog(client, ledger, signal),
      differences,
      (events) => progress.update(events, `${formatNumber(differences.total)} differences`),
      signal,
    );
    const figures = await proof.run();
    await client.query('commit');
    for (const rule of LOOSE)
      for (const row of await lasting(client, ledger, rule, signal))
        differences.add(rule.check, rule.subject(row), rule.expected(row), rule.found(row));
    return figures;
  } finally {
    progress.stop();
  }
};

const report = ({ stdout }: Surroundings, figures: ProofFigures, differences: Differences): void => {
  const { events, accounts, points, behind } = figures;
  line(
    stdout,
    `${formatNumber(events)} events of ${formatNumber(accounts)} accounts folded anew: ${formatNumber(Number(points))} points.`,
  );
  if (behind > 0) line(stdout, `${formatNumber(behind)} further events were not in the read models yet.`);
  if (differences.total === 0) {
    line(stdout, 'The read models say the same.');
    return;
  }
  line(stdout, `${formatNumber(differences.total)} differences:`);
  for (const [check, count] of Object.entries(differences.byCheck)) line(stdout, `  ${formatNumber(count)} × ${check}`);
  for (const { check, subject, expected, found } of differences.kept.slice(0, SHOWN_MAX))
    line(stdout, `  ${subject}: ${check}; expected ${String(expected)}, found ${String(found)}`);
};

const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? value.toString() : value);

const run = ({ options, surroundings }: CommandInput): Promise<ExitCode> =>
  withOwnerDatabase(surroundings, async (client) => {
    const differences = new Differences();
    const figures = await withLedger(surroundings, (ledger) => prove(client, ledger, surroundings, differences));
    const ok = differences.total === 0;
    if (flag(options, 'json')) {
      const { total, byCheck, kept } = differences;
      line(
        surroundings.stdout,
        JSON.stringify({ ok, ...figures, differencesTotal: total, byCheck, differences: kept }, plain),
      );
    } else report(surroundings, figures, differences);
    return ok ? 0 : 1;
  });

export const verify: Command = {
  name: 'verify',
  summary:
    'Proves the read models: folds the log anew with a second, simple implementation, compares, and lists differences.',
  options: { json: { type: 'boolean', description: 'One line of JSON; it lists the first 100 differences.' } },
  notes: [
    "Looks at one snapshot of the database, so purchases may go on. Compares balances, lots, transactions and the snapshots that commands start from with the log, claims with their events, what came back of lines with what it took, closed periods with their closings, the sums of the analysts' views, and references with members.",
    'Exit code: 0 when everything agrees, 1 where something differs.',
  ],
  positionals: { min: 0, max: 0 },
  run,
};
