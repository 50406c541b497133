import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 100;

/**
 * Messages that a group has not taken, and events that the read models have not: nothing is under way once there are none. A topic that nobody
 * has an offset on yet counts as unread, or a service that is still joining would look like one that is done.
 */
const MESSAGES = `
  (select count(*)::int from (select distinct group_name, topic from messaging.offsets) g join messaging.log l on l.topic = g.topic
    left join messaging.offsets o on o.group_name = g.group_name and o.topic = l.topic and o.partition = l.partition
    where l.position > coalesce(o.position, 0)) as messages,
  (select count(*)::int from messaging.log l join messaging.topics t on t.id = l.topic where t.name in ('commerce.purchases', 'loyalty.members')
    and not exists (select from messaging.offsets o where o.topic = l.topic)) as unread`;
const EVENTS = `
  (select count(*)::int from eventstore.events where position > coalesce((select min(position::bigint) from points.checkpoints), 0)) as events`;

/**
 * Waits until everything on the bus is taken and every event is in the read models.
 * @param {import('../checker/eventstoredb-tables.mjs').EventStoreDbTables} [elsewhere] what has the events, where they are not in PostgreSQL
 * @throws where that does not come about in time
 */
export async function settled(client, timeoutMs = 60_000, elsewhere = undefined) {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const underWay = await (elsewhere === undefined ? inOneSnapshot(client) : inTwoStores(client, elsewhere));
    if (underWay.messages === 0 && underWay.unread === 0 && underWay.events === 0) return;
    if (performance.now() > until)
      throw new Error(`not at rest after ${timeoutMs / 1_000} s: ${JSON.stringify(underWay)}`);
    await sleep(POLL_MS);
  }
}

async function inOneSnapshot(client) {
  return (await client.query(`select ${MESSAGES}, ${EVENTS}`)).rows[0];
}

/** No snapshot holds both: the log must end at the same event before and after the messages are looked at, with the readers at it. */
async function inTwoStores(client, elsewhere) {
  const before = await elsewhere.readUpTo(client);
  const { rows } = await client.query(`select ${MESSAGES}`);
  const isSame = before !== undefined && before === (await elsewhere.readUpTo(client));
  return { ...rows[0], events: isSame ? 0 : 1 };
}
