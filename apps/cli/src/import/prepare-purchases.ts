import { EVENT_BYTES_MAX, validateCloudEvent } from '@vafa/contracts';

import { Columns } from './cells.js';
import type { PurchaseMap } from './map-types.js';
import { purchaseMapper, type JsonObject } from './purchase-mapping.js';
import type { Prepared, PreparedFile, SendableRow } from './prepared.js';
import { cellsOfJson, headText, jsonColumns, readCsv, readNdjson, type CsvLayout, type UnreadableRow } from './rows.js';
import type { SourceFile } from './source-file.js';

const PURCHASE = 'commerce.purchase.completed';
const RETURN = 'commerce.purchase.returned';
const EXTERNAL = 'external:';

/** The `source` of rows that do not say one. It must not depend on the name of the file: a copy of it is the same purchases. */
export const DEFAULT_SOURCE = '/import';

type Event = JsonObject & { readonly data: JsonObject };

/** The identity of a row without one of its own: the content of the file and the line, whatever the file is called. */
const identityOf = (file: SourceFile, line: number): string => `${file.sha256}-${line}`;

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);

/** Checks an event as the club's own door does, and makes it ready to be sent. */
const finish = (event: JsonObject, line: number, row: () => unknown, columnAt: SendableRow['columnAt']): Prepared => {
  const validation = validateCloudEvent(event, 'http');
  if (!validation.ok) {
    const first = validation.errors[0] ?? { pointer: '', detail: 'is not a purchase' };
    const column = columnAt(first.pointer);
    const place = column === undefined && first.pointer !== '' ? `${first.pointer} ` : '';
    return {
      kind: 'rejected',
      line,
      ...(column === undefined ? {} : { column }),
      reason: `${place}${first.detail}`,
      row: row(),
    };
  }
  const json = JSON.stringify(event);
  const bytes = Buffer.byteLength(json);
  if (bytes > EVENT_BYTES_MAX)
    return {
      kind: 'rejected',
      line,
      reason: `the event has ${bytes} bytes, and ${EVENT_BYTES_MAX} are the limit`,
      row: row(),
    };
  const { data } = event as Event;
  const member = textOf(data['member']);
  const externalId = member?.startsWith(EXTERNAL) === true ? member.slice(EXTERNAL.length) : null;
  const occurredAt = textOf(data['occurredAt']);
  return {
    kind: 'row',
    row: { line, key: member, bytes, json, path: pathOf(event), externalId, occurredAt, row, columnAt },
  };
};

/** Where events of a type are taken in. */
const pathOf = (event: JsonObject): string => (event['type'] === RETURN ? '/v1/returns/batch' : '/v1/purchases/batch');

const envelope = (data: JsonObject, source: string, id: string, type: string = PURCHASE): JsonObject => ({
  specversion: '1.0',
  id,
  source,
  type,
  datacontenttype: 'application/json',
  data,
});

/** The columns that a map made each part of an event from, for messages about that part. */
const columnsByPointer = (map: PurchaseMap): SendableRow['columnAt'] => {
  const named = (template: readonly (string | { readonly column: string })[] | null): string | undefined =>
    template?.flatMap((part) => (typeof part === 'string' ? [] : [part.column]))[0];
  const amount = map.amount.factors.flatMap((factor) => ('column' in factor ? [factor.column] : [])).join(', ');
  const columns = new Map<string, string | undefined>([
    ['/data/purchaseId', named(map.purchaseId)],
    ['/data/returnId', named(map.returns?.returnId ?? null)],
    ['/data/amount', amount],
    ['/data/member', named(map.member)],
    ['/data/occurredAt', named(map.occurredAt.text)],
    ['/data/currency', named(map.currency)],
    ['/data/total', amount],
    ['/data/lines/0/amount', amount],
    ['/data/lines/0/quantity', map.quantity ?? undefined],
    ['/data/lines/0/tax', map.tax?.factors.flatMap((factor) => ('column' in factor ? [factor.column] : [])).join(', ')],
    ['/data/lines/0/sku', named(map.sku)],
    ['/data/lines/0/brand', named(map.brand)],
    ['/data/lines/0/kind', named(map.kind)],
    ['/data/lines/0/categories', named(map.categories?.items[0] ?? null)],
    ['/data/channel', named(map.channel)],
    ['/data/store', named(map.store)],
    ['/data/coupons', named(map.coupons?.items[0] ?? null)],
  ]);
  for (const [name, template] of map.attributes) columns.set(`/data/attributes/${name}`, named(template));
  return (pointer) => columns.get(pointer) ?? columns.get(pointer.replace(/\/\d+$/, ''));
};

