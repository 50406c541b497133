import type { Querier } from '@vafa/persistence';
import { assertTopic, fewerPartitions, unknownTopic } from '../limits.js';
import type { TopicSpec } from '../message-bus.js';

/** A topic as PostgreSQL knows it; `id` is its shard of the log. */
export type Topic = { readonly id: number; readonly name: string; readonly partitions: number };

const SELECT = 'select id, name, partitions from messaging.topics where name = any($1)';

/** Topics by name, remembered once seen: neither id nor partitions of a topic ever change. */
export class TopicCatalogue {
  private readonly known = new Map<string, Topic>();

  async ensure(querier: Querier, specs: readonly TopicSpec[]): Promise<void> {
    specs.forEach(assertTopic);
    for (const { name, partitions, retentionMs } of specs) {
      // Looked for first, since an insert that conflicts uses up one of the few ids.
      const [found] = await querier.query<Topic>(SELECT, [[name]]);
      if (found !== undefined && found.partitions < partitions)
        throw fewerPartitions(name, found.partitions, partitions);
      await querier.query(
        found === undefined
          ? `insert into messaging.topics (name, partitions, retention_ms) values ($1, $2, $3)
             on conflict (name) do update set retention_ms = excluded.retention_ms`
          : 'update messaging.topics set retention_ms = $3 where name = $1 and partitions = $2',
        [name, found?.partitions ?? partitions, retentionMs],
      );
    }
    await this.find(
      querier,
      specs.map(({ name }) => name),
    );
  }

  /** @throws RangeError for a name that no topic has. */
  async find(querier: Querier, names: readonly string[]): Promise<Map<string, Topic>> {
    const missing = names.filter((name) => !this.known.has(name));
    if (missing.length > 0)
      for (const topic of await querier.query<Topic>(SELECT, [missing])) this.known.set(topic.name, topic);
    return new Map(names.map((name) => [name, this.get(name)]));
  }

  private get(name: string): Topic {
    const topic = this.known.get(name);
    if (topic === undefined) throw unknownTopic(name);
    return topic;
  }
}
