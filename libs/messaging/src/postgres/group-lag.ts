import type { Querier } from '@vafa/persistence';
import type { Topic } from './topic-catalogue.js';

/** Counts from the partition that is furthest behind, and leaves out what the others have taken. */
const LAG = `
  with taken as (
    select p.partition, coalesce(o.position, 0) as position
    from generate_series(0, $3::int - 1) as p (partition)
    left join messaging.offsets o on o.group_name = $1 and o.topic = $2 and o.partition = p.partition
  )
  select count(*)::int as lag
  from messaging.log l join taken t on t.partition = l.partition
  where l.topic = $2 and l.position > (select min(position) from taken) and l.position > t.position`;

/** Messages of each topic that a group has not taken. Costs an index scan over them: ask every few seconds, not for every page. */
export const groupLag = async (
  querier: Querier,
  group: string,
  topics: readonly Topic[],
): Promise<Map<string, number>> => {
  const lags = new Map<string, number>();
  for (const { id, name, partitions } of topics) {
    const [row] = await querier.query<{ lag: number }>(LAG, [group, id, partitions]);
    lags.set(name, row?.lag ?? 0);
  }
  return lags;
};
