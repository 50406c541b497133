import { hashOfContent, messageOf, naturalKey, type InboundCloudEvent } from '@vafa/contracts';
import type { MessageBus } from '@vafa/messaging';
import type { Awaited, Outcome, Outcomes } from './outcomes.js';
import type { References } from './references.js';

/** How long a caller may have an outcome waited for. */
export const WAIT_MS_MAX = 30_000;

/**
 * The door for what does not come by the bus: resolves references and puts the same event on the same topic as everybody else, so that
 * there is one way in.
 */
export class Door {
  constructor(
    private readonly bus: MessageBus,
    private readonly references: References,
    private readonly outcomes: Outcomes,
  ) {}

  /**
   * Publishes validated events, all or none; they are safe when this returns. Answers their outcomes in order, `null` for one that
   * did not come within `waitMs`.
   * @throws where the bus does not take them: nothing is known to have been taken then, and sending again does no harm.
   */
  async take(events: readonly InboundCloudEvent[], waitMs: number): Promise<(Outcome | null)[]> {
    const named = events.flatMap(({ data }) => data.member ?? []);
    const members = await (waitMs > 0 ? this.references.resolvePatiently(named) : this.references.resolve(named));
    const resolved = events.map((event) => resolve(event, members));
    const waiting = waitMs > 0 ? resolved.map((event) => this.outcomes.wait(awaitedOf(event), waitMs)) : [];
    await this.bus.publish(resolved.map(messageOf));
    return waitMs > 0 ? Promise.all(waiting) : events.map(() => null);
  }
}

const resolve = (event: InboundCloudEvent, members: ReadonlyMap<string, string>): InboundCloudEvent => {
  const memberId = event.data.member === null ? undefined : members.get(event.data.member);
  if (memberId === undefined) return event;
  // The compiler does not see that data of a type stays data of that type.
  return { ...event, data: { ...event.data, member: `member:${memberId}` } } as InboundCloudEvent;
};

const awaitedOf = (event: InboundCloudEvent): Awaited => {
  const { kind, source, id } = naturalKey(event);
  return { kind, source, naturalId: id, data: event.data, hash: hashOfContent(event.data) };
};
