import { crc32 } from 'node:zlib';

const LOCK_CLASS = crc32('messaging.log') | 0;

/**
 * Publishes on a topic as a producer with a connection of its own does: one transaction, under the topic's lock, so that the order of positions
 * is the order of commits. Safe once it returns; where it throws, the outcome is unknown and publishing again does no harm.
 * @param {import('pg').Client} client of a login that may write to the bus
 * @param {string} topic
 * @param {readonly { key: string | null, value: Buffer }[]} messages
 * @returns {Promise<{ partition: number, position: string }[]>} where each one is
 */
export async function publish(client, topic, messages) {
  const { rows } = await client.query('select id, partitions from messaging.topics where name = $1', [topic]);
  const [{ id, partitions }] = rows;
  const placed = messages.map(({ key }) => partitionOf(key, partitions));
  await client.query('begin');
  try {
    await client.query('select pg_advisory_xact_lock($1::int, $2::int)', [LOCK_CLASS, id]);
    const { rows: written } = await client.query(
      `insert into messaging.log (topic, partition, key, headers, value)
       select $1, partition, key, headers, value
       from unnest($2::smallint[], $3::text[], $4::text[], $5::bytea[]) with ordinality as page(partition, key, headers, value, nr)
       order by nr returning partition, position::text`,
      [
        id,
        placed,
        messages.map(({ key }) => key),
        messages.map(() => '{"content-type":"application/cloudevents+json"}'),
        messages.map(({ value }) => value),
      ],
    );
    await client.query('commit');
    return written;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

let turn = 0;

/** The partition that Kafka's own clients give a key; without a key they take turns. */
export function partitionOf(key, partitions) {
  if (key === null) return turn++ % partitions;
  return (murmur2(Buffer.from(key)) & 0x7fffffff) % partitions;
}

/** MurmurHash2, 32 bits, with the seed that Kafka uses. */
function murmur2(bytes) {
  const multiplier = 0x5bd1e995;
  let hash = 0x9747b28c ^ bytes.length;
  const words = bytes.length >> 2;
  for (let word = 0; word < words; word++) {
    let part = Math.imul(bytes.readInt32LE(word * 4), multiplier);
    part = Math.imul(part ^ (part >>> 24), multiplier);
    hash = Math.imul(hash, multiplier) ^ part;
  }
  const rest = bytes.subarray(words * 4);
  if (rest.length > 0) {
    for (const [index, byte] of rest.entries()) hash ^= byte << (8 * index);
    hash = Math.imul(hash, multiplier);
  }
  hash = Math.imul(hash ^ (hash >>> 13), multiplier);
  return hash ^ (hash >>> 15);
}
