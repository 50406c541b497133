import type { Decimal, DecimalMarks, Rounding } from './decimal.js';
import type { CellTest } from './conditions.js';
import type { Encoding } from './lines.js';
import type { FileFormat } from './source-file.js';
import type { Template } from './template.js';

/** Rows that a condition picks out: all cells named must pass. */
export type Condition = { readonly when: ReadonlyMap<string, CellTest>; readonly because: string };

export type TimeFormat =
  | { readonly kind: 'iso' }
  | { readonly kind: 'epoch'; readonly perSecond: 1 | 1000 }
  | { readonly kind: 'pattern'; readonly pattern: RegExp; readonly source: string };

export type TimeSpec = {
  readonly text: Template;
  readonly format: TimeFormat;
  /** IANA zone for values without an offset. */
  readonly zone: string;
  readonly calendar: 'gregory' | 'persian' | 'islamic-umalqura';
  /** The time of day for values that are a date alone. */
  readonly at: string;
};

export type AmountSpec = {
  /** Columns and constants, multiplied with each other exactly. */
  readonly factors: readonly ({ readonly column: string } | Decimal)[];
  readonly round: Rounding;
  readonly unit: 'major' | 'minor';
};

export type ListSpec = { readonly items: readonly Template[]; readonly separator: string | null };

/** How the file is written, whatever is in it. */
export type FileSpec = {
  readonly format: FileFormat | null;
  readonly encoding: Encoding;
  readonly delimiter: string | null;
  readonly numbers: DecimalMarks;
  readonly skip: readonly Condition[];
  readonly reject: readonly Condition[];
};

/** Rows that are returns and not purchases: their amount is what the customer got back, written with or without a minus. */
export type ReturnSpec = {
  readonly when: ReadonlyMap<string, CellTest>;
  /** `null`: the file's SHA-256 and the line number are the row's identity. */
  readonly returnId: Template | null;
  /** The purchase that a row is of; `null` where the file does not say. */
  readonly purchaseId: Template | null;
};

export type PurchaseMap = FileSpec & {
  readonly source: string | null;
  /** `null`: the file's SHA-256 and the line number are the row's identity. */
  readonly purchaseId: Template | null;
  readonly member: Template | null;
  /** Values of the member's cell that mean that nobody showed a card. */
  readonly anonymous: readonly string[];
  readonly occurredAt: TimeSpec;
  readonly currency: Template;
  readonly amount: AmountSpec;
  readonly tax: AmountSpec | null;
  readonly quantity: string | null;
  readonly kind: Template | null;
  readonly sku: Template | null;
  readonly brand: Template | null;
  readonly categories: ListSpec | null;
  readonly coupons: ListSpec | null;
  readonly channel: Template | null;
  readonly store: Template | null;
  readonly attributes: ReadonlyMap<string, Template>;
  /** `null`: the file has purchases only. */
  readonly returns: ReturnSpec | null;
};

export type MemberMap = FileSpec & {
  readonly source: string | null;
  readonly externalId: Template;
  readonly enrolledAt: TimeSpec | null;
  readonly card: Template | null;
};
