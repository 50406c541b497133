import { ByteWriter, ParquetWriter } from 'hyparquet-writer';

import type { Column } from './relations.js';

type Schema = ConstructorParameters<typeof ParquetWriter>[0]['schema'];
type Element = Schema[number];
type Value = bigint | number | boolean | string | Uint8Array | null;

/** How a type of PostgreSQL is kept: the column's element, and what its text becomes. */
type Kept = { readonly element: Omit<Element, 'name'>; readonly value: (text: string) => Value };

const DECIMAL_SCALE = 9;
const DECIMAL_PRECISION = 38;
const DECIMAL_BYTES = 16;
const DAY_MS = 86_400_000;
const ROWS_PER_GROUP = 50_000;
const CHARACTERS_PER_GROUP = 32 * 1_048_576;

/** Microseconds since 1970 of `2026-01-05 08:00:00.123456+00`, as a server that speaks UTC writes it. */
export const microsOf = (text: string): bigint => {
  const [, day = '', time = '', fraction = ''] =
    /^(\d{4,6}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?\+00$/.exec(text) ?? [];
  const seconds = Temporal.Instant.from(`${day}T${time}Z`).epochMilliseconds / 1_000;
  return BigInt(seconds) * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
};

/** A decimal as the whole number that it is of units of 10⁻⁹. @throws RangeError for one that would lose digits. */
export const unscaled = (text: string): bigint => {
  const [, sign = '', whole = '', fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  const digits = fraction.replace(/0+$/, '');
  if (whole === '' || digits.length > DECIMAL_SCALE || whole.length > DECIMAL_PRECISION - DECIMAL_SCALE)
    throw new RangeError(`the number ${text} has more digits than a decimal of Parquet is given here`);
  return BigInt(`${sign}${whole}${digits.padEnd(DECIMAL_SCALE, '0')}`);
};

const encoder = new TextEncoder();
const TEXT: Kept = {
  element: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
  value: (text) => text,
};

const KEPT: Readonly<Record<string, Kept>> = {
  bigint: { element: { type: 'INT64' }, value: BigInt },
  integer: { element: { type: 'INT32' }, value: Number },
  smallint: { element: { type: 'INT32' }, value: Number },
  boolean: { element: { type: 'BOOLEAN' }, value: (text) => text === 't' },
  'double precision': { element: { type: 'DOUBLE' }, value: Number },
  uuid: {
    element: { type: 'FIXED_LEN_BYTE_ARRAY', type_length: 16, logical_type: { type: 'UUID' } },
    value: (text) => text,
  },
  date: {
    element: { type: 'INT32', converted_type: 'DATE', logical_type: { type: 'DATE' } },
    value: (text) => Temporal.Instant.from(`${text}T00:00:00Z`).epochMilliseconds / DAY_MS,
  },
  'timestamp with time zone': {
    element: {
      type: 'INT64',
      converted_type: 'TIMESTAMP_MICROS',
      logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
    },
    value: microsOf,
  },
  numeric: {
    element: {
      type: 'FIXED_LEN_BYTE_ARRAY',
      type_length: DECIMAL_BYTES,
      converted_type: 'DECIMAL',
      scale: DECIMAL_SCALE,
      precision: DECIMAL_PRECISION,
    },
    value: unscaled,
  },
  // As it stands: what a parser would make of a large number is another number.
  jsonb: { element: { type: 'BYTE_ARRAY', logical_type: { type: 'JSON' } }, value: (text) => encoder.encode(text) },
};

/** Turns rows of texts, as PostgreSQL writes them, into a Parquet file, a row group at a time. */
export class ParquetFile {
  private readonly bytes = new ByteWriter();
  private readonly writer: ParquetWriter;
  private readonly kept: readonly Kept[];
  private columns: Value[][];
  private characters = 0;

  constructor(private readonly names: readonly Column[]) {
    this.kept = names.map(({ type }) => KEPT[type] ?? TEXT);
    this.columns = names.map(() => []);
    const root: Element = { name: 'root', num_children: names.length };
    const elements = names.map(({ name }, at): Element => {
      const element = this.kept[at]?.element ?? TEXT.element;
      return { name, repetition_type: 'OPTIONAL', ...element };
    });
    this.writer = new ParquetWriter({ writer: this.bytes, schema: [root, ...elements], createdBy: 'vafa' });
  }

  /** Takes rows; answers with the bytes that are ready, none where a group is not full yet. */
  add(rows: readonly (readonly (string | null)[])[]): Uint8Array {
    for (const row of rows)
      for (let at = 0; at < row.length; at++) {
        const text = row[at] ?? null;
        this.characters += text?.length ?? 0;
        this.columns[at]?.push(text === null ? null : (this.kept[at] ?? TEXT).value(text));
      }
    const full = (this.columns[0]?.length ?? 0) >= ROWS_PER_GROUP || this.characters >= CHARACTERS_PER_GROUP;
    return full ? this.flush() : new Uint8Array();
  }

  /** What is left, and the footer. */
  end(): Uint8Array {
    const rest = this.flush();
    void this.writer.finish();
    return Buffer.concat([rest, this.taken()]);
  }

  private flush(): Uint8Array {
    const rows = this.columns[0]?.length ?? 0;
    if (rows > 0)
      void this.writer.write({
        columnData: this.names.map(({ name }, at) => ({ name, data: this.columns[at] ?? [] })),
        rowGroupSize: rows,
      });
    this.columns = this.names.map(() => []);
    this.characters = 0;
    return this.taken();
  }

  private taken(): Uint8Array {
    const bytes = this.bytes.getBytes().slice();
    this.bytes.index = 0;
    return bytes;
  }
}
