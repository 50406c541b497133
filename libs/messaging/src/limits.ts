import type { BusSubscribeOptions, Message, TopicSpec } from './message-bus.js';
import {
  HEADERS_BYTES_MAX,
  KEY_BYTES_MAX,
  MESSAGES_PER_CALL_MAX,
  MESSAGE_BYTES_MAX,
  PAGE_SIZE_MAX,
  PARTITIONS_MAX,
} from './message-bus.js';

/** Kafka's rule for topic names; it serves for groups as well. */
const NAME = /^[A-Za-z0-9._-]{1,200}$/;

const assert = (condition: boolean, message: () => string): void => {
  if (!condition) throw new RangeError(message());
};

/** Checks what every adapter refuses, before anything is sent. @throws RangeError that names the message by its index, never its content. */
export const assertMessages = (messages: readonly Message[]): void => {
  assert(
    messages.length <= MESSAGES_PER_CALL_MAX,
    () => `${messages.length} messages in one call, at most ${MESSAGES_PER_CALL_MAX} are taken`,
  );
  messages.forEach(assertMessage);
};

const assertMessage = (message: Message, index: number): void => {
  const { key, value, headers } = message;
  assert(
    value.length <= MESSAGE_BYTES_MAX,
    () => `message ${index} has ${value.length} bytes, at most ${MESSAGE_BYTES_MAX} are taken`,
  );
  if (key !== null) assertKey(key, index);
  if (headers === undefined) return;
  const bytes = Buffer.byteLength(JSON.stringify(headers));
  assert(
    bytes <= HEADERS_BYTES_MAX,
    () => `message ${index} has headers of ${bytes} bytes, at most ${HEADERS_BYTES_MAX} are taken`,
  );
};

const assertKey = (key: string, index: number): void => {
  // A UTF-16 unit is at most 3 bytes of UTF-8, so that short keys need no counting.
  const bytes = key.length * 3 <= KEY_BYTES_MAX ? 0 : Buffer.byteLength(key);
  assert(
    bytes <= KEY_BYTES_MAX,
    () => `message ${index} has a key of ${bytes} bytes, at most ${KEY_BYTES_MAX} are taken`,
  );
  assert(!key.includes('\0'), () => `message ${index} has a key with the character NUL, which no text column holds`);
};

/** @throws RangeError for a topic outside the limits. */
export const assertTopic = (topic: TopicSpec): void => {
  assert(NAME.test(topic.name), () => `not a topic name: ${JSON.stringify(topic.name)}`);
  assert(
    Number.isInteger(topic.partitions) && topic.partitions >= 1 && topic.partitions <= PARTITIONS_MAX,
    () => `topic ${topic.name}: partitions must be 1 to ${PARTITIONS_MAX}, not ${topic.partitions}`,
  );
  assert(
    Number.isSafeInteger(topic.retentionMs) && topic.retentionMs > 0,
    () => `topic ${topic.name}: retentionMs must be a positive integer, not ${topic.retentionMs}`,
  );
};

/** @throws RangeError for a subscription outside the limits. */
export const assertSubscription = (options: BusSubscribeOptions): void => {
  assert(NAME.test(options.group), () => `not a group name: ${JSON.stringify(options.group)}`);
  assert(options.topics.length > 0, () => 'a subscription needs a topic');
  assert(
    Number.isInteger(options.pageSize) && options.pageSize >= 1 && options.pageSize <= PAGE_SIZE_MAX,
    () => `pageSize must be 1 to ${PAGE_SIZE_MAX}, not ${options.pageSize}`,
  );
};

/** The one sentence for a topic that nobody created. */
export const unknownTopic = (topic: string): RangeError =>
  new RangeError(`topic ${topic} does not exist: create it with ensureTopics`);

/** The one sentence for a topic with too few partitions. */
export const fewerPartitions = (topic: string, found: number, asked: number): Error =>
  new Error(
    `topic ${topic} has ${found} partitions, ${asked} are asked for: the number cannot change, since keys would move`,
  );
