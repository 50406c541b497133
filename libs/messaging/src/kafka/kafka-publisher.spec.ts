import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '@vafa/testing';
import type { Message as KafkaRecord, PartitionMetadata, Producer, ProducerBatch, RecordMetadata } from 'kafkajs';
import type { Message } from '../message-bus.js';
import { faultOf } from './kafka-faults.js';
import { KafkaPartitions } from './kafka-partitions.js';
import { KafkaPublisher } from './kafka-publisher.js';
import { KAFKA_DEFAULTS } from './kafka-settings.js';

/** The client puts the keys a and b of the tests into two of them. */
const PARTITIONS = 7;
const RECORDS_MAX = 4;

/** The client's producer as it behaves: a call is appended where its partition takes it, and fails as a whole where one does not. */
class StandIn {
  readonly logs = new Map<string, string[]>();
  readonly faults = new Map<string, string>();
  readonly unknown = new Set<string>();
  /** Left out of calls without a word. */
  readonly leftOut = new Set<string>();
  disconnects = 0;
  calls = 0;
  private readonly choose;

  constructor(partitions: KafkaPartitions) {
    this.choose = partitions.partitioner();
  }

  connect(): Promise<void> {
    return Promise.resolve();
  }

  disconnect(): Promise<void> {
    this.disconnects++;
    return Promise.resolve();
  }

  async sendBatch({ topicMessages = [] }: ProducerBatch): Promise<RecordMetadata[]> {
    this.calls++;
    await Promise.resolve();
    const lost = topicMessages.find(({ topic }) => this.unknown.has(topic));
    if (lost !== undefined) throw failure('UNKNOWN_TOPIC_OR_PARTITION');
    const parts = topicMessages.flatMap(({ topic, messages }) => [
      ...Map.groupBy(messages, (message) => this.place(topic, message)),
    ]);
    const taken = parts.filter(([place]) => !this.leftOut.has(place));
    const errors = taken.flatMap(([place, part]) => this.append(place, part) ?? []);
    if (errors[0] !== undefined) throw failure(errors[0]);
    return taken.map(([place]) => {
      const [topicName = '', partition] = place.split('/');
      return { topicName, partition: Number(partition), errorCode: 0 };
    });
  }

  log(topic: string, key: string): string[] {
    return this.logs.get(this.place(topic, { key, value: null })) ?? [];
  }

  place(topic: string, message: KafkaRecord): string {
    return `${topic}/${this.choose({ topic, partitionMetadata: METADATA, message })}`;
  }

  private append(place: string, part: readonly KafkaRecord[]): string | undefined {
    const fault = this.faults.get(place);
    if (fault !== undefined) return fault;
    if (part.some(({ value }) => String(value) === 'large') || part.length > RECORDS_MAX) return 'MESSAGE_TOO_LARGE';
    const log = this.logs.get(place) ?? [];
    this.logs.set(place, [...log, ...part.map(({ value }) => String(value))]);
    return undefined;
  }
}

const METADATA = Array.from(
  { length: PARTITIONS },
  (_, partitionId) => ({ partitionId, leader: 1 }) as PartitionMetadata,
);
const failure = (type: string): Error => Object.assign(new Error(type), { type });
const message = (topic: string, key: string, value: string): Message => ({ topic, key, value: Buffer.from(value) });

let brokers: StandIn;
let publisher: KafkaPublisher;

const open = (deadlineMs: number): KafkaPublisher => {
  const partitions = new KafkaPartitions();
  brokers = new StandIn(partitions);
  return new KafkaPublisher({
    create: () => brokers as unknown as Producer,
    partitions,
    external: (topic) => topic,
    faultOf: (error) => faultOf(error, { ...KAFKA_DEFAULTS, brokers: ['b:1'] }),
    deadlineMs,
    onRetry: () => undefined,
  });
};

beforeEach(() => {
  publisher = open(60_000);
});

afterEach(() => publisher.close());

