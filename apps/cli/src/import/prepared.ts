import type { LaneRow } from './lanes.js';

/** A row that can be sent. */
export type SendableRow = LaneRow & {
  readonly line: number;
  /** What is sent: JSON text. */
  readonly json: string;
  /** Where it is sent to. */
  readonly path: string;
  /** The member that the row belongs to by the shop's own id, to be enrolled on the way. */
  readonly externalId: string | null;
  readonly occurredAt: string | null;
  /** The row as it stood in the file, for the file of rejected rows. */
  readonly row: () => unknown;
  /** The column behind a place in what is sent, if one can be told. */
  readonly columnAt: (pointer: string) => string | undefined;
};

/** What a row of the file came to before anything is sent. */
export type Prepared =
  | { readonly kind: 'row'; readonly row: SendableRow }
  | { readonly kind: 'skipped'; readonly line: number; readonly because: string }
  | {
      readonly kind: 'rejected';
      readonly line: number;
      readonly column?: string;
      readonly reason: string;
      readonly row: unknown;
    };

/** A file ready to be read row by row, as often as wanted. */
export type PreparedFile = {
  /** Lines before the first row. */
  readonly headerLines: number;
  rows(): AsyncGenerator<Prepared[]>;
};
