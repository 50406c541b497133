import { isExternalId } from '@vafa/contracts';

import { Columns, type TextOf } from './cells.js';
import type { MemberMap } from './map-types.js';
import type { Enrolment } from './member-sender.js';
import type { Prepared, PreparedFile } from './prepared.js';
import { cellsOfJson, headText, jsonColumns, readCsv, readNdjson, type CsvLayout, type UnreadableRow } from './rows.js';
import type { SourceFile } from './source-file.js';
import { readInstant } from './time.js';

const FIELDS = ['externalId', 'enrolledAt', 'source', 'card'] as const;

const BAD_EXTERNAL_ID = 'is not an external id: 1 to 120 characters, no blanks at its ends, no control characters';

const ready = (
  enrolment: Enrolment,
  line: number,
  row: () => unknown,
  columnAt: (pointer: string) => string | undefined,
): Prepared => {
  const json = JSON.stringify(enrolment);
  const bytes = Buffer.byteLength(json);
  const { externalId } = enrolment;
  return {
    kind: 'row',
    row: {
      line,
      key: externalId,
      bytes,
      json,
      path: '/v1/members/batch',
      externalId,
      occurredAt: enrolment.enrolledAt ?? null,
      row,
      columnAt,
    },
  };
};

const column = (text: TextOf): { column?: string } =>
  text.columns[0] === undefined ? {} : { column: text.columns[0] };

/** How the cells of a file become enrolments. @throws UsageError where the map names columns that the file lacks. */
const cellsToMembers = (map: MemberMap, names: readonly string[], file: SourceFile, source: string | null) => {
  const columns = new Columns(names);
  const skip = columns.conditions(map.skip, map.numbers);
  const reject = columns.conditions(map.reject, map.numbers);
  const externalId = columns.text(map.externalId);
  const enrolledAt = map.enrolledAt === null ? null : { spec: map.enrolledAt, text: columns.text(map.enrolledAt.text) };
  const card = map.card === null ? null : columns.text(map.card);
  columns.assertComplete(file.name);
  const columnAt = (pointer: string): string | undefined =>
    pointer === '/externalId'
      ? externalId.columns[0]
      : pointer === '/enrolledAt'
        ? enrolledAt?.text.columns[0]
        : undefined;

  return (cells: readonly string[], line: number): Prepared => {
    const row = (): unknown => Object.fromEntries(names.map((name, index) => [name, cells[index] ?? '']));
    const because = skip(cells);
    if (because !== undefined) return { kind: 'skipped', line, because };
    const refused = reject(cells);
    if (refused !== undefined) return { kind: 'rejected', line, reason: refused, row: row() };
    const id = externalId.of(cells);
    if (!isExternalId(id))
      return {
        kind: 'rejected',
        line,
        ...column(externalId),
        reason: `"${id.slice(0, 60)}" ${BAD_EXTERNAL_ID}`,
        row: row(),
      };
    const when = enrolledAt?.text.of(cells) ?? '';
    const joined = enrolledAt === null || when === '' ? null : readInstant(when, enrolledAt.spec);
    if (joined !== null && 'error' in joined)
      return {
        kind: 'rejected',
        line,
        ...column((enrolledAt ?? { text: externalId }).text),
        reason: joined.error,
        row: row(),
      };
    const wantsCard = card?.of(cells) ?? '';
    if (wantsCard !== '' && wantsCard !== 'issue')
      return {
        kind: 'rejected',
        line,
        reason: `card is "issue" or blank, not "${wantsCard.slice(0, 40)}"`,
        row: row(),
      };
    const enrolment: Enrolment = {
      externalId: id,
      ...(joined === null ? {} : { enrolledAt: joined.instant }),
      ...(source === null ? {} : { source }),
      ...(wantsCard === '' ? {} : { card: 'issue' as const }),
    };
    return ready(enrolment, line, row, columnAt);
  };
};

const nowhere = (): undefined => undefined;

/** A line of NDJSON is what `POST /v1/members` takes, with the shop's own id: without one a second import would enrol twice. */
const fromJson = (json: Readonly<Record<string, unknown>>, line: number, source: string | null): Prepared => {
  const rejected = (reason: string): Prepared => ({ kind: 'rejected', line, reason, row: json });
  const unknown = Object.keys(json).find((name) => !FIELDS.some((field) => field === name));
  if (unknown !== undefined) return rejected(`/${unknown} is not known here: ${FIELDS.join(', ')}`);
  const { externalId } = json;
  if (typeof externalId !== 'string' || !isExternalId(externalId)) return rejected(`/externalId ${BAD_EXTERNAL_ID}`);
  // The other fields are checked by the club, whose answer says which is wrong.
  const enrolment = { ...(source === null ? {} : { source }), ...json, externalId } as Enrolment;
  return ready(enrolment, line, () => json, nowhere);
};

const unreadable = ({ line, error, text }: UnreadableRow): Prepared => ({
  kind: 'rejected',
  line,
  reason: error,
  row: text,
});

/** Makes a CSV file of members ready. */
export const prepareCsvMembers = (
  file: SourceFile,
  layout: CsvLayout,
  map: MemberMap,
  source: string | null,
): PreparedFile => {
  const toMember = cellsToMembers(map, layout.columns, file, source);
  async function* rows(): AsyncGenerator<Prepared[]> {
    for await (const page of readCsv(file, map.encoding, layout))
      yield page.map((row) => ('error' in row ? unreadable(row) : toMember(row.cells, row.line)));
  }
  return { headerLines: 1, rows };
};

/** Makes an NDJSON file of members ready. */
export const prepareNdjsonMembers = (file: SourceFile, map: MemberMap | null, source: string | null): PreparedFile => {
  const encoding = map?.encoding ?? 'utf-8';
  const names = map === null ? [] : jsonColumns(headText(file.head, encoding));
  const toMember = map === null ? null : cellsToMembers(map, names, file, source);
  async function* rows(): AsyncGenerator<Prepared[]> {
    for await (const page of readNdjson(file, encoding))
      yield page.map((row) => {
        if ('error' in row) return unreadable(row);
        return toMember === null
          ? fromJson(row.json, row.line, source)
          : toMember(cellsOfJson(row.json, names), row.line);
      });
  }
  return { headerLines: 0, rows };
};
