import type { Statement, StatementMovement } from '../application/statements.js';
import type { Language } from '../domain/explain.js';
import { sentencesOfMovement } from '../http/sentences.js';

/** The columns, in English whatever the language is: programs read them. Only the explanation is in the reader's language. */
const COLUMNS = [
  'kind',
  'date',
  'gregorian_date',
  'occurred_at',
  'effective_at',
  'recorded_at',
  'amount',
  'balance',
  'written_off',
  'source',
  'purchase_id',
  'return_id',
  'transaction_id',
  'correction_of',
  'corrects',
  'explanation',
] as const;

type Row = Partial<Record<(typeof COLUMNS)[number], string | number>>;

/** A statement as CSV (RFC 4180, UTF-8): a row `opening`, one a movement in the account's order, a row `closing`. */
export const statementCsv = (statement: Statement, language: Language): string => {
  const { opening, closing, from, to, movements } = statement;
  const rows: Row[] = [
    { kind: 'opening', date: from.date, gregorian_date: from.gregorian, balance: opening },
    ...movements.map((movement) => rowOf(movement, language)),
    { kind: 'closing', date: to.date, gregorian_date: to.gregorian, balance: closing },
  ];
  const lines = rows.map((row) => COLUMNS.map((column) => cellOf(row[column] ?? '')).join(','));
  return [COLUMNS.join(','), ...lines, ''].join('\r\n');
};

const rowOf = (movement: StatementMovement, language: Language): Row => ({
  kind: movement.kind,
  date: movement.day.date,
  gregorian_date: movement.day.gregorian,
  occurred_at: movement.occurredAt,
  effective_at: movement.effectiveAt,
  recorded_at: movement.recordedAt,
  amount: movement.amount,
  balance: movement.balance,
  written_off: movement.writtenOff,
  source: movement.source ?? '',
  purchase_id: movement.purchaseId ?? '',
  return_id: movement.returnId ?? '',
  transaction_id: movement.transactionId,
  correction_of: movement.correctionOf ?? '',
  corrects: movement.corrects.join(' '),
  explanation: sentencesOfMovement(movement.explanation, language).join(' '),
});

/** What a spreadsheet would run as a formula: the ids of purchases come from outside. An apostrophe before it makes it a text. */
const FORMULA = /^[=+\-@\t\r]/;

const cellOf = (value: string | number): string => {
  if (typeof value === 'number') return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
