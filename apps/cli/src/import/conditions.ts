import { compare, parseDecimal, type Decimal, type DecimalMarks } from './decimal.js';

/** What a cell is compared with. Several operators in one test must all hold. */
export type CellTest = {
  readonly equals?: string;
  readonly in?: readonly string[];
  readonly startsWith?: string;
  readonly endsWith?: string;
  readonly contains?: string;
  readonly blank?: boolean;
  readonly below?: Decimal;
  readonly above?: Decimal;
  readonly not?: CellTest;
};

export const OPERATORS = [
  'equals',
  'in',
  'startsWith',
  'endsWith',
  'contains',
  'blank',
  'below',
  'above',
  'not',
] as const;

/** A cell that is no number is neither below nor above anything. */
const beyond = (cell: string, limit: Decimal, sign: 1 | -1, marks: DecimalMarks): boolean => {
  const value = parseDecimal(cell, marks);
  return value !== undefined && compare(value, limit) * sign > 0;
};

/** Whether the cell passes the test. Text is compared to the letter, numbers by their value. */
export const holds = (test: CellTest, cell: string, marks: DecimalMarks): boolean =>
  (test.equals === undefined || cell === test.equals) &&
  (test.in === undefined || test.in.includes(cell)) &&
  (test.startsWith === undefined || cell.startsWith(test.startsWith)) &&
  (test.endsWith === undefined || cell.endsWith(test.endsWith)) &&
  (test.contains === undefined || cell.includes(test.contains)) &&
  (test.blank === undefined || (cell.trim() === '') === test.blank) &&
  (test.below === undefined || beyond(cell, test.below, -1, marks)) &&
  (test.above === undefined || beyond(cell, test.above, 1, marks)) &&
  (test.not === undefined || !holds(test.not, cell, marks));
