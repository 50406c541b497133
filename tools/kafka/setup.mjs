// Finds the broker of the suites that need a real Kafka, before they run: the one of VAFA_TEST_KAFKA_BROKERS, else one in a container where an engine
// answers, else none, which a line says; with VAFA_TEST_KAFKA_REQUIRED=1 that is a failure.
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const IMAGE = 'apache/kafka:4.3.0';
const START_TIMEOUT_MS = 120_000;
const CLUSTER = 'vafaVafaVafaVafaVafaVA';

export default async function setup() {
  if ((process.env.VAFA_TEST_KAFKA_BROKERS ?? '') !== '') return;
  try {
    await startContainer();
  } catch (error) {
    const line =
      `The suite on Kafka did not run: VAFA_TEST_KAFKA_BROKERS is not set, and no container engine answers (${firstLine(error)}). ` +
      'Set it to the address of a broker, as in VAFA_TEST_KAFKA_BROKERS=127.0.0.1:9092, or start Docker.';
    if (process.env.VAFA_TEST_KAFKA_REQUIRED === '1') throw new Error(line, { cause: error });
    process.stderr.write(`\n${line}\n\n`);
  }
}

async function startContainer() {
  const { GenericContainer, Wait } = await import('testcontainers');
  // The broker tells its clients where it is: the port must be known before it starts.
  const port = await freePort();
  const container = await new GenericContainer(IMAGE)
    .withExposedPorts({ container: 9092, host: port })
    .withEnvironment({
      CLUSTER_ID: CLUSTER,
      KAFKA_NODE_ID: '1',
      KAFKA_PROCESS_ROLES: 'broker,controller',
      KAFKA_LISTENERS: 'PLAINTEXT://:9092,CONTROLLER://:9093',
      KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://127.0.0.1:${port}`,
      KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
      KAFKA_CONTROLLER_LISTENER_NAMES: 'CONTROLLER',
      KAFKA_CONTROLLER_QUORUM_VOTERS: '1@localhost:9093',
      KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: '1',
      KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0',
      KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
    })
    .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
    .withStartupTimeout(START_TIMEOUT_MS)
    .start();
  globalThis.vafaTestKafka = container;
  process.env.VAFA_TEST_KAFKA_BROKERS = `127.0.0.1:${port}`;
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  server.close();
  await pause(0);
  return port;
}

const firstLine = (error) => String(error?.message ?? error).split('\n')[0];