describe('KafkaPublisher', () => {
  it('is tried with keys of two partitions', () => {
    expect(brokers.place('orders', { key: 'a', value: null })).not.toBe(
      brokers.place('orders', { key: 'b', value: null }),
    );
  });

  it('does in one call what nothing is wrong with', async () => {
    await Promise.all(['1', '2', '3'].map((value) => publisher.publish([message('orders', `key ${value}`, value)])));
    expect(brokers.calls).toBe(1);
  });

  it('sends what is well of a failed call once more, and it alone goes on', async () => {
    brokers.faults.set(brokers.place('orders', { key: 'a', value: null }), 'NOT_ENOUGH_REPLICAS');
    const stuck = publisher.publish([message('orders', 'a', 'stuck')]);
    await Promise.all([
      publisher.publish([message('orders', 'b', '1')]),
      publisher.publish([message('other', 'a', '2')]),
    ]);
    for (const value of ['3', '4']) await publisher.publish([message('orders', 'b', value)]);
    expect(brokers.log('orders', 'b')).toEqual(['1', '1', '3', '4']);
    expect(brokers.log('other', 'a')).toEqual(['2', '2']);
    brokers.faults.clear();
    await stuck;
    expect(brokers.log('orders', 'a')).toEqual(['stuck']);
  });

  it('lets nothing of a partition overtake what is sent again', async () => {
    brokers.faults.set(brokers.place('orders', { key: 'a', value: null }), 'NOT_LEADER_FOR_PARTITION');
    const values = Array.from({ length: 10 }, (_, n) => String(n));
    const stuck: Promise<void>[] = [];
    for (const value of values) {
      stuck.push(publisher.publish([message('orders', 'a', value)]));
      await publisher.publish([message('orders', 'b', value)]);
    }
    brokers.faults.clear();
    stuck.push(publisher.publish([message('orders', 'a', 'last')]));
    await Promise.all(stuck);
    expect(brokers.log('orders', 'a')).toEqual([...values, 'last']);
  });

  it('rejects for good only what the fault is about, and tells what is durable of a call that it rejects', async () => {
    brokers.faults.set(brokers.place('secret', { key: 'a', value: null }), 'TOPIC_AUTHORIZATION_FAILED');
    const durable: string[] = [];
    const mixed = [message('orders', 'a', '1'), message('secret', 'a', '2'), message('other', 'a', '3')];
    const refused = publisher.publish(mixed, ({ value }) => durable.push(String(value)));
    const free = publisher.publish([message('orders', 'b', '4')]);
    await expect(refused).rejects.toMatchObject({ kind: 'unauthorised' });
    await free;
    await eventually(() => expect(durable.toSorted()).toEqual(['1', '3']));
    await publisher.publish([message('orders', 'a', '5')]);
  });

  it('believes nothing of a partition that no broker answered for', async () => {
    const place = brokers.place('orders', { key: 'a', value: null });
    brokers.leftOut.add(place);
    const durable: string[] = [];
    const note = ({ value }: Message): void => void durable.push(String(value));
    const left = publisher.publish([message('orders', 'a', '1'), message('orders', 'b', '2')], note);
    await eventually(() => expect(durable).toEqual(['2']));
    expect(brokers.disconnects).toBeGreaterThan(0);
    brokers.leftOut.clear();
    await left;
    expect(brokers.log('orders', 'a')).toEqual(['1']);
  });

  it('leaves a client whose call had no answer in time, and sends by a new one', async () => {
    brokers.faults.set(brokers.place('orders', { key: 'a', value: null }), 'REQUEST_TIMED_OUT');
    const waiting = publisher.publish([message('orders', 'a', '1')]);
    await eventually(() => expect(brokers.disconnects).toBeGreaterThan(0));
    brokers.faults.clear();
    await waiting;
    expect(brokers.log('orders', 'a')).toEqual(['1']);
  });

  it('finds the message that is too large, and halves calls that are', async () => {
    const values = ['1', '2', '3', 'large', '4', '5', '6', '7', '8'];
    const calls = values.map((value) => publisher.publish([message('orders', 'a', value)]));
    const outcomes = (await Promise.allSettled(calls)).map(({ status }) => status);
    expect(outcomes).toEqual(values.map((value) => (value === 'large' ? 'rejected' : 'fulfilled')));
    expect(brokers.log('orders', 'a')).toEqual(values.filter((value) => value !== 'large'));
  });

  it('holds up no topic for one that is not known, whose order it keeps', async () => {
    brokers.unknown.add('missing');
    const waiting = ['1', '2'].map((value) => publisher.publish([message('missing', 'a', value)]));
    await publisher.publish([message('orders', 'a', '1')]);
    waiting.push(publisher.publish([message('missing', 'a', '3')]));
    await publisher.publish([message('orders', 'a', '2')]);
    brokers.unknown.clear();
    await Promise.all(waiting);
    expect(brokers.log('missing', 'a')).toEqual(['1', '2', '3']);
  });

  it('rejects at the deadline with what was last wrong, and no later than 5 s once it closes', async () => {
    publisher = open(600);
    brokers.faults.set(brokers.place('orders', { key: 'a', value: null }), 'NOT_ENOUGH_REPLICAS');
    await expect(publisher.publish([message('orders', 'a', '1')])).rejects.toMatchObject({ kind: 'in-sync-replicas' });
    publisher = open(600_000);
    brokers.faults.set(brokers.place('orders', { key: 'a', value: null }), 'NOT_ENOUGH_REPLICAS');
    const waiting = expect(publisher.publish([message('orders', 'a', '1')])).rejects.toMatchObject({ heals: true });
    await publisher.close();
    await waiting;
  });
});
