import { EVENT_BYTES_MAX, hashOfContent, messageOf, naturalKey, type InboundCloudEvent } from '@vafa/contracts';
import type { Message, MessageBus } from '@vafa/messaging';
import type { Database } from '@vafa/persistence';
import { isStaff, type Actor, type Audit } from '@vafa/service';
import type { Incoming, Outcome, Outcomes } from './outcomes.js';
import type { References } from './references.js';

/** How long a caller may have an outcome waited for. */
export const WAIT_MS_MAX = 30_000;

/** An event that no topic takes: its envelope and the member's id count as well as what the caller sent. */
export class EventTooLargeError extends Error {
  override readonly name = 'EventTooLargeError';

  constructor(
    readonly index: number,
    readonly bytes: number,
  ) {
    super(`event ${index} has ${bytes} bytes, at most ${EVENT_BYTES_MAX} are taken`);
  }
}

/**
 * The door for what does not come by the bus: resolves references and puts the same event on the same topic as everybody else, so that
 * there is one way in.
 */
export class Door {
  constructor(
    private readonly parts: {
      readonly database: Database;
      readonly audit: Audit;
      readonly bus: MessageBus;
      readonly references: References;
      readonly outcomes: Outcomes;
    },
  ) {}

  /**
   * Publishes validated events, all or none; they are safe when this returns. Answers their outcomes in order, `null` for one that
   * did not come within `waitMs`. What staff hand in stands in the audit.
   * @throws EventTooLargeError before anything is taken; the bus's error where it does not take them: nothing is known to have been taken then, and
   *   sending again does no harm.
   */
  async take(events: readonly InboundCloudEvent[], waitMs: number, actor: Actor): Promise<(Outcome | null)[]> {
    const { bus, references, outcomes } = this.parts;
    const named = events.flatMap(({ data }) => data.member ?? []);
    const members = await (waitMs > 0 ? references.resolvePatiently(named) : references.resolve(named));
    const resolved = events.map((event) => resolve(event, members));
    const messages = resolved.map(messageOf);
    assertSizes(messages);
    const waiting = waitMs > 0 ? resolved.map((event) => outcomes.wait(awaitedOf(event), waitMs)) : [];
    if (isStaff(actor.role)) await this.publishAudited(resolved, messages, actor);
    else await bus.publish(messages);
    return waitMs > 0 ? Promise.all(waiting) : events.map(() => null);
  }

  private async publishAudited(
    events: readonly InboundCloudEvent[],
    messages: readonly Message[],
    actor: Actor,
  ): Promise<void> {
    const { database, audit, bus } = this.parts;
    const keys = events.map(keyText);
    const [first = '', last = first] = [keys[0], keys.at(-1)];
    await database.transaction(async (work) => {
      const [subject, details] = keys.length === 1 ? [first, {}] : ['inputs', { count: keys.length, first, last }];
      await audit.record(work, { actor, action: 'inputs.submitted', subject, details });
      await bus.enqueue(work, messages);
    });
  }
}

const assertSizes = (messages: readonly Message[]): void => {
  for (const [index, { value }] of messages.entries())
    if (value.length > EVENT_BYTES_MAX) throw new EventTooLargeError(index, value.length);
};

const keyText = (event: InboundCloudEvent): string => {
  const { kind, source, id } = naturalKey(event);
  return `${kind}:${source}/${id}`;
};

const resolve = (event: InboundCloudEvent, members: ReadonlyMap<string, string>): InboundCloudEvent => {
  const memberId = event.data.member === null ? undefined : members.get(event.data.member);
  if (memberId === undefined) return event;
  // The compiler does not see that data of a type stays data of that type.
  return { ...event, data: { ...event.data, member: `member:${memberId}` } } as InboundCloudEvent;
};

const awaitedOf = (event: InboundCloudEvent): Incoming => {
  const { kind, source, id } = naturalKey(event);
  return { kind, source, naturalId: id, data: event.data, hash: hashOfContent(event.data) };
};
