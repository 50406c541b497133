import kafkajs, { type ICustomPartitioner, type Message as KafkaRecord, type PartitionMetadata } from 'kafkajs';

/**
 * Where messages go: the choice of Kafka's own clients, written on each message, so that it goes to the same partition however often it is sent.
 */
export class KafkaPartitions {
  private readonly choose = kafkajs.Partitioners.DefaultPartitioner();
  private readonly seen = new Map<string, PartitionMetadata[]>();

  /** For the client's producer, which knows the partitions of a topic at each call. */
  readonly partitioner: ICustomPartitioner =
    () =>
    ({ topic, partitionMetadata, message }) => {
      this.seen.set(topic, partitionMetadata);
      return (message.partition ??= this.choose({ topic, partitionMetadata, message }));
    };

  /** The partition that a message goes to; undefined where nothing has been sent to the topic yet. */
  assign(topic: string, message: KafkaRecord): number | undefined {
    const partitionMetadata = this.seen.get(topic);
    if (partitionMetadata !== undefined) message.partition ??= this.choose({ topic, partitionMetadata, message });
    return message.partition;
  }
}
