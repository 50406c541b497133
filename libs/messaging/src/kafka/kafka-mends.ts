import kafkajs from 'kafkajs';
import { createRequire } from 'node:module';

const { KafkaJSError } = kafkajs;

type Connection = { isConnected(): boolean; chunks: Buffer[]; bytesBuffered: number; bytesNeeded: number };
type Runner = { running: boolean };
type Methods<Name extends string, Self> = {
  readonly prototype: Record<Name, (this: Self, ...args: unknown[]) => Promise<unknown>>;
};

/** Of the length that stands before each answer. */
const LENGTH_BYTES = 4;
let mended = false;

/**
 * Two faults of kafkajs 2.2.4, which has no releases any more, that leave a process standing still. A connection that breaks in the middle of an answer
 * puts that half before the first answer of the next, and reads nothing right from then on. A consumer that is stopped while its brokers change asks
 * for messages in a loop that lets nothing else of the process run.
 */
export const mendClient = (): void => {
  if (mended) return;
  mended = true;
  const require = createRequire(import.meta.url);
  const { prototype: connection } = require('kafkajs/src/network/connection') as Methods<'connect', Connection>;
  const { connect } = connection;
  connection.connect = function (...args) {
    if (!this.isConnected()) Object.assign(this, { chunks: [], bytesBuffered: 0, bytesNeeded: LENGTH_BYTES });
    return connect.apply(this, args);
  };
  const { prototype: runner } = require('kafkajs/src/consumer/runner') as Methods<'fetch', Runner>;
  const { fetch } = runner;
  runner.fetch = function (...args) {
    return this.running ? fetch.apply(this, args) : Promise.reject(new KafkaJSError('the consumer stops'));
  };
};
