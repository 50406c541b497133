/** Instants leave the database as text with microseconds: no driver turns them into a Date. */
export const utc = (column: string): string =>
  `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as ${column.slice(column.indexOf('.') + 1)}`;

/** Drops the zeros that the format above pads with. */
export const canonical = (instant: string): string => instant.replace(/\.?0+Z$/, 'Z');
