import type { OpenLedger } from '@vafa/service/commands';

import { micros } from './fold.js';

type Row = Readonly<Record<string, unknown>>;

const STREAM = 'periods';

/**
 * Closings of periods that are not as the ledger has them, each with what it has. Known is what was recorded up to the microsecond before the
 * closing. The last ones may be missing: they count once they are there, and closing again brings them.
 */
export const wrongClosings = async (rows: readonly Row[], { store }: OpenLedger): Promise<Row[]> => {
  const events = (await store.load([STREAM])).get(STREAM) ?? [];
  const recorded = events.map(({ data, recordedAt }) => {
    const { period, end } = JSON.parse(data) as { readonly period: string; readonly end: string };
    const known = Temporal.Instant.from(recordedAt).subtract({ microseconds: 1 }).toString();
    return [period, micros(end), micros(known), micros(recordedAt)].join(' ');
  });
  const found = rows.map(({ period, ends_at: end, known_at: known, closed_at: closed }) =>
    [period, end, known, closed].map(String).join(' '),
  );
  return Array.from({ length: found.length }, (_, nth) => ({
    closing: nth + 1,
    expected: recorded[nth] ?? 'none',
    found: found[nth],
  })).filter((one) => one.expected !== one.found);
};