const nowhere = (): undefined => undefined;

/** Lets go of the parsed line: while thousands are in flight their text is enough, and they are seldom asked for again. */
const slim = (prepared: Prepared, part: (event: Event) => unknown): Prepared => {
  if (prepared.kind !== 'row') return prepared;
  const { json } = prepared.row;
  return { kind: 'row', row: { ...prepared.row, row: () => part(JSON.parse(json) as Event) } };
};

/** A line of NDJSON that no map explains: an event, or its data alone. */
const fromJson = (json: JsonObject, line: number, file: SourceFile, source: string): Prepared => {
  const identity = identityOf(file, line);
  const row = (): unknown => json;
  if (!('specversion' in json)) {
    const data = 'purchaseId' in json ? json : { purchaseId: identity, ...json };
    return slim(finish(envelope(data, source, identity), line, row, nowhere), ({ data: sent }) => sent);
  }
  if (json['type'] === PURCHASE || json['type'] === RETURN)
    return slim(finish(json, line, row, nowhere), (event) => event);
  const reason = `the type is ${JSON.stringify(json['type'] ?? null)}; this import takes ${PURCHASE} and ${RETURN}`;
  return { kind: 'rejected', line, reason, row: json };
};

/** A row as people look it up again: cells under the names of their columns. */
const labelled = (names: readonly string[], cells: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((name, index) => [name, cells[index] ?? '']));

/** How the cells of a file become events. @throws UsageError where the map names columns that the file lacks. */
const cellsToEvents = (map: PurchaseMap, names: readonly string[], file: SourceFile, source: string) => {
  const columns = new Columns(names);
  const toData = purchaseMapper(map, columns);
  const columnAt = columnsByPointer(map);
  columns.assertComplete(file.name);
  return (cells: readonly string[], line: number): Prepared => {
    const identity = identityOf(file, line);
    const row = (): unknown => labelled(names, cells);
    const result = toData(cells, identity);
    if (result.kind === 'row')
      return finish(envelope(result.value.data, source, identity, result.value.type), line, row, columnAt);
    return result.kind === 'skipped' ? { ...result, line } : { ...result, line, row: row() };
  };
};

const unreadable = ({ line, error, text }: UnreadableRow): Prepared => ({
  kind: 'rejected',
  line,
  reason: error,
  row: text,
});

/** Makes a CSV file of purchases ready. */
export const prepareCsv = (file: SourceFile, layout: CsvLayout, map: PurchaseMap, source: string): PreparedFile => {
  const toEvent = cellsToEvents(map, layout.columns, file, source);
  async function* rows(): AsyncGenerator<Prepared[]> {
    for await (const page of readCsv(file, map.encoding, layout))
      yield page.map((row) => ('error' in row ? unreadable(row) : toEvent(row.cells, row.line)));
  }
  return { headerLines: 1, rows };
};

/** Makes an NDJSON file of purchases ready: events, their data alone, or objects that the map explains. */
export const prepareNdjson = (file: SourceFile, map: PurchaseMap | null, source: string): PreparedFile => {
  const encoding = map?.encoding ?? 'utf-8';
  const names = map === null ? [] : jsonColumns(headText(file.head, encoding));
  const toEvent = map === null ? null : cellsToEvents(map, names, file, source);
  async function* rows(): AsyncGenerator<Prepared[]> {
    for await (const page of readNdjson(file, encoding))
      yield page.map((row) => {
        if ('error' in row) return unreadable(row);
        return toEvent === null
          ? fromJson(row.json, row.line, file, source)
          : toEvent(cellsOfJson(row.json, names), row.line);
      });
  }
  return { headerLines: 0, rows };
};
