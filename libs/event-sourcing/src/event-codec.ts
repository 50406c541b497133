import type { NewEvent, Position, Revision, StoredEvent } from './event-store.js';

export type JsonValue =
  string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue | undefined };
export type JsonObject = { readonly [key: string]: JsonValue | undefined };

/** What every kind of stored event has: a name in the past tense, and JSON. */
export type DomainEvent = { readonly type: string; readonly data: object };

/** What stands beside the data: `schema` is the version of the data's form, the rest (causation, actor) is the caller's. */
export type EventMetadata = JsonObject & { readonly schema: number };

/** An event of the log in today's form. */
export type DecodedEvent<E extends DomainEvent> = {
  readonly id: string;
  readonly streamId: string;
  readonly revision: Revision;
  readonly position: Position;
  /** Canonical UTC. */
  readonly recordedAt: string;
  readonly metadata: EventMetadata;
  readonly event: E;
};

/** Lifts the data of one version to the next. Knows stored forms only, nothing of the domain. */
export type Upcaster = (data: JsonObject) => JsonObject;

/** How one type of event is stored: today's version, counted from 1, and for every earlier one how it is lifted to the next. */
export type EventForm = { readonly version: number; readonly upcasters?: { readonly [fromVersion: number]: Upcaster } };

/** An event that this program does not know: it is newer, or the log is not ours. Whoever meets it stops; nothing is skipped. */
export class UnknownEventError extends Error {
  override readonly name = 'UnknownEventError';
  constructor(
    event: Pick<StoredEvent, 'streamId' | 'revision' | 'type'>,
    what: string,
    remedy = 'A newer version of the program has written here: run that one.',
  ) {
    super(`event ${event.type} at revision ${event.revision} of ${event.streamId}: ${what}. ${remedy}`);
  }
}

/** Between the domain's events and the store's text. */
export class EventCodec<E extends DomainEvent> {
  private readonly forms: ReadonlyMap<string, EventForm>;

  /** @throws where a form lacks an upcaster for one of its earlier versions. */
  constructor(forms: { readonly [Type in E['type']]: EventForm }) {
    this.forms = new Map(Object.entries<EventForm>(forms));
    for (const [type, { version, upcasters }] of this.forms)
      for (let from = 1; from < version; from++)
        if (upcasters?.[from] === undefined) throw new Error(`${type} has no upcaster from version ${from}`);
  }

  /** The stored form. @throws for a type that the codec does not know, which is a bug. */
  encode(event: E, id: string, metadata: JsonObject = {}): NewEvent {
    const form = this.forms.get(event.type);
    if (form === undefined) throw new Error(`no stored form for ${event.type}`);
    const { type, data } = event;
    return { id, type, data: JSON.stringify(data), metadata: JSON.stringify({ schema: form.version, ...metadata }) };
  }

  /** Today's form. @throws UnknownEventError for a type or a version that is not known. */
  decode(stored: StoredEvent): DecodedEvent<E> {
    const form = this.forms.get(stored.type);
    if (form === undefined) throw new UnknownEventError(stored, 'unknown type');
    const metadata = JSON.parse(stored.metadata) as EventMetadata;
    const { schema } = metadata;
    if (!Number.isInteger(schema) || schema < 1 || schema > form.version)
      throw new UnknownEventError(stored, `unknown version ${JSON.stringify(schema)}`);
    let data = JSON.parse(stored.data) as JsonObject;
    for (let from = schema; from < form.version; from++) data = form.upcasters?.[from]?.(data) ?? data;
    const { id, streamId, revision, position, recordedAt } = stored;
    return {
      id,
      streamId,
      revision,
      position,
      recordedAt,
      metadata,
      event: { type: stored.type, data } as unknown as E,
    };
  }
}
