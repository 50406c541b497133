import type { UnitOfWork } from '@vafa/persistence';
import { MESSAGES_PER_CALL_MAX, type Message, type MessageBus } from './message-bus.js';
import { TRACE_HEADER } from './trace-context.js';

/** A CloudEvent on its way out, still without its `sequence`. */
export type UnsequencedEvent = {
  readonly topic: string;
  readonly key: string;
  readonly event: object;
  /** W3C trace context of what caused it, in place of that of the work under way. */
  readonly traceparent?: string | undefined;
};

const STRUCTURED = Object.freeze({ 'content-type': 'application/cloudevents+json; charset=UTF-8' });

/** One writer of a topic at a time, in the order of topics: what is counted first is then also enqueued first, and nobody waits in a circle. */
const LOCK = `
  select pg_advisory_xact_lock(hashtext('messaging.sequences'), hashtext(topic))
  from (select distinct topic from unnest($1::text[]) as wanted (topic) order by topic) as topics`;

const COUNT = `
  insert into messaging.sequences as s (topic, key, sequence)
  select * from unnest($1::text[], $2::text[], $3::bigint[])
  on conflict (topic, key) do update set sequence = s.sequence + excluded.sequence
  returning topic, key, sequence`;

type Counted = { readonly topic: string; readonly key: string; readonly sequence: number };

/**
 * Enqueues public events, each with the next `sequence` of its topic and key: from 1, without a gap, in the order in which they are
 * delivered. Call it last in a transaction, and once: from here to the commit other writers of these topics wait.
 */
export const enqueueEvents = async (
  work: UnitOfWork,
  bus: MessageBus,
  events: readonly UnsequencedEvent[],
): Promise<void> => {
  if (events.length === 0) return;
  const counts = Map.groupBy(events, ({ topic, key }) => `${topic}\0${key}`);
  const groups = [...counts.values()];
  const first = <T>(pick: (event: UnsequencedEvent) => T): T[] =>
    groups.flatMap(([event]) => (event ? pick(event) : []));
  const topics = first(({ topic }) => topic);
  await work.query(LOCK, [topics]);
  const rows = await work.query<Counted>(COUNT, [topics, first(({ key }) => key), groups.map(({ length }) => length)]);
  const next = new Map(
    rows.map(({ topic, key, sequence }) => {
      const id = `${topic}\0${key}`;
      return [id, sequence - (counts.get(id)?.length ?? 0)];
    }),
  );
  const messages = events.map((event): Message => {
    const id = `${event.topic}\0${event.key}`;
    const sequence = (next.get(id) ?? 0) + 1;
    next.set(id, sequence);
    const value = Buffer.from(JSON.stringify({ ...event.event, sequence }));
    const { topic, key, traceparent } = event;
    const headers = traceparent === undefined ? STRUCTURED : { ...STRUCTURED, [TRACE_HEADER]: traceparent };
    return { topic, key, value, headers };
  });
  for (let at = 0; at < messages.length; at += MESSAGES_PER_CALL_MAX)
    await bus.enqueue(work, messages.slice(at, at + MESSAGES_PER_CALL_MAX));
};
