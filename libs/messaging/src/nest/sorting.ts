import { KEY_BYTES_MAX, type ReceivedMessage } from '../message-bus.js';
import type { LetterKind, NewLetter } from '../dead-letters.js';
import type { Replay } from '../replay-header.js';
import { TRACE_HEADER, traceOf } from '../trace-context.js';
import type { Decode, Decoded, InboundEvent } from './inbound.js';

/** A valid message with a handler. */
export type Item = {
  readonly message: ReceivedMessage;
  readonly event: InboundEvent;
  readonly replay: Replay | undefined;
};

export type SortedPage = {
  readonly items: readonly Item[];
  readonly letters: readonly NewLetter[];
  /** Replays of a type that is left alone by now: nothing is to be done for them, and their keys go on. */
  readonly leftAlone: readonly Replay[];
};

export type Sorting = {
  readonly group: string;
  readonly decode: Decode;
  readonly replayOf: (message: ReceivedMessage) => Replay | undefined;
  readonly isHandled: (type: string) => boolean;
  /** Types that are left alone although they have no handler. */
  readonly isIgnored: (type: string) => boolean;
};

/** Decodes a page: what can be handled, and what goes to the dead letters at once. */
export const sortPage = (messages: readonly ReceivedMessage[], sorting: Sorting): SortedPage => {
  const items: Item[] = [];
  const letters: NewLetter[] = [];
  const leftAlone: Replay[] = [];
  for (const message of messages) {
    const replay = sorting.replayOf(message);
    if (replay !== undefined && replay.group !== sorting.group) continue;
    const { value, headers, key } = message;
    const decoded = unfitKey(key) ?? sorting.decode(value, { headers, key });
    const problem = problemOf(decoded, sorting);
    if (problem !== undefined) letters.push({ message, replay, ...problem });
    else if (decoded.ok && sorting.isHandled(decoded.event.type)) items.push(item(message, decoded.event, replay));
    else if (replay !== undefined) leftAlone.push(replay);
  }
  return { items, letters, leftAlone };
};

/** Other clients of the broker may send keys that ours refuses, and that no table of ours takes. */
const unfitKey = (key: string | null): Extract<Decoded, { ok: false }> | undefined => {
  if (
    key === null ||
    (!key.includes('\0') && (key.length * 3 <= KEY_BYTES_MAX || Buffer.byteLength(key) <= KEY_BYTES_MAX))
  )
    return undefined;
  const detail = `The key must have ${KEY_BYTES_MAX} bytes at most, none of them NUL.`;
  return { ok: false, reason: 'invalid-key', detail, errors: [] };
};

const problemOf = (decoded: Decoded, sorting: Sorting): { kind: LetterKind; reason: string } | undefined => {
  if (decoded.ok) {
    const { type } = decoded.event;
    if (sorting.isHandled(type) || sorting.isIgnored(type)) return undefined;
    return { kind: 'unhandled', reason: `no handler for ${type}` };
  }
  const fields = decoded.errors.map(({ pointer, detail }) => `${pointer === '' ? '/' : pointer} ${detail}`);
  const reason = [`${decoded.reason}: ${decoded.detail}`, ...fields].join('; ');
  return { kind: decoded.reason === 'unknown-type' ? 'unhandled' : 'invalid', reason };
};

const item = (
  message: ReceivedMessage,
  { id, source, type, time, data }: Extract<Decoded, { ok: true }>['event'],
  replay: Replay | undefined,
): Item => {
  const { key, value, headers } = message;
  const traceparent = traceOf(headers[TRACE_HEADER]);
  return { message, replay, event: { id, source, type, time, data, key, traceparent, raw: value } };
};

/** Messages that may be handled in one go: of one page handler's type, or all those that are handled one by one. */
export type Run = { readonly unit: string; readonly items: readonly Item[] };

/**
 * Splits a page into runs, to be worked off one after another. A message joins an earlier run of its unit wherever nothing of its own key
 * stands between: every key keeps its order, and a mixture of types still makes few and large runs.
 */
export const runsOf = (items: readonly Item[], unitOf: (type: string) => string): Run[] => {
  const waves: Map<string, Item[]>[] = [];
  const places = new Map<string, { readonly unit: string; readonly wave: number }>();
  for (const one of items) {
    const { key } = one.message;
    const unit = unitOf(one.event.type);
    const before = key === null ? undefined : places.get(key);
    const wave = before === undefined ? 0 : before.unit === unit ? before.wave : before.wave + 1;
    if (key !== null && before?.wave !== wave) places.set(key, { unit, wave });
    const runs = (waves[wave] ??= new Map<string, Item[]>());
    const run = runs.get(unit);
    if (run === undefined) runs.set(unit, [one]);
    else run.push(one);
  }
  return waves.flatMap((runs) => [...runs].map(([unit, run]) => ({ unit, items: run })));
};
