import { isUtf8 } from 'node:buffer';
import type { ContractError } from './contract-errors.js';
import { isEventType, type KnownCloudEvent } from './events.js';
import { maskPointer } from './known-names.js';
import { DEPTH_MAX, EVENT_BYTES_MAX } from './limits.js';
import { validateCloudEvent } from './validate.js';

/** Why a message is not an event. */
export type DecodeFailureReason =
  | 'empty'
  | 'too-large'
  | 'not-utf8'
  | 'not-json'
  | 'too-deep'
  | 'not-an-event'
  | 'unsupported-content-type'
  | 'unknown-version'
  | 'unknown-type'
  | 'missing-key'
  | 'invalid';

export type DecodeFailure = {
  readonly ok: false;
  readonly reason: DecodeFailureReason;
  /** One sentence for people, without anything of the content. */
  readonly detail: string;
  /** Where there are fields to point at; a name that is not of the contracts is masked. */
  readonly errors: readonly ContractError[];
};

export type Decoded = { readonly ok: true; readonly event: KnownCloudEvent } | DecodeFailure;

/** What comes with a message's bytes. Leave `key` out where there is none to check, say in a file. */
export type MessageContext = { readonly headers?: Readonly<Record<string, string>>; readonly key?: string | null };

/**
 * Reads a message of a topic: structured JSON, or binary mode where `ce_` headers carry the attributes and the bytes are the data.
 * Never throws: whatever the bytes are, the answer is an event or a reason. Parses once; takes some microseconds.
 */
export function decodeMessage(bytes: Uint8Array | null, context: MessageContext = {}): Decoded {
  const headers = context.headers ?? {};
  const parsed = parseJson(bytes);
  if (!parsed.ok) return parsed;
  const assembled = assemble(parsed.value, headers);
  if (!assembled.ok) return assembled;
  const checked = validateCloudEvent(assembled.value);
  if (!checked.ok) return explain(assembled.value, checked.errors);
  return context.key === null && needsKey(checked.event)
    ? failure(
        'missing-key',
        'The message has no key: without one, the order of what its member does is lost. The key is the member reference.',
      )
    : checked;
}

type Parsed = { readonly ok: true; readonly value: unknown } | DecodeFailure;

function parseJson(bytes: Uint8Array | null): Parsed {
  if (bytes === null || bytes.byteLength === 0) return failure('empty', 'The message has no content.');
  if (bytes.byteLength > EVENT_BYTES_MAX)
    return failure(
      'too-large',
      `The message has ${String(bytes.byteLength)} bytes; ${String(EVENT_BYTES_MAX)} are allowed.`,
    );
  if (!isUtf8(bytes)) return failure('not-utf8', 'The message is not UTF-8.');
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch {
    // The parser's own message quotes the content, which may be anything.
    return failure('not-json', 'The message is not JSON, or it is cut off.');
  }
}

/** The event in structured form, whichever way it travelled. */
function assemble(value: unknown, headers: Readonly<Record<string, string>>): Parsed {
  const contentType = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  const binary = headers['ce_specversion'] !== undefined && contentType !== 'application/cloudevents+json';
  if (!binary) {
    const readable =
      contentType === '' || contentType === 'application/cloudevents+json' || contentType === 'application/json';
    return readable
      ? { ok: true, value }
      : failure(
          'unsupported-content-type',
          'The content type must be application/cloudevents+json, or application/json in binary mode.',
        );
  }
  if (contentType !== '' && contentType !== 'application/json')
    return failure('unsupported-content-type', 'In binary mode the content type must be application/json.');
  const event: Record<string, unknown> = {};
  for (const [name, text] of Object.entries(headers)) if (name.startsWith('ce_')) event[name.slice(3)] = text;
  // In headers everything is text; our own integer attribute becomes one again.
  const sequence = event['sequence'];
  if (typeof sequence === 'string' && /^[1-9]\d{0,9}$/.test(sequence)) event['sequence'] = Number(sequence);
  event['datacontenttype'] = 'application/json';
  event['data'] = value;
  return { ok: true, value: event };
}

/** Sorts what the validator found into reasons that a person can act on. */
function explain(value: unknown, found: readonly ContractError[]): DecodeFailure {
  if (isDeeperThan(value, DEPTH_MAX))
    return failure('too-deep', `The message nests deeper than ${String(DEPTH_MAX)} levels.`);
  const errors = found.map(({ pointer, detail }) => ({ pointer: maskPointer(pointer), detail }));
  const first = errors[0];
  const summary =
    first === undefined
      ? 'The message is not valid.'
      : `${first.pointer === '' ? 'The message' : first.pointer} ${first.detail}.`;
  if (typeof value !== 'object' || value === null || !('specversion' in value))
    return failure('not-an-event', summary, errors);
  const { specversion, type } = value as { specversion?: unknown; type?: unknown };
  if (specversion !== '1.0' || first?.pointer === '/dataschema') return failure('unknown-version', summary, errors);
  if (!isEventType(type)) return failure('unknown-type', summary, errors);
  const rest = errors.length > 1 ? ` (and ${String(errors.length - 1)} more)` : '';
  return failure('invalid', `${summary}${rest}`, errors);
}

const failure = (
  reason: DecodeFailureReason,
  detail: string,
  errors: readonly ContractError[] = [],
): DecodeFailure => ({
  ok: false,
  reason,
  detail,
  errors,
});

/** An anonymous purchase belongs to nobody's order. */
const needsKey = (event: KnownCloudEvent): boolean => !('member' in event.data) || event.data.member !== null;

/** Walks level by level: recursion would end with the stack on exactly the input that this looks for. */
function isDeeperThan(value: unknown, levels: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; depth <= levels; depth += 1) {
    const next: unknown[] = [];
    for (const one of level)
      if (typeof one === 'object' && one !== null) next.push(...(Object.values(one) as unknown[]).slice(0, 10_000));
    if (next.length === 0) return false;
    level = next;
  }
  return true;
}
